//! The scenario that everything else is measured by.

use std::path::Path;

use blkproof::spec::Scenario;
use blkproof::spec::step::{Action, Check};
use blkproof::{Outcome, Runner};
use blkproof_engine::{Engine, ImageInspector};

/// Returns `incremental_simple` of the seed corpus, less its digests.
pub(super) fn seed() -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora/seed/incremental_simple.blk");
    let text = std::fs::read(path).expect("the seed corpus is in the repository");
    let mut scenario = blkproof::text::parse(&text).expect("the seed is right");
    scenario
        .steps
        .retain(|step| !matches!(step.action, Action::Check(Check::Digest { .. })));
    scenario
}

/// Judges a scenario that holds.
pub(super) fn judge(runner: &mut Runner, engine: &mut Engine, scenario: &Scenario) {
    let outcome = runner.run(scenario, engine, Some(&mut ImageInspector));
    assert!(matches!(outcome, Outcome::Held(_)), "{outcome:?}");
}
