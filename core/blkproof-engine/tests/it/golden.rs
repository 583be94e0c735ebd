//! The golden numbers of the specification, and QEMU's iotest 124, to the byte.

use std::fs;
use std::path::Path;

use crate::bench::run;

fn corpus(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../corpora")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "blk"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        run(&fs::read_to_string(&file).unwrap());
    }
}

#[test]
fn golden_numbers_come_out_exactly() {
    corpus("golden");
}

#[test]
fn the_seed_comes_out_exactly() {
    corpus("seed");
}
