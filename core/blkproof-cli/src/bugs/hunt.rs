//! The hunt for one bug.

use core::ops::ControlFlow;
use core::time::Duration;
use std::path::Path;
use std::time::Instant;

use blkproof::generate::{self, Profile};
use blkproof::shrink::shrink;
use blkproof::{Counts, Failure, Identity, Outcome};
use blkproof_engine::Bug;
use blkproof_spec::{Property, Scenario};

use super::kept::{self, Kept};
use crate::crew::Stop;
use crate::exit::Exit;
use crate::judge::Judge;

/// How many cases of each campaign are tried to find one that fails without what bitmaps report.
const HIDDEN_CASES_MAX: u64 = 3000;

/// How bugs are hunted.
#[derive(Debug)]
pub(super) struct Hunt<'a> {
    pub(super) seed: u64,
    /// How many campaigns are run for each bug, with seeds that follow each other.
    pub(super) seeds: u64,
    /// How many cases of each campaign are tried before the bug counts as not caught.
    pub(super) cases: u64,
    pub(super) profiles: Vec<Profile>,
    /// How many candidates the shrinking of a failure may run.
    pub(super) runs: u64,
    /// Whether a scenario is looked for that is worth to be kept.
    pub(super) saves: bool,
    pub(super) stop: &'a Stop,
}

/// What came of the hunt for a bug.
#[derive(Debug)]
pub(super) struct Hunted {
    pub(super) bug: Bug,
    pub(super) kept: Kept,
    /// Of each campaign, how many cases it took, or `None` where the bug was not caught.
    pub(super) cases: Vec<Option<u64>>,
    /// The time of the campaign that took the median number of cases.
    pub(super) time: Duration,
    /// What each campaign that caught it caught.
    pub(super) caught: Vec<Caught>,
    /// What shows it best, where that was asked for.
    pub(super) best: Option<Best>,
}

/// A case that caught a bug, and what it was shrunk to.
#[derive(Clone, Debug)]
pub(super) struct Caught {
    pub(super) properties: Vec<Property>,
    pub(super) steps: usize,
    pub(super) shrunk: Scenario,
    pub(super) candidates: u64,
}

/// The scenario that shows a bug best.
#[derive(Debug)]
pub(super) struct Best {
    pub(super) scenario: Scenario,
    /// Whether it fails as well where what bitmaps report is hidden from the judge.
    pub(super) shows_hidden: bool,
}

/// A case that fails as its bug must.
struct Found {
    cases: u64,
    time: Duration,
    scenario: Scenario,
    failure: Box<Failure>,
}

/// Judges a scenario.
type Run<'a> = &'a mut dyn FnMut(&Scenario) -> Outcome;

impl Hunt<'_> {
    /// Hunts a bug with every seed, and shrinks each case that catches it; `None` where that was
    /// stopped on the way.
    pub(super) fn hunt(&self, bug: Bug, kept: Option<&Path>) -> Option<Hunted> {
        let mut judge = Judge::with_bugs(bug.into());
        // What is there of it is about to be replaced.
        let kept = kept.filter(|_| !self.saves);
        let kept = kept::replay(bug, kept, &mut judge);
        let mut run = |scenario: &Scenario| judge.judge(scenario);
        let found: Vec<Option<Found>> = self
            .seeds()
            .map(|seed| self.campaign(bug, seed, self.cases, &mut run))
            .collect();
        let cases = found
            .iter()
            .map(|found| found.as_ref().map(|found| found.cases))
            .collect();
        let mut times: Vec<Duration> = found.iter().flatten().map(|found| found.time).collect();
        times.sort_unstable();
        let time = times.get(times.len() / 2).copied().unwrap_or_default();
        let caught = found.iter().flatten();
        let caught: Vec<Caught> = caught
            .map(|found| self.caught(bug, found, &mut run))
            .collect();
        let best = self.saves.then(|| self.best(bug, &caught)).flatten();
        self.stop.goes_on().then_some(Hunted {
            bug,
            kept,
            cases,
            time,
            caught,
            best,
        })
    }

    fn seeds(&self) -> impl Iterator<Item = u64> {
        let first = self.seed;
        (0..self.seeds).map(move |turn| first.wrapping_add(turn))
    }

    /// Judges cases until one breaks the property that the bug must break.
    fn campaign(&self, bug: Bug, seed: u64, cases: u64, run: Run<'_>) -> Option<Found> {
        let start = Instant::now();
        (0..cases)
            .zip(self.profiles.iter().cycle())
            .take_while(|_| self.stop.goes_on())
            .find_map(|(number, profile)| {
                let scenario = generate::case(seed, number, profile);
                match run(&scenario) {
                    Outcome::Failed(failure) if breaks(&failure, bug) => Some(Found {
                        cases: number + 1,
                        time: start.elapsed(),
                        scenario,
                        failure,
                    }),
                    _ => None,
                }
            })
    }

    fn caught(&self, bug: Bug, found: &Found, run: Run<'_>) -> Caught {
        let keep = Identity {
            what: bug.property().name(),
            step_kind: found.failure.step_kind,
        };
        let mut run = |candidate: &Scenario| match self.stop.goes_on() {
            true => run(candidate),
            false => Outcome::Held(Counts::default()),
        };
        let mut watch = |_: blkproof::shrink::Progress<'_>| ControlFlow::Continue(());
        let shrunk = shrink(
            &found.scenario,
            &found.failure,
            keep,
            self.runs,
            &mut run,
            &mut watch,
        );
        let mut properties: Vec<Property> = Vec::new();
        for property in shrunk
            .failure
            .findings
            .iter()
            .filter_map(blkproof::Finding::property)
        {
            if !properties.contains(&property) {
                properties.push(property);
            }
        }
        Caught {
            properties,
            steps: found.scenario.steps.len(),
            shrunk: shrunk.scenario,
            candidates: shrunk.runs,
        }
    }

    /// Looks for what shows a bug best: a scenario that fails also where what bitmaps report is
    /// hidden, since that can cost data; where there is none, the shortest that was caught. Either
    /// has to hold without the bug.
    fn best(&self, bug: Bug, caught: &[Caught]) -> Option<Best> {
        let mut right = Judge::new();
        let mut holds = |scenario: &Scenario| matches!(right.judge(scenario), Outcome::Held(_));
        let mut shown = Judge::with_bugs(bug.into());
        let mut hidden = Judge::without_status(bug.into());
        let mut run = |scenario: &Scenario| match shown.judge(scenario) {
            Outcome::Failed(failure) => match hidden.judge(scenario) {
                Outcome::Failed(_) if holds(scenario) => Outcome::Failed(failure),
                _ => Outcome::Held(Counts::default()),
            },
            other => other,
        };
        let cases = self.cases.min(HIDDEN_CASES_MAX);
        let found = self
            .seeds()
            .find_map(|seed| self.campaign(bug, seed, cases, &mut run));
        if let Some(found) = found {
            return Some(Best {
                scenario: self.caught(bug, &found, &mut run).shrunk,
                shows_hidden: true,
            });
        }
        let caught = caught.iter().filter(|caught| holds(&caught.shrunk));
        let shortest = caught.min_by_key(|caught| caught.shrunk.steps.len());
        shortest.map(|caught| Best {
            scenario: caught.shrunk.clone(),
            shows_hidden: false,
        })
    }
}

/// Tells whether the property that a bug must break is among those that a failure breaks.
pub(super) fn breaks(failure: &Failure, bug: Bug) -> bool {
    failure.breaks(bug.property().name())
}

impl Hunted {
    /// Tells how many cases it took, in the middle of all campaigns; `None` where the bug got away
    /// in most of them.
    pub(super) fn median(&self) -> Option<u64> {
        let mut cases: Vec<u64> = self
            .cases
            .iter()
            .map(|cases| cases.unwrap_or(u64::MAX))
            .collect();
        cases.sort_unstable();
        let median = cases.get(cases.len() / 2).copied();
        median.filter(|cases| *cases != u64::MAX)
    }

    /// Tells how many steps the cases that caught it have in the middle, as they were and shrunk.
    pub(super) fn steps(&self) -> Option<(usize, usize)> {
        let whole = middle(self.caught.iter().map(|caught| caught.steps));
        let shrunk = middle(self.caught.iter().map(|caught| caught.shrunk.steps.len()));
        whole.zip(shrunk)
    }

    /// Tells how the program ends with this bug. What is kept of it does not count where it is
    /// `saved` anew.
    pub(super) fn exit(&self, saved: bool) -> Exit {
        let kept = saved || self.kept == Kept::Shows || self.kept == Kept::Nowhere;
        let caught = self.cases.iter().all(Option::is_some);
        if kept && caught {
            Exit::Held
        } else {
            Exit::Failed
        }
    }
}

/// Returns the number in the middle, the larger one of two.
pub(super) fn middle(numbers: impl Iterator<Item = usize>) -> Option<usize> {
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied()
}
