//! Smaller scenarios with the same failure.
//!
//! [`Shrink`] is a machine that is pulled: it hands out a candidate, is told whether that one still
//! fails, and goes on from there. It runs nothing itself, so that the same code serves a loop
//! ([`shrink()`]), a `ValueTree` of proptest (a candidate that passes is complicated, one that
//! fails simplified) and an iterator of quickcheck (nothing is ever reported).
//!
//! It works in rounds, each a search over edits that can be applied together: first everything that
//! the failure seems not to be about, then parts in groups, then values, shapes and sizes, until
//! nothing changes any more. Parts go with what cannot be without them, or are mended; nothing in a
//! scenario refers to a step by its number, and stamps carry the number that the step has when it
//! is run. A candidate is never handed out twice. Everything follows from the scenario and the
//! answers: there is no chance and no clock, only a bound on the number of candidates.

mod drive;

mod edit;

mod hint;

pub(crate) mod links;

mod lost;

mod rounds;

pub(crate) mod search;

mod shape;

mod values;

use core::hash::{Hash, Hasher};
use std::collections::BTreeSet;
use std::hash::DefaultHasher;

use blkproof_spec::Scenario;

use crate::outcome::Failure;
use links::Links;
use rounds::Round;
use search::Search;

pub use drive::{Progress, Shrunk, identity, shrink};
pub(crate) use hint::failing;
pub use lost::{FewestLost, fewest_lost};
pub(crate) use rounds::{without, without_steps};

/// How many candidates are handed out where nothing else is said.
pub const CANDIDATES_MAX: u64 = 1000;

/// Makes a scenario smaller step by step, led by whether each candidate still fails.
#[derive(Debug)]
pub struct Shrink {
    best: Scenario,
    /// How the best one failed, where that is known: it says where to look.
    failure: Option<Failure>,
    candidate: Option<Scenario>,
    /// What was handed out before, and the first one.
    seen: BTreeSet<u64>,
    tried: u64,
    tries_max: u64,
    round: usize,
    /// Whether something became smaller since the first round.
    changed: bool,
    current: Option<Current>,
}

/// The round that is under way.
#[derive(Debug)]
struct Current {
    base: Scenario,
    links: Links,
    /// The node of the step that failed, which stays.
    stays: Option<usize>,
    search: Search<edit::Edit>,
}

impl Shrink {
    /// Starts with a scenario that fails.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        Self {
            seen: BTreeSet::from([digest(&scenario)]),
            best: scenario,
            failure: None,
            candidate: None,
            tried: 0,
            tries_max: CANDIDATES_MAX,
            round: 0,
            changed: false,
            current: None,
        }
    }

    /// Tells how the scenario failed, which saves many candidates.
    #[must_use]
    pub fn led_by(mut self, failure: &Failure) -> Self {
        self.failure = Some(failure.clone());
        self
    }

    /// Bounds the number of candidates that are handed out.
    #[must_use]
    pub fn at_most(mut self, candidates: u64) -> Self {
        self.tries_max = candidates;
        self
    }

    /// Returns the next candidate, the same one until its outcome is reported; `None` where the
    /// best one cannot be made smaller, or the bound is reached.
    pub fn candidate(&mut self) -> Option<&Scenario> {
        if self.candidate.is_none() {
            self.candidate = self.next();
        }
        self.candidate.as_ref()
    }

    /// Reports whether the candidate still fails in the same way. Without a candidate, nothing
    /// happens.
    pub fn report(&mut self, still_fails: bool) {
        if still_fails {
            self.accept(None);
        } else if self.candidate.take().is_some() {
            self.decide(false);
        }
    }

    /// Reports that the candidate still fails in the same way, and how.
    pub fn report_failure(&mut self, failure: &Failure) {
        self.accept(Some(failure.clone()));
    }

    /// Returns the smallest scenario so far that fails.
    #[must_use]
    pub fn best(&self) -> &Scenario {
        &self.best
    }

    /// Returns how many candidates were handed out.
    #[must_use]
    pub fn tried(&self) -> u64 {
        self.tried
    }

    fn accept(&mut self, failure: Option<Failure>) {
        if let Some(candidate) = self.candidate.take() {
            self.best = candidate;
            self.failure = failure;
            self.changed = true;
            self.decide(true);
        }
    }

    fn decide(&mut self, good: bool) {
        if let Some(current) = &mut self.current {
            current.search.report(good);
        }
    }

    /// Makes the next candidate that is worth running.
    fn next(&mut self) -> Option<Scenario> {
        if self.tried >= self.tries_max {
            return None;
        }
        loop {
            let Some(current) = self.current.as_mut() else {
                self.begin_round()?;
                continue;
            };
            if !current.search.advance() {
                self.end_round();
                continue;
            }
            let Some(candidate) = current.apply() else {
                self.decide(false);
                continue;
            };
            if candidate == self.best {
                self.decide(true);
            } else if self.seen.insert(digest(&candidate)) {
                self.tried += 1;
                return Some(candidate);
            } else {
                self.decide(false);
            }
        }
    }

    /// Ends a round. Halving goes on as long as something is halved: the other rounds come after.
    fn end_round(&mut self) {
        let halved = self.current.take().is_some_and(|current| {
            let is_finer = Round::ALL.get(self.round) == Some(&Round::Finer);
            is_finer && current.base != self.best
        });
        if !halved {
            self.round += 1;
        }
    }

    /// Begins a round; begins anew where the rounds made something smaller. The last round, about
    /// what the steps say of their answers, comes once everything else is done.
    fn begin_round(&mut self) -> Option<()> {
        let last = Round::ALL.len() - 1;
        if self.round == last && self.changed {
            self.round = 0;
            self.changed = false;
        }
        let round = *Round::ALL.get(self.round)?;
        self.current = Some(Current::new(round, &self.best, self.failure.as_ref()));
        Some(())
    }
}

impl Current {
    fn new(round: Round, scenario: &Scenario, failure: Option<&Failure>) -> Self {
        let replies = failure.map_or(&[][..], |failure| &failure.replies);
        let links = Links::of(scenario, replies);
        let failing = failure.and_then(|failure| hint::failing(failure, scenario));
        Self {
            stays: failing.and_then(|index| links.step(index)),
            search: rounds::search(round, scenario, &links, failure),
            base: scenario.clone(),
            links,
        }
    }

    fn apply(&self) -> Option<Scenario> {
        let edits = self.search.to_apply();
        edit::apply(&self.base, &self.links, self.stays, edits)
    }
}

/// Returns a number by which a scenario is known again within a run.
pub(crate) fn digest(scenario: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    scenario.hash(&mut hasher);
    hasher.finish()
}
