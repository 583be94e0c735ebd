//! The seeded bugs: what is kept of each holds without the bug, and breaks its property with it.

use std::path::Path;

use blkproof::{Options, Outcome, Runner, corpus};
use blkproof_engine::{Bug, Bugs, Engine, ImageInspector};

#[test]
fn every_kept_scenario_shows_its_bug_and_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora/bugs");
    let files = corpus::files(&folder).expect("the corpus is in the repository");
    assert!(files.len() >= 66, "only {} bugs are kept", files.len());
    let mut runner = Runner::new(Options::default());
    for file in files {
        let name = file.file_stem().and_then(|name| name.to_str());
        let bug = name.and_then(Bug::from_name);
        let bug = bug.unwrap_or_else(|| panic!("{} names no bug", file.display()));
        let scenario = corpus::load(&file)
            .expect("the corpus is in order")
            .scenario;
        let mut run = |bugs| {
            let mut engine = Engine::with_bugs(bugs);
            runner.run(&scenario, &mut engine, Some(&mut ImageInspector))
        };
        let without = run(Bugs::NONE);
        assert!(matches!(without, Outcome::Held(_)), "{bug}: {without:?}");
        match run(bug.into()) {
            Outcome::Failed(failure) if failure.breaks(bug.property().name()) => {}
            other => panic!("{bug}: {other:?}"),
        }
    }
}
