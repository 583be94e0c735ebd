//! What a campaign did, summed up in whatever order the cases come.

mod written;

use blkproof::coverage::Coverage;
use blkproof::known::{Known, Sightings};
use blkproof::{Counts, NotJudged, Outcome};
use blkproof_spec::step::{GuestOp, TransactionAction};
use blkproof_spec::{Action, Scenario};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::hex;

/// What cases did.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Totals {
    pub(crate) cases: u64,
    pub(crate) failed: u64,
    pub(crate) not_judged: u64,
    /// The cases in which nothing but known findings could be seen.
    pub(crate) masked: u64,
    pub(crate) twice: u64,
    pub(crate) steps: u64,
    pub(crate) writes: u64,
    pub(crate) backups: u64,
    pub(crate) comparisons: u64,
    pub(crate) bytes_compared: u64,
    pub(crate) faults_planned: u64,
    pub(crate) faults_matched: u64,
    pub(crate) faults_fired: u64,
    pub(crate) faults_idle: u64,
    /// How often each known finding showed, by its position in the list.
    pub(crate) sightings: Vec<u64>,
    /// What was reached, where that is counted.
    #[serde(with = "written::coverage")]
    pub(crate) coverage: Option<Coverage>,
    #[serde(with = "written::digest")]
    digest: [u8; 32],
}

impl Totals {
    /// Adds a case.
    pub(crate) fn add(&mut self, number: u64, scenario: &Scenario, outcome: &Outcome, twice: bool) {
        self.cases += 1;
        self.twice += u64::from(twice);
        match outcome {
            Outcome::Held(_) => (),
            Outcome::Failed(_) => self.failed += 1,
            Outcome::NotJudged(NotJudged::Known, _) => self.masked += 1,
            Outcome::NotJudged(..) => self.not_judged += 1,
        }
        let counts = outcome.counts();
        self.count(counts);
        let done = usize::try_from(counts.steps).unwrap_or(usize::MAX);
        for step in scenario.steps.iter().take(done) {
            self.count_action(&step.action);
        }
        self.mix(&digest(number, outcome));
    }

    /// Adds how often known findings showed.
    pub(crate) fn see(&mut self, sightings: &Sightings, known: &Known) {
        let positions = 0..known.findings().len();
        self.sight(positions.map(|position| sightings.of(position)));
    }

    fn sight(&mut self, counts: impl ExactSizeIterator<Item = u64>) {
        if self.sightings.len() < counts.len() {
            self.sightings.resize(counts.len(), 0);
        }
        for (own, count) in self.sightings.iter_mut().zip(counts) {
            *own += count;
        }
    }

    /// Adds what was done elsewhere.
    pub(crate) fn merge(&mut self, other: &Self) {
        let Self {
            cases,
            failed,
            not_judged,
            masked,
            twice,
            steps,
            writes,
            backups,
            comparisons,
            bytes_compared,
            faults_planned,
            faults_matched,
            faults_fired,
            faults_idle,
            sightings,
            coverage,
            digest,
        } = other;
        self.cases += cases;
        self.failed += failed;
        self.not_judged += not_judged;
        self.masked += masked;
        self.twice += twice;
        self.steps += steps;
        self.writes += writes;
        self.backups += backups;
        self.comparisons += comparisons;
        self.bytes_compared += bytes_compared;
        self.faults_planned += faults_planned;
        self.faults_matched += faults_matched;
        self.faults_fired += faults_fired;
        self.faults_idle += faults_idle;
        self.sight(sightings.iter().copied());
        if let Some(coverage) = coverage {
            self.coverage.get_or_insert_default().merge(coverage);
        }
        self.mix(digest);
    }

    /// Returns the digest over all cases as text. Two campaigns over the same cases in which a case
    /// went another way have different ones.
    pub(crate) fn digest(&self) -> String {
        // Whoever compares by eye gets along with half of it.
        hex::print(&self.digest)[..32].to_owned()
    }

    fn count(&mut self, counts: &Counts) {
        self.steps += counts.steps + counts.cleanup_steps;
        self.comparisons += counts.demands;
        self.bytes_compared += counts.bytes_compared;
        self.faults_planned += counts.rules;
        self.faults_matched += counts.matched;
        self.faults_fired += counts.fired;
        self.faults_idle += counts.idle_rules.len() as u64;
    }

    fn count_action(&mut self, action: &Action) {
        match action {
            Action::Guest { op, .. } | Action::Start { op, .. } => {
                self.writes += u64::from(!matches!(op, GuestOp::Read { .. } | GuestOp::Flush));
            }
            Action::Backup { .. } => self.backups += 1,
            Action::Transaction { actions, .. } => {
                let backup =
                    |action: &&TransactionAction| matches!(action, TransactionAction::Backup(_));
                self.backups += actions.iter().filter(backup).count() as u64;
            }
            _ => (),
        }
    }

    /// Mixes a digest in. The order does not matter, since threads finish in any order; the number
    /// of the case is part of what was hashed, so that two cases cannot stand for each other.
    fn mix(&mut self, digest: &[u8; 32]) {
        for (mixed, byte) in self.digest.iter_mut().zip(digest) {
            *mixed ^= byte;
        }
    }
}

/// Hashes what is the same in every run of a case: how it ended, and what it did until then.
fn digest(number: u64, outcome: &Outcome) -> [u8; 32] {
    let counts = outcome.counts();
    let mut hasher = Sha256::new();
    for value in [
        number,
        counts.steps,
        counts.cleanup_steps,
        counts.rules,
        counts.matched,
        counts.fired,
        counts.demands,
        counts.bytes_compared,
    ] {
        hasher.update(value.to_le_bytes());
    }
    hasher.update(counts.trace.unwrap_or_default());
    match outcome {
        Outcome::Held(_) => hasher.update("held"),
        Outcome::NotJudged(..) => hasher.update("not judged"),
        Outcome::Failed(failure) => {
            for identity in failure.identities() {
                hasher.update(identity.to_string());
            }
        }
    }
    hasher.finalize().into()
}
