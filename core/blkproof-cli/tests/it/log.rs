//! `blkproof log`.

use crate::program::Folder;

pub(crate) const BACKUP: &str = "\
blkproof 1
disk d 512k qcow2 cluster=4k
bitmap add d b persistent
write d 0 64k stamp
flush d
write d 32k 64k stamp
backup d full to=full0
discard d 0 32k
write d 256k 8k stamp
restart
write d 0 4k stamp
";

fn word(log: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(log[at..at + 8].try_into().unwrap())
}

#[test]
fn what_is_exported_is_swept() {
    let folder = Folder::new();
    folder.file("a.blk", BACKUP);
    for sector in ["512", "4096"] {
        let args = ["log", "export", "a.blk", "-o", "d.log", "--sector", sector];
        let ran = folder.run(&args).exits(0);
        assert!(ran.out.ends_with(" entries of d in d.log\n"), "{}", ran.out);
        let ran = folder.run(&["log", "sweep", "d.log"]).exits(0);
        let line = ran.out.strip_prefix("ok  d.log  ").unwrap();
        assert!(
            line.contains(" states: all held, none left out; "),
            "{line}"
        );
        assert_eq!(ran.err, "");
    }
    // A target, which is not there at the beginning.
    let args = ["log", "export", "a.blk", "--image", "full0", "-o", "t.log"];
    folder.run(&args).exits(0);
    folder.run(&["log", "sweep", "t.log"]).exits(0);
}

#[test]
fn programs_read_what_was_exported_and_swept() {
    let folder = Folder::new();
    folder.file("a.blk", BACKUP);
    let args = ["log", "export", "a.blk", "-o", "d.log", "--json"];
    let exported = folder.run(&args).exits(0).records().remove(0);
    assert_eq!(exported["type"], "log-exported");
    let log = std::fs::read(folder.path().join("d.log")).unwrap();
    assert_eq!(exported["entries"], word(&log, 16));
    let count = |random: &str| {
        let args = ["log", "sweep", "d.log", "--json", "--random", random];
        let swept = folder.run(&args).exits(0).records().remove(0);
        assert_eq!(swept["type"], "log-swept");
        assert_eq!(swept["entries"], exported["entries"]);
        assert_eq!(swept["states"], swept["held"]);
        assert_eq!(swept["complete"], true);
        let judged = swept["positions"].as_u64().unwrap() - swept["before"].as_u64().unwrap();
        (judged, swept["cuts"].as_u64().unwrap())
    };
    let (judged, none) = count("0");
    assert!(judged > 20 && none > 4 * judged, "{judged} {none}");
    assert_eq!(count("7"), (judged, none + 7 * judged));
}

/// A log that says that nothing was flushed is one of a disk that reorders as it likes.
#[test]
fn a_log_without_its_flushes_fails_and_what_is_left_is_kept() {
    let folder = Folder::new();
    folder.file("a.blk", BACKUP);
    folder
        .run(&["log", "export", "a.blk", "-o", "d.log"])
        .exits(0);
    let path = folder.path().join("d.log");
    let mut log = std::fs::read(&path).unwrap();
    let (mut at, mut flushes) = (512, 0);
    for _ in 0..word(&log, 16) {
        let (sectors, flags) = (word(&log, at + 8), word(&log, at + 16));
        // The first one makes durable what was there before.
        flushes += flags & 1;
        if flags & 1 == 1 && flushes > 1 {
            log[at + 16] = 0;
        }
        at += 512;
        if flags & 4 == 0 {
            at += usize::try_from(sectors).unwrap() * 512;
        }
    }
    assert!(flushes > 5);
    folder.file("d.log", &log);
    let ran = folder
        .run(&["log", "sweep", "d.log", "--out", "kept"])
        .exits(1);
    let mut lines = ran.out.lines();
    let first = lines.next().unwrap();
    assert!(first.starts_with("d.log: entry "), "{first}");
    assert!(first.contains(", power-cut lost="), "{first}");
    let (_, kept) = first.rsplit_once("what is left: ").unwrap();
    assert!(kept.starts_with("kept/d-entry"), "{kept}");
    let image = std::fs::read(folder.path().join(kept)).unwrap();
    assert!(image.starts_with(b"QFI\xfb"));
    let last = ran.out.lines().last().unwrap();
    assert!(last.starts_with("FAIL  d.log  "), "{last}");
    assert!(last.contains(" 20 failed, not complete"), "{last}");
    assert_eq!(ran.err, "ended early: 20 failed\n");
    let json = ["log", "sweep", "d.log", "--out", "kept", "--json"];
    let records = folder.run(&json).exits(1).records();
    assert_eq!(records[0]["type"], "log-broken");
    assert_eq!(records[0]["image"], kept);
    assert_eq!(records.last().unwrap()["failed"], 20);
}

#[test]
fn broken_logs_are_told_with_their_place() {
    let folder = Folder::new();
    folder.file("a.blk", BACKUP);
    folder
        .run(&["log", "export", "a.blk", "-o", "d.log"])
        .exits(0);
    let log = std::fs::read(folder.path().join("d.log")).unwrap();
    let patched = |at: usize, byte: u8| {
        let mut log = log.clone();
        log[at] = byte;
        log
    };
    for (log, told) in [
        (
            Vec::new(),
            "superblock: needs 28 bytes of the log, which has 0",
        ),
        (patched(0, 0), "superblock: expected the magic number"),
        (patched(23, 0xff), "superblock: says that there are "),
        (
            patched(512 + 18, 1),
            "entry 1 at offset 512: unknown flags 0x10008",
        ),
        (patched(512 + 31, 1), "entry 1 at offset 512: a mark of "),
        (patched(1024 + 14, 1), "entry 2 at offset 1024: "),
        (log[..log.len() - 1].to_vec(), ": needs "),
    ] {
        folder.file("broken.log", log);
        let ran = folder.run(&["log", "sweep", "broken.log"]).exits(2);
        assert!(ran.err.starts_with("error: broken.log: "), "{}", ran.err);
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
        assert_eq!(ran.out, "");
    }
}

#[test]
fn what_cannot_be_exported_or_swept_is_bad_usage() {
    let folder = Folder::new();
    folder.file("a.blk", BACKUP);
    folder.file(
        "raw.blk",
        "blkproof 1\ndisk d 64k raw\nwrite d 0 4k stamp\nflush d\n",
    );
    folder.file("none.blk", "blkproof 1\n");
    let raw = ["log", "export", "raw.blk", "-o", "raw.log"];
    folder.run(&raw).exits(0);
    for (args, told) in [
        (&["log"][..], "Usage: blkproof log"),
        (&["log", "export", "a.blk"], "--out <LOG>"),
        (
            &["log", "export", "a.blk", "-o", "x", "--sector", "1000"],
            "expected a power of two from 512 to 8388608",
        ),
        (
            &["log", "export", "a.blk", "-o", "x", "--image", "e"],
            "a.blk has no image e",
        ),
        (
            &["log", "export", "none.blk", "-o", "x"],
            "there is no disk",
        ),
        (&["log", "export", "missing.blk", "-o", "x"], "missing.blk"),
        (&["log", "sweep", "missing.log"], "cannot read missing.log"),
        (
            &["log", "sweep", "raw.log", "--base", "missing"],
            "cannot read missing",
        ),
        (
            &["log", "sweep", "raw.log"],
            "no qcow2 image is ever complete in raw.log",
        ),
        (
            &["log", "sweep", "raw.log", "--random", "many"],
            "--random <N>",
        ),
    ] {
        let ran = folder.run(args).exits(2);
        assert!(ran.err.contains(told), "{args:?}: {}", ran.err);
    }
    assert!(!folder.path().join("x").exists());
    let nowhere = ["log", "export", "a.blk", "-o", "no/such/folder"];
    let ran = folder.run(&nowhere).exits(3);
    assert!(
        ran.err.contains("cannot write no/such/folder"),
        "{}",
        ran.err
    );
}
