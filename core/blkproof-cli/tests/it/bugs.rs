//! `blkproof bugs`.

use crate::program::Folder;

#[test]
fn a_bug_is_hunted_shrunk_and_kept() {
    let folder = Folder::new();
    let args = ["bugs", "--seeds", "1", "--save", "discard-cleans"];
    let ran = folder.run(&args).exits(0);
    assert!(ran.out.contains("1 of 1 bugs caught"), "{}", ran.out);
    // What was kept fails with the bug and passes without it.
    let kept = "corpora/bugs/discard-cleans.blk";
    folder.run(&["replay", kept]).exits(0);
    let ran = folder
        .run(&["replay", "--bug", "discard-cleans", kept])
        .exits(1);
    assert!(ran.out.contains("dirty-sound"), "{}", ran.out);
    folder
        .run(&["bugs", "--seeds", "1", "discard-cleans"])
        .exits(0);
}

#[test]
fn a_bug_that_gets_away_is_a_failure() {
    let folder = Folder::new();
    let args = ["bugs", "--seeds", "1", "--cases", "1", "merged-is-empty"];
    let ran = folder.run(&args).exits(1);
    assert!(ran.out.contains("got away"), "{}", ran.out);
    assert!(ran.out.contains("0 of 1 bugs caught"), "{}", ran.out);
}

#[test]
fn what_is_kept_has_to_show_the_bug() {
    let folder = Folder::new();
    let text = "blkproof 1\ndisk d 1M raw\nwrite d 0 512 stamp\n";
    folder.file("kept/discard-cleans.blk", text);
    let args = ["bugs", "--seeds", "1", "--kept", "kept", "discard-cleans"];
    let ran = folder.run(&args).exits(1);
    assert!(ran.out.contains("it holds with the bug"), "{}", ran.out);
}

#[test]
fn the_list_says_what_each_does_and_what_is_missing() {
    let folder = Folder::new();
    let ran = folder.run(&["bugs", "--list"]).exits(0);
    assert!(ran.out.starts_with("cancel-is-success (C01)\n"));
    assert!(ran.out.contains("\nnot seeded:\n"));
}

#[test]
fn an_unknown_bug_is_bad_usage_with_a_suggestion() {
    let folder = Folder::new();
    let ran = folder.run(&["bugs", "undo-forwards"]).exits(2);
    assert!(ran.err.contains("undo-forward"), "{}", ran.err);
}
