//! The loop around the machine: candidates are run, and what fails in the same way is kept.

use core::ops::ControlFlow;

use blkproof_spec::{Property, Scenario};

use super::{Shrink, fewest_lost};
use crate::outcome::{Failure, Identity, Outcome};

/// A scenario that was made smaller.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Shrunk {
    /// The smallest scenario that fails in the same way.
    pub scenario: Scenario,
    /// How it fails.
    pub failure: Box<Failure>,
    /// How many candidates were run.
    pub runs: u64,
    /// Whether nothing is left to try; else the bound was reached, or the watcher ended it.
    pub complete: bool,
}

/// How far the shrinking of a scenario is, each time it gets smaller.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The smallest scenario so far.
    pub scenario: &'a Scenario,
    /// How it fails.
    pub failure: &'a Failure,
    /// How many candidates were run.
    pub runs: u64,
}

/// Returns the identity to keep where nobody asks for another: the first one that says what is
/// wrong. That an expectation is not met, or that a fault was met before, comes along with others.
#[must_use]
pub fn identity(failure: &Failure) -> Option<Identity> {
    let beside = [Property::RefusedNotWrong.name(), "expectation"];
    let identities = failure.identities();
    let telling = identities
        .iter()
        .find(|found| !beside.contains(&found.what));
    telling.or(identities.first()).copied()
}

/// Shrinks `scenario`, which fails as `failure` says, as long as a candidate fails with the
/// identity `keep`, and at most `runs_max` candidates long. `run` runs a candidate; `watch` hears
/// of every smaller scenario and may end the whole.
///
/// ```
/// # use core::ops::ControlFlow;
/// # use blkproof::{Options, Outcome, Runner, Subject};
/// # use blkproof::spec::Scenario;
/// fn smaller(scenario: &Scenario, subject: &mut dyn Subject) -> Option<Scenario> {
///     let mut runner = Runner::new(Options::default());
///     let Outcome::Failed(failure) = runner.run(scenario, subject, None) else {
///         return None;
///     };
///     let keep = blkproof::shrink::identity(&failure)?;
///     let mut run = |candidate: &Scenario| runner.run(candidate, subject, None);
///     let shrunk = blkproof::shrink::shrink(scenario, &failure, keep, 1000, &mut run, &mut |_| {
///         ControlFlow::Continue(())
///     });
///     Some(shrunk.scenario)
/// }
/// ```
pub fn shrink(
    scenario: &Scenario,
    failure: &Failure,
    keep: Identity,
    runs_max: u64,
    run: &mut dyn FnMut(&Scenario) -> Outcome,
    watch: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Shrunk {
    let mut machine = Shrink::new(scenario.clone())
        .led_by(failure)
        .at_most(runs_max);
    let mut best = Box::new(failure.clone());
    let mut complete = true;
    while let Some(candidate) = machine.candidate() {
        match run(candidate) {
            Outcome::Failed(failure) if failure.identities().contains(&keep) => {
                machine.report_failure(&failure);
                best = failure;
                let progress = Progress {
                    scenario: machine.best(),
                    failure: &best,
                    runs: machine.tried(),
                };
                if watch(progress).is_break() {
                    complete = false;
                    break;
                }
            }
            _ => machine.report(false),
        }
    }
    let shrunk = Shrunk {
        complete: complete && machine.tried() < runs_max,
        runs: machine.tried(),
        scenario: machine.best().clone(),
        failure: best,
    };
    if !shrunk.complete {
        return shrunk;
    }
    name_lost(shrunk, keep, runs_max, run, watch)
}

/// Has the cuts of a scenario that is as small as can be name the fewest sectors whose loss is
/// enough.
fn name_lost(
    shrunk: Shrunk,
    keep: Identity,
    runs_max: u64,
    run: &mut dyn FnMut(&Scenario) -> Outcome,
    watch: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Shrunk {
    let left = runs_max - shrunk.runs;
    let Some(fewest) = fewest_lost(&shrunk.scenario, &shrunk.failure, keep, left, run) else {
        return shrunk;
    };
    let runs = shrunk.runs + fewest.runs;
    let progress = Progress {
        scenario: &fewest.scenario,
        failure: &fewest.failure,
        runs,
    };
    let goes_on = watch(progress).is_continue();
    Shrunk {
        complete: fewest.complete && goes_on,
        runs,
        scenario: fewest.scenario,
        failure: fewest.failure,
    }
}
