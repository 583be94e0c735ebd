//! The golden numbers of the specification, and QEMU's iotest 124, to the byte.
//!
//! Scenarios in which power is lost are not carried out here: what is left of a disk then is for a
//! model to say, and `blkproof replay` holds the engine to it.

use std::fs;
use std::path::Path;

use blkproof::spec::Action;
use blkproof::text;

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
    let mut carried_out = 0;
    for file in files {
        let scenario = fs::read_to_string(&file).unwrap();
        if !loses_power(&scenario) {
            run(&scenario);
            carried_out += 1;
        }
    }
    assert!(carried_out >= 13, "{name} has {carried_out} scenarios");
}

fn loses_power(scenario: &str) -> bool {
    let steps = text::parse(scenario.as_bytes()).unwrap().steps;
    let mut actions = steps.iter().map(|step| &step.action);
    actions.any(|action| matches!(action, Action::Kill { .. } | Action::PowerCut(_)))
}

#[test]
fn golden_numbers_come_out_exactly() {
    corpus("golden");
}

#[test]
fn the_seed_comes_out_exactly() {
    corpus("seed");
}
