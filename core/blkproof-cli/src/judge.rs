//! The built-in engine before its judge.

use core::cell::Cell;
use core::mem;
use std::borrow::Cow;
use std::panic;

use blkproof::coverage::Coverage;
use blkproof::device::{MemStore, Operation, Pool};
use blkproof::known::{Known, Sightings};
use blkproof::spec::Scenario;
use blkproof::sweep::log::{self, Broken, Log, SweepError};
use blkproof::sweep::power;
use blkproof::{Failure, Options, Outcome, Runner};
use blkproof_engine::{Bugs, Engine, ImageInspector};

use crate::args::BugName;

/// Judges scenarios on the built-in engine. Each thread has its own, with its own store.
#[derive(Debug)]
pub(crate) struct Judge {
    once: Runner,
    traced: Runner,
    bugs: Bugs,
    again: Runner,
    /// How many scenarios were judged twice since what was reached was last taken.
    twice: u64,
    known: Known,
    sightings: Sightings,
}

/// Makes a judge of the engine with the seeded bugs of these names.
pub(crate) fn of_bugs(names: &[BugName]) -> Judge {
    Judge::with_bugs(set_of(names))
}

fn set_of(names: &[BugName]) -> Bugs {
    let names = names.iter();
    names.fold(Bugs::NONE, |bugs, name| bugs.with(name.0))
}

impl Judge {
    /// Makes a judge.
    pub(crate) fn new() -> Self {
        Self::with_bugs(Bugs::NONE)
    }

    /// Makes a judge of the engine with some seeded bugs.
    pub(crate) fn with_bugs(bugs: Bugs) -> Self {
        Self::looking(Options::default(), bugs)
    }

    /// Makes a judge from whom it is hidden what bitmaps report.
    pub(crate) fn without_status(bugs: Bugs) -> Self {
        let mut options = Options::default();
        options.hide_status = true;
        Self::looking(options, bugs)
    }

    fn looking(once: Options, bugs: Bugs) -> Self {
        let mut traced = once;
        traced.trace = true;
        let pool = Pool::new();
        Self {
            once: Runner::with_pool(once, &pool),
            traced: Runner::with_pool(traced, &pool),
            bugs,
            again: Runner::with_pool(traced, &pool),
            twice: 0,
            known: Known::default(),
            sightings: Sightings::default(),
        }
    }

    /// Leaves what is known out of what is judged from now on.
    pub(crate) fn mask(&mut self, known: Known) {
        self.known = known;
    }

    /// Judges a scenario, if need be behind what is known, `twice` where traces are to be compared.
    /// Returns the scenario that was judged last, with what came of it.
    pub(crate) fn look_behind(&mut self, scenario: Scenario, twice: bool) -> (Scenario, Outcome) {
        let known = mem::take(&mut self.known);
        let mut sightings = mem::take(&mut self.sightings);
        let judged = known.look_behind(scenario, &mut sightings, &mut |scenario| match twice {
            true => self.judge_twice(scenario),
            false => self.judge(scenario),
        });
        self.known = known;
        self.sightings = sightings;
        judged
    }

    /// Returns how often what is known was seen since the last call.
    pub(crate) fn take_sightings(&mut self) -> Sightings {
        mem::take(&mut self.sightings)
    }

    /// Begins to count what scenarios reach; of one that is judged twice, the first run counts.
    pub(crate) fn cover(&mut self) {
        self.once.cover();
        self.traced.cover();
    }

    /// Returns what scenarios reached since the last call, if that is counted.
    pub(crate) fn take_coverage(&mut self) -> Option<Coverage> {
        let mut all = self.once.take_coverage()?;
        all.merge(&self.traced.take_coverage()?);
        all.note_repeated(mem::take(&mut self.twice));
        Some(all)
    }

    /// Judges a scenario.
    pub(crate) fn judge(&mut self, scenario: &Scenario) -> Outcome {
        let outcome = run(&mut self.once, self.bugs, scenario);
        self.known.mask(outcome, &mut self.sightings)
    }

    /// Cuts the power at every operation of a scenario; `each` is told of each state that does not
    /// hold and says whether to go on.
    pub(crate) fn sweep_power(
        &mut self,
        scenario: &Scenario,
        random: u64,
        each: impl FnMut(&power::Swept<'_>) -> bool,
    ) -> Result<power::Tally, String> {
        let bugs = self.bugs;
        let fresh = || Engine::with_bugs(bugs);
        let mut inspector = ImageInspector::new();
        JUDGING.set(true);
        let swept = power::sweep(
            &mut self.once,
            scenario,
            random,
            fresh,
            &mut inspector,
            each,
        );
        JUDGING.set(false);
        swept.map_err(|error| error.message)
    }

    /// Runs a scenario and records it.
    pub(crate) fn record(&mut self, scenario: &Scenario) -> Result<power::Done, String> {
        let bugs = self.bugs;
        JUDGING.set(true);
        let recorded = power::record(&mut self.once, scenario, || Engine::with_bugs(bugs));
        JUDGING.set(false);
        recorded.map_err(|error| error.message)
    }

    /// Judges a scenario twice; both runs have to leave the same trace.
    pub(crate) fn judge_twice(&mut self, scenario: &Scenario) -> Outcome {
        let first = run(&mut self.traced, self.bugs, scenario);
        let second = run(&mut self.again, self.bugs, scenario);
        self.twice += 1;
        Outcome::of_two(first, &second, scenario)
    }
}

/// Cuts the power at every operation of a write log; `each` is told of each state that is not as it
/// must be and says whether to go on.
pub(crate) fn sweep_log<E>(
    log: Log<'_>,
    store: &MemStore,
    operations: impl IntoIterator<Item = Result<Operation, E>>,
    each: impl FnMut(&Broken<'_>) -> bool,
) -> Result<log::Tally, SweepError<E>> {
    let mut inspector = ImageInspector::new();
    JUDGING.set(true);
    let swept = log::sweep(log, store, operations, Engine::new, &mut inspector, each);
    JUDGING.set(false);
    swept
}

/// Returns a failure of the engine with these seeded bugs, with what its cuts of the power took.
pub(crate) fn with_lost<'a>(
    failure: &'a Failure,
    scenario: &Scenario,
    bugs: &[BugName],
) -> Cow<'a, Failure> {
    if failure.counts.cuts.iter().all(|cut| cut.lost.is_empty()) {
        return Cow::Borrowed(failure);
    }
    let mut options = Options::default();
    options.tell_lost = true;
    let mut told = failure.clone();
    if let Outcome::Failed(again) = run(&mut Runner::new(options), set_of(bugs), scenario) {
        told.counts.cuts = again.counts.cuts;
    }
    Cow::Owned(told)
}

std::thread_local! {
    /// Whether this thread is judging: a panic then is a finding, which is reported as one.
    static JUDGING: Cell<bool> = const { Cell::new(false) };
}

/// Has panics that are findings say nothing by themselves.
pub(crate) fn hush() {
    let say = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !JUDGING.get() {
            say(info);
        }
    }));
}

fn run(runner: &mut Runner, bugs: Bugs, scenario: &Scenario) -> Outcome {
    let mut engine = Engine::with_bugs(bugs);
    let mut inspector = ImageInspector::new();
    JUDGING.set(true);
    let outcome = runner.run(scenario, &mut engine, Some(&mut inspector));
    JUDGING.set(false);
    outcome
}
