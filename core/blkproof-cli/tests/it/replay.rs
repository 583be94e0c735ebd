//! `blkproof replay`.

use crate::program::{Folder, without_counts};

const PASSES: &str = "\
blkproof 1
title a full backup holds what the disk held
disk drive0 1M raw
write drive0 64k 64k stamp
backup drive0 full to=full0
check full0 == drive0
";

/// It states a digest that is not that of the image.
const FAILS: &str = "\
blkproof 1
title a digest that is wrong on purpose
disk drive0 1M raw
write drive0 0 512 fill=0x41
flush drive0
check digest drive0 sha256=0000000000000000000000000000000000000000000000000000000000000000
";

const BROKEN: &str = "\
blkproof 1
disk drive0 1M raw
writ drive0 0 512 fill=0x41
";

#[test]
fn what_ends_as_it_states_is_a_line() {
    let folder = Folder::new();
    folder.file("a.blk", PASSES);
    let ran = folder.run(&["replay", "a.blk"]).exits(0);
    insta::assert_snapshot!(without_counts(&ran.out));
    assert_eq!(ran.err, "");
}

#[test]
fn folders_are_replayed_in_the_order_of_their_paths() {
    let folder = Folder::new();
    for name in ["c/b.blk", "c/a/z.blk", "c/a/deep/y.blk"] {
        folder.file(name, PASSES);
    }
    folder.file("c/notes.txt", "no scenario");
    let ran = folder.run(&["replay", "c"]).exits(0);
    let paths = ran
        .out
        .lines()
        .map(|line| line.split_whitespace().nth(1).unwrap());
    let paths: Vec<&str> = paths.take(3).collect();
    assert_eq!(paths, ["c/a/deep/y.blk", "c/a/z.blk", "c/b.blk"]);
    assert!(
        ran.out.ends_with("\nall 3 scenarios ended as they state\n"),
        "{}",
        ran.out
    );
}

#[cfg(unix)]
#[test]
fn folders_in_circles_end() {
    let folder = Folder::new();
    folder.file("c/a.blk", PASSES);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("c/again")).unwrap();
    folder.run(&["replay", "c"]).exits(0);
}

#[test]
fn what_fails_is_told_and_can_be_replayed_by_the_command_that_is_printed() {
    let folder = Folder::new();
    folder.file("my disks/wrong.blk", FAILS);
    let first = folder.run(&["replay", "my disks"]).exits(1);
    insta::assert_snapshot!(first.out);
    assert!(
        first
            .out
            .contains("\n  replay it: blkproof replay 'my disks/wrong.blk'\n")
    );
    let again = folder.run(&["replay", "my disks/wrong.blk"]).exits(1);
    assert_eq!(again.out, first.out);
}

#[test]
fn what_fails_is_told_to_programs() {
    let folder = Folder::new();
    folder.file("wrong.blk", FAILS);
    folder.file("right.blk", PASSES);
    let ran = folder.run(&["replay", "--json", "."]).exits(1);
    assert_eq!(ran.err, "");
    insta::assert_snapshot!(without_counts(&ran.out));
    let met: Vec<_> = ran
        .records()
        .iter()
        .map(|record| record["met"].clone())
        .collect();
    assert_eq!(met, [true, false]);
}

#[test]
fn a_stated_failure_that_does_not_come_is_not_met() {
    let folder = Folder::new();
    folder.file(
        "a.blk",
        PASSES.replacen("\ndisk", "\nexpect fail dirty-sound\ndisk", 1),
    );
    let ran = folder.run(&["replay", "a.blk"]).exits(1);
    insta::assert_snapshot!(ran.out);
}

#[test]
fn another_failure_than_the_stated_one_is_not_met() {
    let folder = Folder::new();
    folder.file(
        "a.blk",
        FAILS.replacen("\ndisk", "\nexpect fail dirty-sound\ndisk", 1),
    );
    let ran = folder.run(&["replay", "a.blk"]).exits(1);
    let said = "it states that dirty-sound fails, but it is something else:\na.blk:7: ";
    assert!(ran.out.contains(said), "{}", ran.out);
}

#[test]
fn broken_and_missing_files_do_not_keep_the_others_from_being_replayed() {
    let folder = Folder::new();
    folder.file("a.blk", BROKEN);
    folder.file("b.blk", FAILS);
    folder.file("c.blk", PASSES);
    let ran = folder.run(&["replay", "missing.blk", "."]).exits(2);
    insta::assert_snapshot!(ran.err);
    assert!(ran.out.contains("FAIL  ./b.blk"), "{}", ran.out);
    assert!(ran.out.contains("ok  ./c.blk"), "{}", ran.out);
}

#[test]
fn any_bytes_are_answered_with_a_place() {
    let folder = Folder::new();
    for (bytes, place) in [
        (&b""[..], "a.blk:1:1"),
        (b"\xff\xfe\x00", "a.blk:1:1"),
        (
            b"blkproof 1\ndisk drive0 1M raw\nwrite drive0 0 512 fill=\xc0",
            "a.blk:3:25",
        ),
        (b"blkproof 2\n", "a.blk:1:10"),
        (b"blkproof 1\n\0\0\0\0", "a.blk:2:1"),
    ] {
        folder.file("a.blk", bytes);
        let ran = folder.run(&["replay", "a.blk"]).exits(2);
        assert_eq!(ran.out, "");
        assert!(ran.err.contains(place), "{bytes:?}\n{}", ran.err);
    }
}

#[test]
fn disks_that_cannot_be_are_told_with_their_place() {
    let folder = Folder::new();
    for (disks, place) in [
        ("disk d 1T qcow2 cluster=512", "a.blk:2:8"),
        ("disk d 9223372036854775296 raw", "a.blk:2:8"),
        ("disk d 1M raw\ndisk e 1M qcow2 backing=d", "a.blk:3:25"),
    ] {
        folder.file("a.blk", format!("blkproof 1\n{disks}\n"));
        let ran = folder.run(&["replay", "a.blk"]).exits(2);
        assert_eq!(ran.out, "");
        assert!(ran.err.contains(place), "{disks}\n{}", ran.err);
    }
    folder.file("a.blk", "blkproof 1\ndisk d 128G qcow2 cluster=512\n");
    folder.run(&["replay", "a.blk"]).exits(0);
}

#[test]
fn a_file_of_a_newer_version_is_refused_by_its_name_in_every_verb() {
    let folder = Folder::new();
    folder.file("corpora/new.blk", "blkproof 2\nentirely new\n");
    let verbs: [&[&str]; 6] = [
        &["replay", "corpora"],
        &["run", "--cases", "1"],
        &["sweep", "corpora"],
        &["fmt", "corpora"],
        &["shrink", "corpora/new.blk"],
        &["explain", "corpora/new.blk"],
    ];
    for verb in verbs {
        let ran = folder.run(verb).exits(2);
        assert!(ran.err.contains("corpora/new.blk:1:10"), "{}", ran.err);
        let said = "the scenario is written for version 2; this blkproof reads version 1";
        assert!(ran.err.contains(said), "{verb:?}: {}", ran.err);
    }
    let kept = folder.text("corpora/new.blk");
    assert_eq!(kept, "blkproof 2\nentirely new\n");
}

/// A rule that watches for what never happens here is no failure, but whoever wrote it wants to
/// know.
#[test]
fn rules_that_never_acted_are_named() {
    let folder = Folder::new();
    folder.file(
        "idle.blk",
        "blkproof 1\ndisk drive0 1M qcow2\n\
         fault drive0.file inject-error event=vmstate_load errno=EIO\nwrite drive0 0 64k stamp\n",
    );
    let ran = folder.run(&["replay", "idle.blk"]).exits(0);
    let told = "never acted: drive0.file inject-error event=vmstate_load errno=EIO";
    assert!(ran.out.contains(told), "{}", ran.out);
}
