//! `blkproof fmt`.

use crate::program::Folder;

const CANONICAL: &str = "blkproof 1\ndisk drive0 64M qcow2\nwrite drive0 0 512 fill=0x41\n";
const UNTIDY: &str = "blkproof 1\ndisk   drive0 65536k qcow2\nwrite drive0 0 512   fill=0x41\n";
const BROKEN: &str = "blkproof 1\ndisk drive0 64M qcow2\nwrit drive0 0 512 fill=0x41\n";

#[test]
fn files_are_rewritten_once() {
    let folder = Folder::new();
    folder.file("corpora/a.blk", UNTIDY);
    folder.file("corpora/b.blk", CANONICAL);
    let first = folder.run(&["fmt", "corpora"]).exits(0);
    assert_eq!(first.out, "rewritten: corpora/a.blk\n");
    assert_eq!(folder.text("corpora/a.blk"), CANONICAL);
    let second = folder.run(&["fmt", "corpora"]).exits(0);
    assert_eq!(second.out, "");
}

#[test]
fn a_check_changes_nothing_and_fails() {
    let folder = Folder::new();
    folder.file("a.blk", UNTIDY);
    let ran = folder.run(&["fmt", "--check", "a.blk"]).exits(1);
    assert_eq!(ran.out, "not canonical: a.blk\n");
    assert_eq!(folder.text("a.blk"), UNTIDY);
    folder.file("a.blk", CANONICAL);
    folder.run(&["fmt", "--check", "a.blk"]).exits(0);
}

#[test]
fn a_broken_file_is_told_in_place_and_the_others_are_done() {
    let folder = Folder::new();
    folder.file("a.blk", BROKEN);
    folder.file("b.blk", UNTIDY);
    let ran = folder.run(&["fmt", "."]).exits(2);
    assert_eq!(ran.out, "rewritten: ./b.blk\n");
    insta::assert_snapshot!(ran.err);
    assert_eq!(folder.text("a.blk"), BROKEN);
}

#[test]
fn programs_read_where_a_file_is_broken() {
    let folder = Folder::new();
    folder.file("a.blk", BROKEN);
    folder.file("b.blk", UNTIDY);
    let ran = folder.run(&["fmt", "--check", "--json", "."]).exits(2);
    insta::assert_snapshot!(ran.out);
    assert_eq!(ran.records().len(), 2);
}

#[cfg(unix)]
#[test]
fn links_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = Folder::new();
    let real = folder.file("real.txt", UNTIDY);
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, folder.path().join("link.blk")).unwrap();
    folder.run(&["fmt", "link.blk"]).exits(0);
    assert!(folder.path().join("link.blk").is_symlink());
    assert_eq!(folder.text("real.txt"), CANONICAL);
    let mode = std::fs::metadata(&real).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}
