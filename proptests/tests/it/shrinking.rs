//! Long failing scenarios become short ones that fail in the same way.

use core::ops::ControlFlow;

use blkproof::generate::{self, Profile};
use blkproof::shrink::{Shrunk, identity, shrink};
use blkproof::spec::step::Expect;
use blkproof::spec::{Action, Scenario};
use blkproof::{Failure, Options, Outcome, Runner, text};
use blkproof_engine::Engine;

use crate::planted::{Bug, Planted};

#[path = "../../benches/workload/shrunk.rs"]
mod shrunk;

/// A long scenario that a bug makes fail.
struct Case {
    bug: Bug,
    scenario: Scenario,
    failure: Box<Failure>,
}

/// Finds a made-up scenario of 150 to 200 steps that this bug makes fail late.
fn find(bug: Bug, runner: &mut Runner) -> Option<Case> {
    let profiles = ["small", "faults"].map(|name| {
        let mut profile = Profile::named(name).expect("it is built in");
        profile.steps = (150, 200);
        profile
    });
    (0..80).find_map(|number| {
        let scenario = generate::case(17, number, &profiles[usize::from(number % 2 == 1)]);
        match runner.run(&scenario, &mut Planted::new(bug), None) {
            Outcome::Failed(failure) if failure.replies.len() >= 40 => Some(Case {
                bug,
                scenario,
                failure,
            }),
            _ => None,
        }
    })
}

/// The cases found with the subject's reports shown to the judge, or hidden from it.
fn cases(runner: &mut Runner) -> Vec<Case> {
    let found = Bug::ALL.iter().filter_map(|bug| find(*bug, runner));
    let found: Vec<Case> = found.collect();
    assert!(found.len() >= Bug::ALL.len() / 2, "{} bugs", found.len());
    found
}

fn runner(hide_status: bool) -> Runner {
    let mut options = Options::default();
    options.hide_status = hide_status;
    Runner::new(options)
}

impl Case {
    fn shrink(&self, runner: &mut Runner) -> Shrunk {
        let keep = identity(&self.failure).expect("it fails");
        let mut run =
            |candidate: &Scenario| runner.run(candidate, &mut Planted::new(self.bug), None);
        let mut watch = |_: blkproof::shrink::Progress<'_>| ControlFlow::Continue(());
        shrink(
            &self.scenario,
            &self.failure,
            keep,
            1000,
            &mut run,
            &mut watch,
        )
    }
}

#[test]
fn planted_bugs_are_shrunk_to_a_few_steps_by_a_few_runs() {
    let mut sizes = Vec::new();
    let mut runs = 0;
    for hide_status in [false, true] {
        let mut runner = runner(hide_status);
        for case in cases(&mut runner) {
            let small = case.shrink(&mut runner);
            let text = text::print(&small.scenario);
            assert!(small.complete, "{:?}\n{text}", case.bug);
            assert!(small.scenario.steps.len() <= 12, "{:?}\n{text}", case.bug);
            sizes.push(small.scenario.steps.len());
            runs += small.runs;
        }
    }
    sizes.sort_unstable();
    assert!(sizes[sizes.len() / 2] <= 8, "{sizes:?}");
    let mean = runs / sizes.len() as u64;
    assert!(mean <= 100, "{mean} runs on average");
}

#[test]
fn what_is_shrunk_fails_in_the_same_way_when_it_is_read_back() {
    let mut runner = runner(true);
    for case in cases(&mut runner) {
        let keep = identity(&case.failure).expect("it fails");
        let small = case.shrink(&mut runner);
        let text = text::print(&small.scenario);
        let read = text::parse(text.as_bytes());
        assert_eq!(read.as_ref(), Ok(&small.scenario), "{text}");
        let again = runner.run(&small.scenario, &mut Planted::new(case.bug), None);
        assert_eq!(again, Outcome::Failed(small.failure), "{text}");
        let Outcome::Failed(failure) = again else {
            panic!("it fails");
        };
        assert!(failure.identities().contains(&keep), "{text}");
        // It states the answers of the engine with the bug; the model alone judges the other one.
        let mut scenario = small.scenario;
        for step in &mut scenario.steps {
            if !matches!(step.action, Action::Check(_)) {
                step.expect = Expect::Any;
            }
        }
        let clean = runner.run(&scenario, &mut Engine::new(), None);
        assert!(matches!(clean, Outcome::Held(_)), "{text}\n{clean:?}");
    }
}

#[test]
fn a_scenario_is_shrunk_the_same_way_each_time() {
    let mut runner = runner(false);
    for case in cases(&mut runner).into_iter().take(4) {
        assert_eq!(case.shrink(&mut runner), case.shrink(&mut runner));
    }
}

#[test]
fn what_fails_by_one_bug_of_the_engine_takes_a_hundred_runs_at_most() {
    let mut runner = shrunk::runner();
    let mut failing = shrunk::failing(&mut runner);
    assert!(failing.len() > 6, "{} bugs", failing.len());
    for case in &mut failing {
        let (runs, steps) = case.shrink(&mut runner);
        assert!(runs <= 100, "{:?}: {runs} runs", case.bug);
        assert!(steps <= 6, "{:?}: {steps} steps", case.bug);
    }
}
