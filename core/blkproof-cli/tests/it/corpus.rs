//! `blkproof corpus`.

use std::fs;

use blkproof::Case;

use crate::program::Folder;

const SHORT: &str = "blkproof 1\ndisk drive0 64k raw\nwrite drive0 0 512 fill=0x41\n";
const LONG: &str = "\
blkproof 1
title writes more often, and reaches nothing more
disk drive0 64k raw
write drive0 0 512 fill=0x41
write drive0 512 512 fill=0x42
";
const RESTARTS: &str = "blkproof 1\ndisk drive0 64k raw\nflush drive0\nrestart\n";
const WRONG: &str = "\
blkproof 1
disk drive0 1M qcow2
write drive0 0 64k stamp
backup drive0 full to=full0
check event drive0 completed len=2M
";

#[test]
fn a_corpus_is_in_order_or_told_why_not() {
    let folder = Folder::new();
    folder.file("c/a.blk", SHORT);
    folder.file("c/b.blk", RESTARTS);
    let ran = folder.run(&["corpus", "check", "c", "c/a.blk"]).exits(0);
    assert_eq!(ran.out, "all 3 scenarios are in order\n");
    folder.file("c/untidy.blk", LONG.replace("512 512", "0x200   512"));
    let titled = SHORT.replacen("\ndisk", "\ntitle the same  # twice\ndisk", 1);
    folder.file("c/twin.blk", titled);
    let ran = folder.run(&["corpus", "check", "c"]).exits(1);
    assert_eq!(
        ran.out,
        "the same scenario as c/a.blk: c/twin.blk\n\
         not canonical: c/untidy.blk; `blkproof fmt` rewrites it\n"
    );
    folder.file("c/broken.blk", "blkproof 2\n");
    let ran = folder.run(&["corpus", "check", "--json", "c"]).exits(2);
    assert!(ran.err.contains("version 2"), "{}", ran.err);
    let same: Vec<_> = ran
        .records()
        .into_iter()
        .map(|r| r["same_as"].clone())
        .collect();
    assert_eq!(same.iter().filter(|same| same.is_string()).count(), 1);
}

#[test]
fn two_titles_make_two_scenarios_of_the_same_steps() {
    let folder = Folder::new();
    let titled = |title: &str| SHORT.replacen("\ndisk", &format!("\ntitle {title}\ndisk"), 1);
    folder.file("c/a.blk", titled("one thing"));
    folder.file("c/b.blk", titled("another thing"));
    folder.run(&["corpus", "check", "c"]).exits(0);
    folder.file("c/c.blk", titled("one thing"));
    let ran = folder.run(&["corpus", "check", "c"]).exits(1);
    assert_eq!(ran.out, "the same scenario as c/a.blk: c/c.blk\n");
}

#[test]
fn the_corpora_of_the_repository_are_in_order() {
    let corpora = concat!(env!("CARGO_MANIFEST_DIR"), "/../../corpora");
    Folder::new().run(&["corpus", "check", corpora]).exits(0);
}

#[test]
fn what_reaches_nothing_more_is_named_and_removed_when_asked() {
    let folder = Folder::new();
    folder.file("c/long.blk", LONG);
    folder.file("c/restarts.blk", RESTARTS);
    folder.file("c/short.blk", SHORT);
    folder.file("c/wrong.blk", WRONG);
    folder.file("c/wrong-again.blk", WRONG);
    let ran = folder.run(&["corpus", "minimise", "c"]).exits(0);
    let said = "reaches nothing more: c/long.blk\n4 of 5 scenarios reach all that is reached\n";
    assert_eq!(ran.out, said);
    assert_eq!(folder.text("c/long.blk"), LONG);
    let args = [
        "corpus",
        "minimise",
        "--remove",
        "--json",
        "c",
        "c/long.blk",
    ];
    let records = folder.run(&args).exits(0).records();
    let removed = records.iter().filter(|record| record["removed"] == true);
    let removed: Vec<_> = removed.map(|record| record["path"].clone()).collect();
    assert_eq!(removed, ["c/long.blk"]);
    assert!(!folder.path().join("c/long.blk").exists());
    let ran = folder
        .run(&["corpus", "minimise", "--remove", "c"])
        .exits(0);
    assert_eq!(ran.out, "4 of 4 scenarios reach all that is reached\n");
}

#[test]
fn a_scenario_goes_to_a_fuzzer_and_comes_back() {
    let folder = Folder::new();
    folder.file("c/short.blk", SHORT);
    let ran = folder
        .run(&["corpus", "export", "c", "--out", "made/inputs"])
        .exits(0);
    assert_eq!(ran.out, "c/short.blk: made/inputs/short\n");
    let bytes = fs::read(folder.path().join("made/inputs/short")).unwrap();
    assert_eq!(
        blkproof::text::print(Case::decode(&bytes).scenario()),
        SHORT
    );
    let ran = folder.run(&["corpus", "import", "made/inputs"]).exits(0);
    assert_eq!(ran.out, "blkproof-out/short.blk: everything held\n");
    let text = folder.text("blkproof-out/short.blk");
    assert!(text.contains("title made by a fuzzer: short\n"), "{text}");
    // What it stated about its steps is for the model alone to say.
    assert!(
        text.ends_with("write drive0 0 512 fill=0x41 expect=any\n"),
        "{text}"
    );
    folder.run(&["replay", "blkproof-out"]).exits(0);
}

#[test]
fn choices_are_those_of_the_profile() {
    let folder = Folder::new();
    let bytes: Vec<u8> = (0..200_u8).map(|byte| byte.wrapping_mul(77)).collect();
    folder.file("crash", &bytes);
    for (args, profile) in [
        (&["corpus", "import", "crash"][..], None),
        (
            &["corpus", "import", "crash", "--profile", "transactions"],
            Some("transactions"),
        ),
    ] {
        folder.run(args).exits(0);
        let profile = profile.and_then(blkproof::generate::Profile::named);
        let case = Case::from_fuzzer(&bytes, profile.as_ref());
        let document = blkproof::corpus::load(&folder.path().join("blkproof-out/crash.blk"));
        let mut scenario = document.unwrap().scenario;
        scenario.title = None;
        assert_eq!(scenario, case.into_scenario(), "{args:?}");
    }
}

#[test]
fn an_input_that_fails_is_written_down_and_told() {
    let folder = Folder::new();
    let kept = "corpora/bugs/overwrite-is-clean.blk";
    let kept = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(kept);
    let scenario = blkproof::corpus::load(&kept).unwrap().scenario;
    folder.file("crash-1", Case::encode(&scenario));
    folder.run(&["corpus", "import", "crash-1"]).exits(0);
    let args = ["corpus", "import", "--bug", "overwrite-is-clean", "crash-1"];
    let ran = folder.run(&args).exits(1);
    assert!(
        ran.out.contains("blkproof replay blkproof-out/crash-1.blk"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("blkproof shrink blkproof-out/crash-1.blk"),
        "{}",
        ran.out
    );
    let args = [
        "replay",
        "--bug",
        "overwrite-is-clean",
        "blkproof-out/crash-1.blk",
    ];
    folder.run(&args).exits(1);
}

#[test]
fn what_cannot_be_done_is_told() {
    let folder = Folder::new();
    folder.file("c/short.blk", SHORT);
    folder.file("d/short.blk", RESTARTS);
    folder.file("taken", "");
    for (args, code, said) in [
        (
            &["corpus"][..],
            2,
            "Usage: blkproof corpus [OPTIONS] <COMMAND>",
        ),
        (&["corpus", "import", "missing"], 2, "cannot read missing"),
        (&["corpus", "minimise", "missing"], 2, "cannot read missing"),
        (
            &["corpus", "import", "c/short.blk", "--profile", "none"],
            2,
            "none",
        ),
        (
            &["corpus", "import", "c/short.blk", "--out", "taken"],
            2,
            "--out taken: expected a folder, found a file",
        ),
        (
            &["corpus", "export", "c", "--out", "taken"],
            2,
            "--out taken: expected a folder, found a file",
        ),
        (
            &["corpus", "import", "c/short.blk", "--out", "taken/below"],
            3,
            "cannot write taken/below",
        ),
        (
            &["corpus", "export", "c", "d", "--out", "inputs"],
            2,
            "c/short.blk and d/short.blk would both become inputs/short",
        ),
    ] {
        let ran = folder.run(args).exits(code);
        assert!(ran.err.contains(said), "{args:?}\n{}", ran.err);
    }
}

/// A case is told by the seed, the profiles and its number: one that failed is made again the same.
#[test]
fn a_case_is_made_again_alone() {
    let folder = Folder::new();
    let campaign = [
        "run",
        "--seed",
        "7",
        "--profile",
        "small",
        "--profile",
        "faults",
    ];
    let bug = [
        "--cases",
        "400",
        "--failures",
        "1",
        "--bug",
        "hole-is-not-marked",
    ];
    folder.run(&[&campaign[..], &bug].concat()).exits(1);
    let kept = fs::read_dir(folder.path().join("blkproof-out")).unwrap();
    let mut kept = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let name = kept.find(|name| name.ends_with(".blk") && !name.ends_with(".min.blk"));
    let name = name.expect("the campaign kept what failed");
    let number = name.rsplit_once("case").unwrap().1.trim_end_matches(".blk");
    let case = [
        "corpus",
        "case",
        "--seed",
        "7",
        "--profile",
        "small",
        "--profile",
        "faults",
    ];
    let ran = folder.run(&[&case[..], &[number]].concat()).exits(0);
    let file = fs::read_to_string(folder.path().join("blkproof-out").join(&name)).unwrap();
    let steps = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("expect "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(steps(&ran.out), steps(&file), "{name}");
}
