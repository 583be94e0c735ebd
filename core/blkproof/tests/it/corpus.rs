//! Folders of scenarios.

use std::fs;
use std::path::Path;

use blkproof::corpus::{self, CorpusError};
use blkproof::{Options, Runner};

use crate::engines::{Lie, copiers};

fn names(folder: &Path, path: &str) -> Vec<String> {
    let found = corpus::files(&folder.join(path)).expect("the folder can be read");
    let below = found
        .iter()
        .map(|file| file.strip_prefix(folder).expect("it lies below"));
    below.map(|file| file.display().to_string()).collect()
}

#[test]
fn folders_are_searched_in_order_and_files_taken_as_they_are() {
    let folder = tempfile::tempdir().expect("there is room");
    let folder = folder.path();
    fs::create_dir_all(folder.join("a/deep")).expect("there is room");
    for file in ["b.blk", "a/z.blk", "a/deep/y.blk", "a/notes.txt"] {
        fs::write(folder.join(file), "").expect("there is room");
    }
    assert_eq!(names(folder, ""), ["a/deep/y.blk", "a/z.blk", "b.blk"]);
    assert_eq!(names(folder, "a/notes.txt"), ["a/notes.txt"]);
    fs::create_dir(folder.join("empty")).expect("there is room");
    let empty = corpus::files(&folder.join("empty"));
    assert!(matches!(empty, Err(CorpusError::Empty(_))), "{empty:?}");
    let missing = corpus::files(&folder.join("missing"));
    assert!(
        matches!(missing, Err(CorpusError::Unreadable { .. })),
        "{missing:?}"
    );
}

#[cfg(unix)]
#[test]
fn links_in_circles_end() {
    let folder = tempfile::tempdir().expect("there is room");
    let folder = folder.path();
    fs::write(folder.join("a.blk"), "").expect("there is room");
    std::os::unix::fs::symlink(folder, folder.join("again")).expect("links can be made");
    assert_eq!(names(folder, ""), ["a.blk"]);
}

#[test]
fn broken_files_are_told_with_their_path() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("broken.blk");
    fs::write(&file, "blkproof 1\nflsh drive0\n").expect("there is room");
    let Err(CorpusError::Broken { rendered, path, .. }) = corpus::load(&file) else {
        panic!("the file is broken");
    };
    assert_eq!(path, file);
    assert!(rendered.contains("broken.blk:2:1"), "{rendered}");
}

#[test]
fn scenarios_are_replayed_against_what_they_state() {
    let folder = tempfile::tempdir().expect("there is room");
    let read = "disk drive0 64k raw\nwrite drive0 0 512 stamp\nread drive0 0 512\n";
    let good = format!("blkproof 1\n{read}");
    let bad = format!("blkproof 1\nexpect fail guest-reads-writes\n{read}");
    let mut runner = Runner::new(Options::default());
    let mut as_stated = |text: &str, lie| {
        let file = folder.path().join("one.blk");
        fs::write(&file, text).expect("there is room");
        let document = corpus::load(&file).expect("the file is fine");
        corpus::replay(&document, &mut runner, &mut copiers(lie), None).as_stated
    };
    assert!(as_stated(&good, Lie::Nothing) && !as_stated(&good, Lie::ReadsZeroes));
    assert!(as_stated(&bad, Lie::ReadsZeroes) && !as_stated(&bad, Lie::Nothing));
}
