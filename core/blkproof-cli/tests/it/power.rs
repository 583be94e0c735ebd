//! What is told of losses of power.

use std::fs;
use std::path::Path;

use crate::program::Folder;

/// A flush that is kept does not survive the cut behind it.
const KEPT: &str = "\
blkproof 1
disk d 512 qcow2
write d 0 512 stamp
flush d
power-cut lost=all
read d 0 512
";

#[test]
fn what_must_survive_is_looked_at_right_behind_the_cut() {
    let folder = Folder::new();
    folder.file("a.blk", KEPT);
    folder.run(&["replay", "a.blk"]).exits(0);
    let ran = folder.run(&["replay", "--bug", "flush-is-kept", "a.blk"]);
    let ran = ran.exits(1);
    assert!(
        ran.out.contains("flushed-survives at power-cut"),
        "{}",
        ran.out
    );
}

#[test]
fn a_size_and_a_backing_file_that_were_reported_have_to_be_there() {
    let folder = Folder::new();
    let size = "blkproof 1\ndisk d 64k qcow2\nresize d 128k\npower-cut lost=all\n";
    let rebase = "\
blkproof 1
disk d 64k qcow2
backup d full to=low
create i 64k qcow2 backing=low
rebase i no-backing
power-cut lost=all
";
    for (text, bug, seen) in [
        (size, "resize-is-volatile", "size: expected 131072 bytes"),
        (
            rebase,
            "rebased-is-volatile",
            "backing file: expected nothing, saw low",
        ),
    ] {
        folder.file("a.blk", text);
        folder.run(&["replay", "a.blk"]).exits(0);
        let ran = folder.run(&["replay", "--bug", bug, "a.blk"]).exits(1);
        assert!(
            ran.out.contains("flushed-survives at power-cut"),
            "{}",
            ran.out
        );
        assert!(ran.out.contains(seen), "{}", ran.out);
    }
}

#[test]
fn a_sweep_of_power_has_bugs_switched_on() {
    let folder = Folder::new();
    folder.file(
        "a.blk",
        "blkproof 1\ndisk d 512 qcow2\nwrite d 0 512 stamp\nflush d\n",
    );
    folder.run(&["sweep", "--power", "a.blk"]).exits(0);
    let args = ["sweep", "--power", "--bug", "counts-come-late", "a.blk"];
    let ran = folder.run(&args).exits(1);
    assert!(ran.out.contains("image-sound at "), "{}", ran.out);
}

#[test]
fn failures_of_seeded_bugs_are_shrunk_and_explained() {
    let folder = Folder::new();
    folder.file("a.blk", KEPT);
    for command in ["shrink", "explain"] {
        folder.run(&[command, "a.blk"]).exits(2);
        let ran = folder.run(&[command, "--bug", "flush-is-kept", "a.blk"]);
        let ran = ran.exits(1);
        assert!(ran.out.contains("flushed-survives"), "{}", ran.out);
        assert!(ran.out.contains("--bug flush-is-kept"), "{}", ran.out);
    }
}

#[test]
fn a_job_that_reports_success_too_early_is_found_without_a_cut() {
    let folder = Folder::new();
    let text = |setup: &str| {
        format!(
            "blkproof 1\n{setup}disk d 128k raw\nwrite d 0 64k stamp\n\
             backup d full to=full0\ncheck full0 == d\n"
        )
    };
    folder.file("a.blk", text("cache atomic=4k\n"));
    folder.run(&["replay", "a.blk"]).exits(0);
    let args = ["replay", "--bug", "target-is-volatile", "a.blk"];
    let ran = folder.run(&args).exits(1);
    assert!(
        ran.out.contains("completed-survives at backup"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("written and not flushed"), "{}", ran.out);
    // Without a volatile cache there is nothing to find.
    folder.file("a.blk", text(""));
    folder.run(&args).exits(0);
}

/// Seeded bugs, and the assumption that the failure of what is kept of each names when it was
/// shrunk.
const NAMED: [(&str, &str); 8] = [
    (
        "flush-before-tables",
        "needs the L2 table flushed before it is acknowledged as durable",
    ),
    (
        "first-flush-is-skipped",
        "needs the data flushed before it is acknowledged as durable",
    ),
    (
        "table-with-data",
        "needs the data written before the L2 table that leads there",
    ),
    (
        "header-before-directory",
        "needs the refcount block written before the tables that rely on it",
    ),
    (
        "flag-is-volatile",
        "needs the header flushed before anything changes that stored bitmaps are to cover",
    ),
    (
        "resize-is-volatile",
        "needs the header flushed before the resize is reported",
    ),
    (
        "rebased-is-volatile",
        "needs the header flushed before the rebase is reported",
    ),
    (
        "through-without-tables",
        "needs what was in memory only written before it is acknowledged as durable",
    ),
];

#[test]
fn the_fewest_lost_sectors_name_the_assumption_that_is_broken() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpora/bugs");
    for (bug, assumption) in NAMED {
        let folder = Folder::new();
        let text = fs::read_to_string(kept.join(format!("{bug}.blk"))).unwrap();
        folder.file("a.blk", &text);
        let shrunk = folder.run(&["shrink", "--bug", bug, "a.blk"]).exits(1);
        assert!(shrunk.out.contains(assumption), "{}", shrunk.out);
        let small = folder.text("a.min.blk");
        let one = shrunk.out.contains("took 1 sector, ") && small.contains("lost=these(");
        let none = shrunk.out.contains("took nothing, ") && small.contains("lost=none");
        assert!(one || none, "{}", shrunk.out);
        // It is told of the whole scenario as well, whose policy stays what it is.
        let told = folder.run(&["explain", "--bug", bug, "a.blk"]).exits(1);
        assert!(told.out.contains(assumption), "{}", told.out);
    }
}
