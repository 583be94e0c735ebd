use std::collections::BTreeSet;
use std::fs;

use super::{Find, TARGETS, Target, did_all, end, names};
use crate::repository;

/// A target that nobody runs would be forgotten; `null` is there to be measured against.
#[test]
fn every_target_is_run() {
    let entries = fs::read_dir(repository().join("fuzz/fuzz_targets")).unwrap();
    let mut found: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert!(found.remove("null"));
    let named: BTreeSet<String> = names().into_iter().map(str::to_owned).collect();
    assert_eq!(found, named);
}

#[test]
fn targets_are_shims() {
    for entry in fs::read_dir(repository().join("fuzz/fuzz_targets")).unwrap() {
        let path = entry.unwrap().path();
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 20, "{} has {lines} lines", path.display());
    }
}

#[test]
fn a_run_that_ended_early_is_no_run() {
    let output = "INFO: seed corpus\n#12\tDONE cov: 1\nDone 2500 runs in 3 second(s)\n";
    assert!(did_all(output, 2500));
    assert!(!did_all(output, 2501));
    assert!(!did_all("#12\tDONE cov: 1\n", 1));
}

#[test]
fn a_find_is_told_with_the_command_that_imports_it() {
    let told = |find| {
        let target = Target {
            name: "t",
            runs: 1,
            find,
        };
        target.told(
            "artifacts/crash-1",
            "x\nthread 't' panicked at a.rs:1:\nwrong\n",
        )
    };
    let said = told(Find::Scenario(Some("transactions")));
    assert!(said.contains("wrong"), "{said}");
    let import = "corpus import --profile transactions artifacts/crash-1";
    assert!(said.ends_with(import), "{said}");
    assert!(told(Find::Scenario(None)).ends_with("corpus import artifacts/crash-1"));
    assert!(told(Find::Other).ends_with(" t artifacts/crash-1"));
}

/// The bug is the one that the target has by itself.
#[test]
fn the_canary_is_one_target_and_its_bug_is_that_of_the_library() {
    let bugs = TARGETS.iter().filter_map(|target| match target.find {
        Find::Canary(bug) => Some(bug),
        _ => None,
    });
    let bugs: Vec<_> = bugs.collect();
    assert_eq!(bugs, ["overwrite-is-clean"]);
    let library = fs::read_to_string(repository().join("proptests/src/scenario.rs")).unwrap();
    assert!(library.contains("Bug::OverwriteIsClean.into()"));
}

#[test]
fn the_end_of_a_long_output_is_shown() {
    let output: String = (0..100).map(|line| format!("{line}\n")).collect();
    assert!(end(&output).starts_with("80\n") && end(&output).ends_with("99"));
    assert_eq!(end("one"), "one");
}
