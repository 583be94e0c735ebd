//! Long scenarios that fail by one bug, and what it takes to make them short.

use core::ops::ControlFlow;

use blkproof::generate::{self, Profile};
use blkproof::shrink::{CANDIDATES_MAX, Progress, identity, shrink};
use blkproof::spec::Scenario;
use blkproof::{Failure, Options, Outcome, Runner};
use blkproof_engine::{Bug, Bugs, Engine};

/// Bugs of all parts of the engine: jobs, bitmaps, tracking of writes, guarding of old data.
const BUGS: [Bug; 12] = [
    Bug::CancelIsSuccess,
    Bug::DiscardCleans,
    Bug::TailIsForgotten,
    Bug::LoadedIsUncounted,
    Bug::ZeroesAreNotGuarded,
    Bug::GuardCopiesItsPart,
    Bug::FlyingIsForgotten,
    Bug::StatusIsStale,
    Bug::FilterComesLate,
    Bug::FirstWriteIsEarly,
    Bug::OverwriteIsClean,
    Bug::ErrorOfAnother,
];

/// What fails late has to run so many steps first.
const LATE: usize = 40;

/// A scenario of 150 to 200 steps that a bug makes fail late.
pub(super) struct Failing {
    pub(super) bug: Bug,
    scenario: Scenario,
    failure: Box<Failure>,
    engine: Engine,
}

/// Finds such a scenario for most bugs.
pub(super) fn failing(runner: &mut Runner) -> Vec<Failing> {
    let mut profile = Profile::named("small").expect("a built-in profile");
    profile.steps = (150, 200);
    let mut find = |bug| {
        let mut engine = Engine::with_bugs(Bugs::NONE.with(bug));
        (0..200).find_map(|number| {
            let scenario = generate::case(17, number, &profile);
            match runner.run(&scenario, &mut engine, None) {
                Outcome::Failed(failure) if failure.replies.len() >= LATE => {
                    Some((scenario, failure))
                }
                _ => None,
            }
        })
    };
    let found = BUGS.into_iter().filter_map(|bug| {
        let (scenario, failure) = find(bug)?;
        Some(Failing {
            bug,
            scenario,
            failure,
            engine: Engine::with_bugs(Bugs::NONE.with(bug)),
        })
    });
    found.collect()
}

pub(super) fn runner() -> Runner {
    Runner::new(Options::default())
}

impl Failing {
    /// Makes the scenario short, and returns how many runs that took, and how many steps are left.
    pub(super) fn shrink(&mut self, runner: &mut Runner) -> (u64, usize) {
        let keep = identity(&self.failure).expect("it fails");
        let engine = &mut self.engine;
        let mut run = |candidate: &Scenario| runner.run(candidate, engine, None);
        let mut watch = |_: Progress<'_>| ControlFlow::Continue(());
        let small = shrink(
            &self.scenario,
            &self.failure,
            keep,
            CANDIDATES_MAX,
            &mut run,
            &mut watch,
        );
        (small.runs, small.scenario.steps.len())
    }
}
