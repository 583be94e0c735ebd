//! `blkproof shrink` and `blkproof explain`.

use std::fs;

use crate::program::Folder;

/// The last check is wrong; most of the rest has nothing to do with it.
const WRONG: &str = "\
blkproof 1
title a full backup holds what was written after it (it does not)
disk drive0 64M qcow2
disk drive1 1M raw
at-open drive1.file inject-error event=none errno=EIO once
write drive0 1M 64k stamp
write drive1 0 64k stamp expect=failed(EIO)
bitmap add drive0 b0
backup drive0 full to=full0
flush drive0
write drive0 1M 4k stamp
check full0 == drive0
flush drive0
";

const SMALL: &str = "\
blkproof 1
title a full backup holds what was written after it (it does not)
disk drive0 512 qcow2
backup drive0 full to=full0
write drive0 0 512 stamp
check full0 == drive0
";

fn stated(text: &str) -> String {
    text.replacen("\ndisk", "\nexpect fail restore-exact\ndisk", 1)
}

#[test]
fn a_scenario_is_shrunk_and_told() {
    let folder = Folder::new();
    folder.file("wrong.blk", WRONG);
    let ran = folder.run(&["shrink", "wrong.blk"]).exits(1);
    insta::assert_snapshot!(ran.out);
    assert_eq!(folder.text("wrong.min.blk"), SMALL);
    assert_eq!(folder.text("wrong.blk"), WRONG);
    let replayed = folder.run(&["replay", "wrong.min.blk"]).exits(1);
    assert!(replayed.out.contains("restore-exact at check"));
}

#[test]
fn a_second_call_goes_on_where_the_first_ended() {
    let folder = Folder::new();
    folder.file("wrong.blk", WRONG);
    let mut last = usize::MAX;
    for call in 0.. {
        assert!(call < 20, "it comes to an end");
        let args = ["shrink", "wrong.blk", "-o", "small.blk", "--runs", "12"];
        let ran = folder.run(&args).exits(1);
        assert_eq!(ran.err.contains("going on from small.blk"), call > 0);
        let text = folder.text("small.blk");
        assert!(text.lines().count() <= last);
        last = text.lines().count();
        if text == SMALL {
            break;
        }
        assert!(ran.out.contains("call it again"), "{}", ran.out);
    }
}

#[test]
fn what_an_earlier_call_left_of_another_scenario_is_replaced() {
    let folder = Folder::new();
    folder.file("wrong.blk", WRONG);
    folder.file("wrong.min.blk", "blkproof 1\ndisk drive0 1M qcow2\n");
    let ran = folder.run(&["shrink", "wrong.blk"]).exits(1);
    assert!(!ran.err.contains("going on"), "{}", ran.err);
    assert_eq!(folder.text("wrong.min.blk"), SMALL);
}

#[test]
fn a_failure_that_is_stated_stays_stated() {
    let folder = Folder::new();
    folder.file("wrong.blk", stated(WRONG));
    folder.run(&["shrink", "wrong.blk"]).exits(0);
    assert_eq!(folder.text("wrong.min.blk"), stated(SMALL));
    folder.run(&["replay", "wrong.min.blk"]).exits(0);
    folder.run(&["explain", "wrong.min.blk"]).exits(0);
}

#[test]
fn shrinking_is_told_to_programs() {
    let folder = Folder::new();
    folder.file("wrong.blk", WRONG);
    let ran = folder.run(&["shrink", "--json", "wrong.blk"]).exits(1);
    let [record] = &ran.records()[..] else {
        panic!("one record: {}", ran.out);
    };
    assert_eq!(record["type"], "shrunk");
    assert_eq!(record["identity"], "restore-exact at check");
    assert_eq!(record["path"], "wrong.blk");
    assert_eq!(record["file"], "wrong.min.blk");
    assert_eq!(
        (&record["steps_before"], &record["steps_after"]),
        (&8.into(), &3.into())
    );
    assert_eq!(record["complete"], true);
}

#[test]
fn what_does_not_fail_cannot_be_shrunk_or_explained() {
    let folder = Folder::new();
    folder.file(
        "fine.blk",
        "blkproof 1\ndisk drive0 1M qcow2\nflush drive0\n",
    );
    folder.file("wrong.blk", WRONG);
    for (args, said) in [
        (&["shrink", "fine.blk"][..], "fine.blk does not fail"),
        (&["explain", "fine.blk"], "fine.blk does not fail"),
        (
            &["shrink", "wrong.blk", "--keep", "dirty-sound"],
            "wrong.blk does not break dirty-sound; it fails: refused-not-wrong at check, ",
        ),
        (&["explain", "wrong.blk", "--keep", "x"], "does not break x"),
        (&["shrink", "missing.blk"], "cannot read missing.blk"),
        (&["explain", "."], "cannot read ."),
        (&["shrink", "wrong.blk", "--runs", "0"], "at least 1"),
    ] {
        let ran = folder.run(args).exits(2);
        assert_eq!(ran.out, "", "{args:?}");
        assert!(ran.err.contains(said), "{args:?}\n{}", ran.err);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn what_is_no_scenario_is_not_replaced() {
    let folder = Folder::new();
    folder.file("wrong.blk", WRONG);
    folder.file("notes.txt", "precious");
    let ran = folder.run(&["shrink", "wrong.blk", "-o", "notes.txt"]);
    let ran = ran.exits(2);
    assert!(ran.err.contains("notes.txt"), "{}", ran.err);
    assert_eq!(folder.text("notes.txt"), "precious");
    let ran = folder.run(&["shrink", "wrong.blk", "-o", "missing/small.blk"]);
    let ran = ran.exits(3);
    assert!(
        ran.err.contains("cannot write missing/small.blk"),
        "{}",
        ran.err
    );
}

#[test]
fn a_failure_is_explained() {
    let folder = Folder::new();
    folder.file("wrong.blk", WRONG);
    let ran = folder.run(&["explain", "wrong.blk"]).exits(1);
    insta::assert_snapshot!(ran.out);
    let ran = folder.run(&["explain", "--json", "wrong.blk"]).exits(1);
    let [record] = &ran.records()[..] else {
        panic!("one record: {}", ran.out);
    };
    assert_eq!(record["type"], "explained");
    let parts = record["parts"].as_array().unwrap();
    let weights: Vec<_> = parts.iter().map(|part| part["weight"].clone()).collect();
    assert_eq!(
        weights,
        [
            "irrelevant",
            "irrelevant",
            "irrelevant",
            "irrelevant",
            "needed",
            "irrelevant",
            "needed",
            "fails"
        ]
    );
}
