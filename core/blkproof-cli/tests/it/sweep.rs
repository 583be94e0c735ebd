//! `blkproof sweep`.

use crate::program::Folder;

const BACKUP: &str = "\
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

#[test]
fn what_cannot_be_swept_is_bad_usage() {
    let folder = Folder::new();
    for args in [
        &["sweep"][..],
        &["sweep", "--strike", "twice", "a.blk"],
        &["sweep", "--exhaustive", "a.blk"],
        &["sweep", "--exhaustive", "--guest-steps", "9"],
        &["sweep", "missing.blk"],
    ] {
        let ran = folder.run(args).exits(2);
        assert!(ran.err.contains("error"), "{args:?}: {}", ran.err);
    }
}
