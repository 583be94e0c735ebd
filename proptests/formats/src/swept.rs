//! Sweeps: every request of scenarios struck, and something lost at every operation.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use blkproof::format::sweep::{LossTally, Swept, sweep, sweep_losses};
use blkproof::format::{Action, Capabilities, Failure, Identity, Scenario};
use blkproof::known::Sightings;
use blkproof::sweep::{Strike, Tally};

use crate::campaign::{Found, Keep, Run, shrunk};

/// What sweeps came to.
#[derive(Debug)]
pub struct Sweeps {
    /// How many scenarios were swept.
    pub scenarios: u64,
    /// Where faults struck.
    pub faults: Tally,
    /// Where something was lost.
    pub losses: LossTally,
    /// The known findings that were passed over.
    pub masked: Sightings,
    /// What failed, shrunk: the first position of each identity.
    pub found: BTreeMap<Identity, Found>,
}

impl Default for Sweeps {
    fn default() -> Self {
        Self {
            scenarios: 0,
            faults: Tally::whole(),
            losses: LossTally::whole(),
            masked: Sightings::default(),
            found: BTreeMap::new(),
        }
    }
}

impl Sweeps {
    /// Strikes every request of a scenario in every way, and at every operation loses what the
    /// library says it survives.
    ///
    /// # Errors
    ///
    /// Where what fails cannot be kept.
    pub fn sweep(
        &mut self,
        scenario: &Scenario,
        judge: &mut Run<'_>,
        able: &Capabilities,
        keep: &mut Keep<'_>,
    ) -> anyhow::Result<()> {
        let mut masked = Sightings::default();
        let mut new: BTreeMap<Identity, (Scenario, Failure)> = BTreeMap::new();
        let mut kept = Ok(());
        let mut run = |one: &Scenario| {
            let outcome = judge(one);
            masked.merge(&outcome.counts().masked);
            outcome
        };
        let mut each = |swept: Swept<'_>| {
            if let Some(failure) = swept.failure {
                let identity = failure.identity();
                if let Some(found) = self.found.get_mut(&identity) {
                    found.times += 1;
                } else if let Entry::Vacant(entry) = new.entry(identity) {
                    entry.insert((swept.scenario.clone(), failure.clone()));
                    kept = keep(&identity, swept.scenario);
                }
            }
            kept.is_ok()
        };
        let faults = sweep(scenario, &Strike::ALL, &mut run, &mut each);
        self.faults.add(&faults);
        if able.survives_kills {
            let losses = sweep_losses(scenario, able.survives_cuts, &mut run, &mut each);
            self.losses.add(&losses);
        }
        kept?;
        self.masked.merge(&masked);
        for (identity, (scenario, failure)) in new {
            let found = shrunk(self.scenarios, &scenario, &failure, judge);
            keep(&identity, &found.scenario)?;
            self.found.insert(identity, found);
        }
        self.scenarios += 1;
        Ok(())
    }

    /// Adds what other sweeps came to.
    pub fn add(&mut self, other: Self) {
        self.scenarios += other.scenarios;
        self.faults.add(&other.faults);
        self.losses.add(&other.losses);
        self.masked.merge(&other.masked);
        for (identity, found) in other.found {
            match self.found.get_mut(&identity) {
                Some(known) => known.times += found.times,
                None => {
                    self.found.insert(identity, found);
                }
            }
        }
    }

    /// Tells in a line how much was tried.
    #[must_use]
    pub fn told(&self) -> String {
        let (faults, losses) = (&self.faults, &self.losses);
        let tried = losses.held + losses.failed;
        let mut told = format!(
            "{} positions of faults, {} failed, {} not judged; {} operations, lost in {tried} \
             ways, {} failed",
            faults.all(),
            faults.failed,
            faults.not_judged,
            losses.operations,
            losses.failed,
        );
        if !(faults.complete && losses.complete) {
            told.push_str("; ended early");
        }
        told
    }
}

/// Returns the scenario as a sweep begins with it: nothing fails and nothing is lost but what it
/// adds.
#[must_use]
pub fn undisturbed(mut scenario: Scenario) -> Scenario {
    scenario.setup.rules.clear();
    let is_calm = |action: &Action| matches!(action, Action::Request(_) | Action::Reopen);
    scenario.steps.retain(|step| is_calm(&step.action));
    scenario
}
