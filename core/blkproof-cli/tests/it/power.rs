//! What is told of losses of power.

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
