//! `blkproof sweep`.

use crate::program::Folder;

pub(crate) const BACKUP: &str = "\
blkproof 1
title a full backup, whatever fails
disk d 128k qcow2
write d 0 64k stamp
backup d full to=full0
check full0 == d
";

#[test]
fn a_line_says_what_was_tried_and_that_nothing_was_left_out() {
    let folder = Folder::new();
    folder.file("a.blk", BACKUP);
    let ran = folder.run(&["sweep", "a.blk"]).exits(0);
    assert!(ran.out.starts_with("ok  a.blk  "), "{}", ran.out);
    assert!(ran.out.contains(" positions ("), "{}", ran.out);
    assert!(!ran.out.contains("not complete"), "{}", ran.out);
    assert_eq!(ran.err, "");
    // The same on one thread.
    let alone = folder.run(&["sweep", "--jobs", "1", "a.blk"]).exits(0);
    assert_eq!(alone.out, ran.out);
}

#[test]
fn programs_read_a_record_for_each_file() {
    let folder = Folder::new();
    folder.file("a.blk", BACKUP);
    let args = ["sweep", "--json", "--strike", "torn", "a.blk"];
    let ran = folder.run(&args).exits(0);
    let record: serde_json::Value = serde_json::from_str(ran.out.trim_end()).unwrap();
    assert_eq!(record["type"], "sweep");
    assert_eq!(record["complete"], true);
    assert_eq!(record["positions"]["read"], 0);
    assert_eq!(record["positions"]["write"], record["held"]);
}

#[test]
fn what_fails_is_written_down_and_shrunk() {
    let folder = Folder::new();
    let text = "\
blkproof 1
disk d 256k qcow2
bitmap add d b
flush d
write-zeroes d 128k 64k
write d 0 64k stamp expect=any
read d 64k 64k
";
    folder.file("a.blk", text);
    let args = ["sweep", "--bug", "failed-write-is-clean", "a.blk"];
    let ran = folder.run(&args).exits(1);
    assert!(ran.out.contains("dirty-sound at write"), "{}", ran.out);
    assert!(
        ran.out.contains("  shrunk from 5 steps to 2; "),
        "{}",
        ran.out
    );
    let replay = ran
        .out
        .lines()
        .find_map(|line| line.rsplit_once(" replay "));
    let (path, bug) = replay.and_then(|(_, rest)| rest.split_once(' ')).unwrap();
    assert!(path.ends_with(".min.blk"), "{path}");
    assert_eq!(bug, "--bug failed-write-is-clean");
    folder
        .run(&["replay", path, "--bug", "failed-write-is-clean"])
        .exits(1);
    folder.run(&["replay", path]).exits(0);
}

#[test]
fn all_small_scenarios_hold() {
    let folder = Folder::new();
    let args = ["sweep", "--exhaustive", "--guest-steps", "1"];
    let args = [&args[..], &["--swept-guest-steps", "0"]].concat();
    let ran = folder.run(&args).exits(0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "0 guest steps: 1 of 1 scenarios, all held");
    assert!(lines[1].starts_with("  single faults: "), "{}", lines[1]);
    assert_eq!(lines[2], "1 guest steps: 54 of 54 scenarios, all held");
}

#[test]
fn a_scenario_of_a_folder_that_states_a_failure_is_left_out() {
    let folder = Folder::new();
    folder.file("all/a.blk", BACKUP);
    let bounded = "blkproof 1\nexpect fail no-crash\nlimit units-per-step=8\n\
        disk drive0 1M qcow2\nwrite drive0 0 64k stamp\nbackup drive0 full to=full0\n";
    folder.file("all/bounded.blk", bounded);
    for power in [&[][..], &["--power"]] {
        let ran = folder.run(&[&["sweep", "all"], power].concat()).exits(0);
        assert!(
            ran.err
                .contains("bounded.blk states that it fails: left out")
        );
        assert!(ran.out.contains("a.blk") && !ran.out.contains("bounded.blk"));
        // Who names it gets what is asked for.
        let named = folder.run(&[&["sweep", "all/bounded.blk"], power].concat());
        assert!(named.out.contains("bounded.blk"), "{}", named.out);
    }
}

pub(crate) const POWER: &str = "\
blkproof 1
disk d 128k qcow2 cluster=4k
write d 0 8k stamp
backup d full to=full0
flush d
write d 4k 8k stamp
";

/// Behind the last operation of a scenario, too, what was reported has to be durable.
#[test]
fn a_job_that_reports_success_too_early_is_caught_though_nothing_comes_behind_it() {
    let folder = Folder::new();
    for format in ["raw", "qcow2"] {
        let text = format!(
            "blkproof 1\ndisk d 128k {format}\nwrite d 0 64k stamp\nbackup d full to=full0\n"
        );
        folder.file("a.blk", text);
        let ran = folder.run(&["sweep", "--power", "a.blk"]).exits(0);
        assert!(ran.out.contains("all held, none left out"), "{}", ran.out);
        assert!(ran.out.contains(", end 1"), "{}", ran.out);
        let args = ["sweep", "--power", "--bug", "target-is-volatile", "a.blk"];
        let ran = folder.run(&args).exits(1);
        assert!(
            ran.out.contains("completed-survives at backup"),
            "{}",
            ran.out
        );
    }
}

#[test]
fn power_is_cut_again_in_recoveries_which_are_counted_and_kept_with_both_cuts() {
    let folder = Folder::new();
    let text = "blkproof 1\ndisk d 64k qcow2\nbitmap add d b persistent\nrestart\n\
                write d 0 4k stamp\nflush d\nwrite d 8k 4k stamp\n";
    folder.file("a.blk", text);
    let ran = folder.run(&["sweep", "--power", "a.blk"]).exits(0);
    let line = ran.out.lines().next().unwrap();
    assert!(line.contains(" operations of recoveries "), "{line}");
    assert!(line.ends_with(" more: all held, none left out"), "{line}");
    let args = ["sweep", "--power", "--random", "0", "--json", "a.blk"];
    let record = folder.run(&args).exits(0).records().remove(0);
    let recovery = |name: &str| record["recovery"][name].as_u64().unwrap();
    assert!(recovery("positions") > 0 && recovery("cuts") >= 4 * recovery("positions"));
    let states = record["states"].as_u64().unwrap() + recovery("states");
    assert_eq!(record["held"], states);

    let args = ["sweep", "--power", "--bug", "recovered-is-clean", "a.blk"];
    let ran = folder.run(&args).exits(1);
    assert!(ran.out.contains("bitmap-honest at write"), "{}", ran.out);
    let kept = std::fs::read_dir(folder.path().join("blkproof-out")).unwrap();
    let kept = kept.map(|entry| entry.unwrap().path());
    let kept = kept.filter(|path| !path.to_string_lossy().ends_with(".min.blk"));
    let kept = kept.min().expect("a scenario was kept");
    let text = std::fs::read_to_string(&kept).unwrap();
    assert_eq!(text.matches("\npower-cut ").count(), 2, "{text}");
    let kept = kept.to_str().unwrap();
    folder
        .run(&["replay", "--bug", "recovered-is-clean", kept])
        .exits(1);
    folder.run(&["replay", kept]).exits(0);
}

#[test]
fn every_loss_of_power_is_counted_and_none_is_left_out() {
    let folder = Folder::new();
    folder.file("a.blk", POWER);
    let ran = folder.run(&["sweep", "--power", "a.blk"]).exits(0);
    let line = ran.out.lines().next().unwrap();
    assert!(line.starts_with("ok  a.blk  "), "{line}");
    assert!(line.ends_with(" states: all held, none left out"), "{line}");
    let midst = ran.out.lines().nth(1).unwrap();
    assert!(midst.starts_with("in the midst of: guest "), "{midst}");
    assert!(midst.contains(", job "), "{midst}");
    let record = |args: &[&str]| {
        let args = [&["sweep", "--power", "--json", "a.blk"][..], args].concat();
        let record = folder.run(&args).exits(0).records().remove(0);
        assert_eq!(record["type"], "power-sweep");
        assert_eq!(record["complete"], true);
        assert_eq!(record["held"], record["states"]);
        let count = |name: &str| record[name].as_u64().unwrap();
        let midst = record["midst"].as_object().unwrap().values();
        let sum: u64 = midst.map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(sum, count("positions"));
        (count("positions"), count("cuts"), count("states"))
    };
    // A cut by chance more at each position is as many cuts more; four are usual.
    let (positions, cuts, states) = record(&["--random", "0"]);
    assert!(positions > 10 && cuts > 4 * positions && states > positions);
    assert_eq!(record(&[]).1, cuts + 4 * positions);
    assert_eq!(
        record(&["--random", "9", "--jobs", "1"]).1,
        cuts + 9 * positions
    );
}

#[test]
fn a_loss_of_power_that_an_engine_does_not_survive_is_told_with_its_cut() {
    let folder = Folder::new();
    folder.file("a.blk", POWER);
    let bug = ["--bug", "flush-is-kept"];
    let args = [&["sweep", "--power", "--jobs", "1", "a.blk"][..], &bug].concat();
    let ran = folder.run(&args).exits(1);
    assert!(ran.out.contains("flushed-survives at "), "{}", ran.out);
    assert!(ran.out.contains("FAIL  a.blk  "), "{}", ran.out);
    assert!(ran.out.contains(" failed, "), "{}", ran.out);
    // The first line of the scenario that is kept is the cut.
    let kept = ran
        .out
        .split_whitespace()
        .find(|word| word.contains("blkproof-out/a-power-cut-lost") && word.ends_with(".blk"));
    let path = kept.unwrap_or_else(|| panic!("{}", ran.out));
    let text = folder.text(path);
    assert!(text.contains("\npower-cut lost="), "{text}");
    folder.run(&[&["replay", path][..], &bug].concat()).exits(1);
}

/// A scenario in which power is lost already is swept as what it leaves, not as if nothing had been
/// lost.
#[test]
fn a_scenario_that_loses_power_itself_is_swept() {
    let folder = Folder::new();
    let text = "\
blkproof 1
disk d 256k qcow2 cluster=4k
write d 0 64k stamp
flush d
write d 0 64k stamp
power-cut lost=all
read d 0 64k
write d 128k 4k stamp
power-cut lost=worst at=2
flush d expect=any
read d 0 64k
write d 0 4k stamp
kill
flush d
read d 0 256k
";
    folder.file("a.blk", text);
    folder.run(&["replay", "a.blk"]).exits(0);
    let ran = folder.run(&["sweep", "--power", "a.blk"]).exits(0);
    assert!(
        ran.out.contains(" states: all held, none left out"),
        "{}",
        ran.out
    );
}

#[test]
fn what_cuts_leave_is_written_down() {
    let folder = Folder::new();
    folder.file("a.blk", POWER);
    let args = [
        "sweep", "--power", "--json", "a.blk", "--dump", "left", "--every", "10",
    ];
    let record = folder.run(&args).exits(0).records().remove(0);
    let states = record["states"].as_u64().unwrap();
    let left = folder.path().join("left/001-a");
    let mut folders = 0;
    for entry in std::fs::read_dir(&left).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            folders += 1;
            let image = std::fs::read(path.join("d")).unwrap();
            assert!(image.starts_with(b"QFI\xfb"), "{}", path.display());
        } else {
            let path = path.to_str().unwrap();
            folder.run(&["replay", path]).exits(0);
        }
    }
    assert_eq!(folders, states.div_ceil(10));
    // A name that leads elsewhere is none of a file.
    folder.file("b.blk", POWER.replace("full0", "\"../full0\""));
    let ran = folder.run(&["sweep", "--power", "b.blk", "--dump", "left"]);
    assert!(ran.code == 2 || ran.err.contains("b.blk"), "{ran:?}");
    assert!(!folder.path().join("left/full0").exists());
}

#[test]
fn what_cannot_be_swept_is_bad_usage() {
    let folder = Folder::new();
    for args in [
        &["sweep"][..],
        &["sweep", "--strike", "twice", "a.blk"],
        &["sweep", "--exhaustive", "a.blk"],
        &["sweep", "--exhaustive", "--guest-steps", "9"],
        &["sweep", "missing.blk"],
        &["sweep", "--power"],
        &["sweep", "--power", "--random", "many", "a.blk"],
        &["sweep", "--power", "--random", "-1", "a.blk"],
        &["sweep", "--power", "--strike", "once", "a.blk"],
        &["sweep", "--power", "--exhaustive"],
        &["sweep", "--random", "1", "a.blk"],
        &["sweep", "--dump", "left", "a.blk"],
        &["sweep", "--power", "--every", "2", "a.blk"],
        &[
            "sweep", "--power", "--dump", "left", "--every", "0", "a.blk",
        ],
    ] {
        let ran = folder.run(args).exits(2);
        assert!(ran.err.contains("error"), "{args:?}: {}", ran.err);
    }
}
