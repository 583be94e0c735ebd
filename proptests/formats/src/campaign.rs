//! Campaigns: made-up scenarios, one after the other.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use blkproof::format::generate::generate;
use blkproof::format::shrink::shrink;
use blkproof::format::{Capabilities, Failure, Identity, Outcome, Scenario};
use blkproof::generate::Choices;
use blkproof::known::Sightings;

/// How many candidates the shrinking of a failure takes at most.
const CANDIDATES_MAX: u64 = 600;

/// Who runs scenarios: a judge, or one on a thread of its own.
pub type Run<'a> = dyn FnMut(&Scenario) -> Outcome + 'a;

/// Who keeps what fails: called with a scenario as soon as it failed in a way that is new, and with
/// the smallest one that fails in the same way.
pub type Keep<'a> = dyn FnMut(&Identity, &Scenario) -> anyhow::Result<()> + 'a;

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
    /// images. What fails is kept as it comes, so that who ends a campaign early loses none of it.
    ///
    /// # Errors
    ///
    /// Where it cannot be kept.
    pub fn run(
        &self,
        judge: &mut Run<'_>,
        able: &Capabilities,
        others: bool,
        keep: &mut Keep<'_>,
    ) -> anyhow::Result<Totals> {
        let mut totals = Totals::default();
        let start = Instant::now();
        for case in self.first..self.first.saturating_add(self.cases) {
            let is_over = self.time.is_some_and(|time| start.elapsed() >= time);
            if is_over || totals.found.len() >= self.failures_max {
                break;
            }
            let scenario = self.case(case, able, others);
            let outcome = judge(&scenario);
            totals.count(&outcome);
            if let Outcome::Failed(failure) = outcome {
                totals.fail(case, &scenario, &failure, judge, keep)?;
            }
        }
        Ok(totals)
    }

    /// Makes up a case.
    #[must_use]
    pub fn case(&self, number: u64, able: &Capabilities, others: bool) -> Scenario {
        let mut scenario = generate(&mut Choices::new(self.seed, number), able, others);
        scenario.title = Some(format!("case {number} of seed {}", self.seed));
        scenario
    }

    /// Returns the number of the case that a scenario of this campaign was made up as.
    #[must_use]
    pub fn number(&self, scenario: &Scenario) -> Option<u64> {
        let title = scenario.title.as_ref()?.strip_prefix("case ")?;
        let (number, seed) = title.split_once(" of seed ")?;
        (seed.parse() == Ok(self.seed)).then(|| number.parse().ok())?
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

    fn fail(
        &mut self,
        case: u64,
        scenario: &Scenario,
        failure: &Failure,
        judge: &mut Run<'_>,
        keep: &mut Keep<'_>,
    ) -> anyhow::Result<()> {
        let identity = failure.identity();
        if let Some(found) = self.found.get_mut(&identity) {
            found.times += 1;
            return Ok(());
        }
        // Making it smaller takes its time: whoever ends the campaign meanwhile has it already.
        keep(&identity, scenario)?;
        let found = shrunk(case, scenario, failure, judge);
        keep(&identity, &found.scenario)?;
        self.found.insert(identity, found);
        Ok(())
    }
}

/// Makes a scenario smaller that failed for the first time in its way.
pub(crate) fn shrunk(
    case: u64,
    scenario: &Scenario,
    failure: &Failure,
    judge: &mut Run<'_>,
) -> Found {
    let shrunk = shrink(scenario, failure, CANDIDATES_MAX, judge);
    Found {
        case,
        times: 1,
        scenario: shrunk.scenario,
        failure: shrunk.failure,
    }
}
