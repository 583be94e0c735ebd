//! The scenarios of the repository, run by the built-in engine in memory.

use std::path::Path;

use blkproof::text::Document;
use blkproof::{Options, Outcome, Report, Runner, corpus};
use blkproof_engine::Engine;

/// Replays every scenario of a folder and returns the reports of those that do not end as they state.
fn replay(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpora")
        .join(folder);
    let mut runner = Runner::new(Options::default());
    let files = corpus::files(&folder).expect("the corpus is there");
    let one = |file: &Path| {
        let document = corpus::load(file).expect("the corpus is in order");
        let mut engine = Engine::new();
        let replayed = corpus::replay(&document, &mut runner, &mut engine, None);
        (!replayed.as_stated).then(|| told(&replayed.outcome, &document, file))
    };
    files
        .iter()
        .map(|file| file.as_path())
        .filter_map(one)
        .collect()
}

fn told(outcome: &Outcome, document: &Document, file: &Path) -> String {
    let file = file.display().to_string();
    match outcome {
        Outcome::Failed(failure) => Report::new(failure, document, &file, "cargo test").render(),
        other => format!("{file}: {other:?}\n"),
    }
}

#[test]
fn the_seed_ends_as_it_states() {
    let reports = replay("seed");
    assert!(
        reports.is_empty(),
        "{} fail\n{}",
        reports.len(),
        reports.join("\n")
    );
}

#[test]
fn the_golden_numbers_come_out() {
    let reports = replay("golden");
    assert!(
        reports.is_empty(),
        "{} fail\n{}",
        reports.len(),
        reports.join("\n")
    );
}
