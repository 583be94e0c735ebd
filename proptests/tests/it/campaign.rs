//! Made-up scenarios on the built-in engine: engine and model must agree about all of them.

use blkproof::generate::{self, Profile};
use blkproof::text::Document;
use blkproof::{Cleanup, Options, Outcome, Report, Runner};
use blkproof_engine::{Engine, ImageInspector};

use crate::cases::cases;

/// How many cases of each profile are run; more where `PROPTEST_CASES` says so.
const CASES: u32 = 400;

#[test]
fn engine_and_model_agree() {
    let mut options = Options::default();
    options.cleanup = Cleanup::Always;
    let cases = u64::from(cases(CASES));
    let mut runner = Runner::new(options);
    let (mut engine, mut inspector) = (Engine::new(), ImageInspector);
    for profile in Profile::built_in().iter().chain([Profile::wild()]) {
        for number in 0..cases {
            let scenario = generate::case(1, number, profile);
            let outcome = runner.run(&scenario, &mut engine, Some(&mut inspector));
            if let Outcome::Failed(failure) = outcome {
                let document = Document::of(scenario);
                let name = format!("{}, case {number}", profile.name);
                let report = Report::new(&failure, &document, &name, "the scenario is below");
                panic!("{}\n{}", report.render(), document.print());
            }
        }
    }
}
