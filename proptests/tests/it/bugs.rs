//! The seeded bugs: what is kept of each holds without the bug, and breaks its property with it;
//! where it can cost data, also if what bitmaps report is hidden from the judge.

use std::path::Path;

use blkproof::{Options, Outcome, Runner, corpus};
use blkproof_engine::{Bug, Bugs, Engine, ImageInspector};

/// What a file says of a bug that nothing else shows.
const ONLY_REPORTED: &str = "\n# Only what bitmaps report shows it: with that hidden, it holds.\n";

/// Of so many bugs it is only reports of bitmaps that show them: those about what is reported.
const ONLY_REPORTED_MAX: usize = 7;

#[test]
fn what_costs_data_shows_without_reports_of_bitmaps() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora/bugs");
    let mut options = Options::default();
    options.hide_status = true;
    let mut runner = Runner::new(options);
    let mut only_reported = 0;
    for file in corpus::files(&folder).expect("the corpus is in the repository") {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        let scenario = corpus::load(&file).expect("it is in order").scenario;
        let name = file.file_stem().and_then(|name| name.to_str());
        let bug = name.and_then(Bug::from_name).expect("it names a bug");
        let mut engine = Engine::with_bugs(bug.into());
        let outcome = runner.run(&scenario, &mut engine, Some(&mut ImageInspector));
        let fails = matches!(outcome, Outcome::Failed(_));
        assert_eq!(!fails, text.contains(ONLY_REPORTED), "{bug}: {outcome:#?}");
        only_reported += usize::from(!fails);
    }
    assert!(only_reported <= ONLY_REPORTED_MAX, "{only_reported}");
}

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
