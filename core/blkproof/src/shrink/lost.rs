//! The fewest sectors whose loss is enough.
//!
//! A failure by a cut of the power that loses what a policy says is tried again with exactly those
//! bytes lost that did not reach the medium, named one by one, and then with ever fewer of them.
//! First it is tried with nothing lost at all. Where only the order mattered in which something
//! reached the medium, it is tried with each pending operation lost alone.

use blkproof_spec::power::Lost;
use blkproof_spec::step::Action;
use blkproof_spec::{ByteRange, ImageName, SECTOR, Scenario};

use crate::outcome::{Cut, Failure, Identity, Outcome};

/// How many pending operations are tried alone at most.
const ALONE_MAX: usize = 64;

/// Bytes of images.
type Bytes = Vec<(ImageName, ByteRange)>;

/// A scenario whose cuts name what they lose, as little as is enough.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FewestLost {
    /// The scenario.
    pub scenario: Scenario,
    /// How it fails.
    pub failure: Box<Failure>,
    /// How many candidates were run.
    pub runs: u64,
    /// Whether nothing is left to try; else the bound was reached.
    pub complete: bool,
}

/// Searches, for each cut of a scenario that fails, for the fewest sectors whose loss is enough for
/// a failure of the identity `keep`; runs at most `runs_max` candidates. `None` where no cut can be
/// told that way.
pub fn fewest_lost(
    scenario: &Scenario,
    failure: &Failure,
    keep: Identity,
    runs_max: u64,
    run: &mut dyn FnMut(&Scenario) -> Outcome,
) -> Option<FewestLost> {
    let mut search = Search {
        scenario: scenario.clone(),
        failure: Box::new(failure.clone()),
        keep,
        runs: 0,
        runs_max,
        run,
    };
    let mut told = false;
    for cut in failure.counts.cuts.iter().rev() {
        let index = usize::try_from(cut.asked.0).ok()?.checked_sub(1)?;
        told |= search.cut(index, cut);
    }
    told.then_some(FewestLost {
        complete: search.runs < runs_max,
        scenario: search.scenario,
        failure: search.failure,
        runs: search.runs,
    })
}

struct Search<'a> {
    scenario: Scenario,
    failure: Box<Failure>,
    keep: Identity,
    runs: u64,
    runs_max: u64,
    run: &'a mut dyn FnMut(&Scenario) -> Outcome,
}

impl Search<'_> {
    /// Has one cut lose as little as is enough; tells whether it can be told what it loses.
    fn cut(&mut self, step: usize, cut: &Cut) -> bool {
        if self.fails(step, &[]) {
            return true;
        }
        let alone = cut.pending.iter().take(ALONE_MAX);
        let alone = alone.map(|one| vec![one.clone()]);
        let sets = [cut.lost.clone(), cut.pending.clone()];
        let mut sets = sets.into_iter().chain(alone).filter(|set| !set.is_empty());
        let Some(mut lost) = sets.find(|set| self.fails(step, set)) else {
            return false;
        };
        loop {
            self.fewer(step, &mut lost);
            let halved: Bytes = lost.iter().flat_map(halves).collect();
            if halved.len() == lost.len() || self.runs >= self.runs_max {
                return true;
            }
            lost = halved;
        }
    }

    /// Leaves out what is not needed, first in large groups, then piece by piece.
    fn fewer(&mut self, step: usize, lost: &mut Bytes) {
        let mut group = lost.len() / 2;
        while group > 0 {
            let mut at = 0;
            while at < lost.len() && lost.len() > 1 {
                let end = lost.len().min(at + group);
                let rest: Bytes = [&lost[..at], &lost[end..]].concat();
                if !rest.is_empty() && self.fails(step, &rest) {
                    *lost = rest;
                } else {
                    at = end;
                }
            }
            group /= 2;
        }
    }

    /// Tells whether the same failure comes where a cut loses exactly these bytes; keeps it then.
    fn fails(&mut self, step: usize, lost: &[(ImageName, ByteRange)]) -> bool {
        if self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        let candidate = losing(&self.scenario, step, merged(lost));
        match (self.run)(&candidate) {
            Outcome::Failed(failure) if failure.identities().contains(&self.keep) => {
                self.scenario = candidate;
                self.failure = failure;
                true
            }
            _ => false,
        }
    }
}

fn losing(scenario: &Scenario, step: usize, lost: Bytes) -> Scenario {
    let mut scenario = scenario.clone();
    if let Some(Action::PowerCut(cut)) = scenario.steps.get_mut(step).map(|step| &mut step.action) {
        cut.lost = if lost.is_empty() {
            Lost::None
        } else {
            Lost::These(lost)
        };
        cut.torn = None;
    }
    scenario
}

/// Returns the halves of a range in whole sectors; a single sector stays as it is.
fn halves((image, range): &(ImageName, ByteRange)) -> Bytes {
    let sectors = range.len.div_ceil(SECTOR);
    let middle = range.start + sectors / 2 * SECTOR;
    let parts = [
        ByteRange::between(range.start, middle),
        ByteRange::between(middle, range.end()),
    ];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.map(|part| (image.clone(), part)).collect()
}

/// Writes what touches in one piece.
fn merged(lost: &[(ImageName, ByteRange)]) -> Bytes {
    let mut out = Bytes::new();
    for (image, range) in lost {
        match out.last_mut() {
            Some((known, last)) if known == image && last.end() == range.start => {
                last.len += range.len;
            }
            _ => out.push((image.clone(), *range)),
        }
    }
    out
}
