//! Campaigns: made-up scenarios, one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use blkproof::format::generate::generate;
use blkproof::format::shrink::shrink;
use blkproof::format::{Capabilities, Failure, Identity, Outcome, Scenario, Stated, text};
use blkproof::generate::Choices;
use blkproof::known::Sightings;

/// How many candidates the shrinking of a failure takes at most.
const CANDIDATES_MAX: u64 = 600;

/// Who runs scenarios: a judge, or one on a thread of its own.
pub type Run<'a> = dyn FnMut(&Scenario) -> Outcome + 'a;

/// What a campaign goes through.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// Where its choices come from.
    pub seed: u64,
    /// The first case.
    pub first: u64,
    /// How many cases there are at most.
    pub cases: u64,
    /// How long it takes at most.
    pub time: Option<Duration>,
    /// How many cases may fail.
    pub failures_max: usize,
}

/// What a campaign came to.
#[derive(Debug, Default)]
pub struct Totals {
    /// The cases that were judged.
    pub cases: u64,
    /// Those that count for nothing, by the reason.
    pub not_judged: BTreeMap<String, u64>,
    /// The steps.
    pub steps: u64,
    /// How often a fault struck.
    pub fired: u64,
    /// How often power was lost or a process killed.
    pub losses: u64,
    /// How often a client tried again.
    pub retries: u64,
    /// The known findings that were passed over.
    pub masked: Sightings,
    /// What failed, shrunk: the first case of each identity.
    pub found: BTreeMap<Identity, Found>,
}

/// A case that failed.
#[derive(Debug)]
pub struct Found {
    /// The number of the case.
    pub case: u64,
    /// How many cases failed so.
    pub times: u64,
    /// The smallest scenario that fails in the same way.
    pub scenario: Scenario,
    /// How it fails.
    pub failure: Failure,
}

impl Campaign {
    /// Makes up scenarios and judges them.
    ///
    /// They ask for nothing else than what `able` says; `others` says whether somebody else makes
    /// images.
    pub fn run(&self, judge: &mut Run<'_>, able: &Capabilities, others: bool) -> Totals {
        let mut totals = Totals::default();
        let start = Instant::now();
        for case in self.first..self.first.saturating_add(self.cases) {
            let is_over = self.time.is_some_and(|time| start.elapsed() >= time);
            if is_over || totals.found.len() >= self.failures_max {
                break;
            }
            let scenario = generate(&mut Choices::new(self.seed, case), able, others);
            let outcome = judge(&scenario);
            totals.count(&outcome);
            if let Outcome::Failed(failure) = outcome {
                totals.keep(case, &scenario, &failure, judge);
            }
        }
        totals
    }
}

impl Totals {
    fn count(&mut self, outcome: &Outcome) {
        let counts = outcome.counts();
        self.cases += 1;
        if let Outcome::NotJudged(reason, _) = outcome {
            *self.not_judged.entry(reason.clone()).or_insert(0) += 1;
        }
        self.steps += counts.steps;
        self.fired += counts.fired;
        self.losses += counts.losses;
        self.retries += counts.retries;
        self.masked.merge(&counts.masked);
    }

    fn keep(&mut self, case: u64, scenario: &Scenario, failure: &Failure, judge: &mut Run<'_>) {
        let identity = failure.identity();
        if let Some(found) = self.found.get_mut(&identity) {
            found.times += 1;
            return;
        }
        let shrunk = shrink(scenario, failure, CANDIDATES_MAX, |candidate| {
            judge(candidate)
        });
        let found = Found {
            case,
            times: 1,
            scenario: shrunk.scenario,
            failure: shrunk.failure,
        };
        self.found.insert(identity, found);
    }

    /// Writes what failed into files of a folder, and returns their paths.
    ///
    /// # Errors
    ///
    /// Where a file cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let write = |(identity, found): (&Identity, &Found)| {
            let mut scenario = found.scenario.clone();
            scenario.outcome = Stated::Fail(identity.property);
            let name = format!("{identity}.format").replace(' ', "-");
            let path = folder.join(name);
            fs::write(&path, text::print(&scenario))
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        };
        self.found.iter().map(write).collect()
    }
}
