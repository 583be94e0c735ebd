//! The hunt for one bug.

use core::ops::ControlFlow;
use core::time::Duration;
use std::path::Path;
use std::time::Instant;

use blkproof::generate::{self, Profile};
use blkproof::shrink::shrink;
use blkproof::{Failure, Identity, Outcome};
use blkproof_engine::Bug;
use blkproof_spec::{Property, Scenario};

use super::kept::{self, Kept};
use crate::exit::Exit;
use crate::judge::Judge;

/// How many candidates the shrinking of a failure may run.
const CANDIDATES_MAX: u64 = 2000;

/// How bugs are hunted.
#[derive(Debug)]
pub(super) struct Hunt {
    pub(super) seed: u64,
    /// How many campaigns are run for each bug, with seeds that follow each other.
    pub(super) seeds: u64,
    /// How many cases of each campaign are tried before the bug counts as not caught.
    pub(super) cases: u64,
    pub(super) profiles: Vec<Profile>,
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
    pub(super) caught: Option<Caught>,
}

/// A case that caught a bug, and what it was shrunk to.
#[derive(Debug)]
pub(super) struct Caught {
    pub(super) properties: Vec<Property>,
    pub(super) steps: usize,
    pub(super) shrunk: Scenario,
    pub(super) candidates: u64,
}

/// A case that fails as its bug must.
struct Found {
    cases: u64,
    time: Duration,
    scenario: Scenario,
    failure: Box<Failure>,
}

impl Hunt {
    /// Hunts a bug with every seed, and shrinks the first case that catches it.
    pub(super) fn hunt(&self, bug: Bug, kept: Option<&Path>) -> Hunted {
        let mut judge = Judge::with_bugs(bug.into());
        let kept = kept::replay(bug, kept, &mut judge);
        let found: Vec<Option<Found>> = (0..self.seeds)
            .map(|turn| self.campaign(bug, self.seed.wrapping_add(turn), &mut judge))
            .collect();
        let cases = found
            .iter()
            .map(|found| found.as_ref().map(|found| found.cases))
            .collect();
        let mut times: Vec<Duration> = found.iter().flatten().map(|found| found.time).collect();
        times.sort_unstable();
        let time = times.get(times.len() / 2).copied().unwrap_or_default();
        let first = found.into_iter().flatten().min_by_key(|found| found.cases);
        Hunted {
            bug,
            kept,
            cases,
            time,
            caught: first.map(|found| caught(bug, &found, &mut judge)),
        }
    }

    /// Judges cases until one breaks the property that the bug must break.
    fn campaign(&self, bug: Bug, seed: u64, judge: &mut Judge) -> Option<Found> {
        let start = Instant::now();
        (0..self.cases)
            .zip(self.profiles.iter().cycle())
            .find_map(|(number, profile)| {
                let scenario = generate::case(seed, number, profile);
                match judge.judge(&scenario) {
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
}

/// Tells whether the property that a bug must break is among those that a failure breaks.
pub(super) fn breaks(failure: &Failure, bug: Bug) -> bool {
    failure.breaks(bug.property().name())
}

fn caught(bug: Bug, found: &Found, judge: &mut Judge) -> Caught {
    let keep = Identity {
        what: bug.property().name(),
        step_kind: found.failure.step_kind,
    };
    let mut run = |candidate: &Scenario| judge.judge(candidate);
    let mut watch = |_: blkproof::shrink::Progress<'_>| ControlFlow::Continue(());
    let shrunk = shrink(
        &found.scenario,
        &found.failure,
        keep,
        CANDIDATES_MAX,
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
