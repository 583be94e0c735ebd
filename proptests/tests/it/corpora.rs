//! The scenarios of the repository, run by the built-in engine in memory: as a user replays them,
//! and in every other way in which the judge can look.

use std::path::{Path, PathBuf};

use blkproof::text::Document;
use blkproof::{Cleanup, Options, Outcome, Report, Runner, corpus};
use blkproof_engine::{Engine, ImageInspector};

#[test]
fn every_scenario_ends_as_it_states() {
    assert_held(Options::default(), true);
}

#[test]
fn every_scenario_holds_without_an_inspector() {
    assert_held(Options::default(), false);
}

#[test]
fn every_scenario_holds_where_status_is_hidden() {
    let mut options = Options::default();
    options.hide_status = true;
    assert_held(options, true);
}

#[test]
fn every_scenario_can_be_brought_to_an_end() {
    let mut options = Options::default();
    options.cleanup = Cleanup::Always;
    assert_held(options, true);
}

#[test]
fn every_scenario_is_repeated_exactly() {
    let mut options = Options::default();
    options.trace = true;
    let mut runner = Runner::new(options);
    let (mut engine, mut inspector) = (Engine::new(), ImageInspector::new());
    for file in files() {
        let document = corpus::load(&file).expect("the corpus is in order");
        let mut trace = || {
            let outcome = runner.run(&document.scenario, &mut engine, Some(&mut inspector));
            outcome.counts().trace.expect("a trace was asked for")
        };
        assert_eq!(trace(), trace(), "{}", file.display());
    }
}

/// What a failure prints must replay it: run, print, parse what was printed, run, the same failure.
#[test]
fn a_failure_is_the_same_when_it_is_read_back() {
    let text = "blkproof 1\ndisk drive0 1M qcow2\nwrite drive0 0 64k stamp\n\
        backup drive0 full to=full0\ncheck event drive0 completed len=2M\n";
    let scenario = blkproof::text::parse(text.as_bytes()).expect("the text is fine");
    let mut runner = Runner::new(Options::default());
    let first = runner.run(&scenario, &mut Engine::new(), None);
    assert!(matches!(first, Outcome::Failed(_)), "{first:?}");
    let printed = blkproof::text::print(&scenario);
    let again = blkproof::text::parse(printed.as_bytes()).expect("what was printed parses");
    assert_eq!(runner.run(&again, &mut Engine::new(), None), first);
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora");
    corpus::files(&folder).expect("the corpus is there")
}

/// Replays every scenario and fails with the reports of those that do not end as they state.
fn assert_held(options: Options, inspected: bool) {
    let mut runner = Runner::new(options);
    let (mut engine, mut inspector) = (Engine::new(), ImageInspector::new());
    let mut reports = Vec::new();
    for file in files() {
        let document = corpus::load(&file).expect("the corpus is in order");
        let replayed = if inspected {
            corpus::replay(&document, &mut runner, &mut engine, Some(&mut inspector))
        } else {
            corpus::replay(&document, &mut runner, &mut engine, None)
        };
        if !replayed.as_stated {
            reports.push(told(&replayed.outcome, &document, &file));
        }
    }
    assert!(
        reports.is_empty(),
        "{} fail\n{}",
        reports.len(),
        reports.join("\n")
    );
}

fn told(outcome: &Outcome, document: &Document, file: &Path) -> String {
    let file = file.display().to_string();
    let replay = format!("cargo run --release -- replay {file}");
    match outcome {
        Outcome::Failed(failure) => Report::new(failure, document, &file, &replay).render(),
        other => format!("{file}: {other:?}\n"),
    }
}
