//! Every single fault of a scenario of the format level, and every loss at every operation.

use blkproof_spec::fault::{Kept, Layer};
use blkproof_spec::power::{Lost, Moment, Rest, Torn, TornUnit};
use blkproof_spec::{ImageName, Place, PowerCut};

use super::outcome::{Failure, Outcome};
use super::scenario::{Action, BASE, FILE, Scenario, Stated, Step};
use crate::sweep::{Came, Position, Strike, Tally, sweep_positions};

/// What came of one position.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Swept<'a> {
    /// The scenario with what strikes in it: what to keep and replay.
    pub scenario: &'a Scenario,
    /// What did not hold, where something did not.
    pub failure: Option<&'a Failure>,
}

/// Tries every single fault of a scenario: each request to a device is struck in turn, in every way
/// of `strikes`, once with a client that gives up and once with one that tries again. `each` is
/// told what came of each position and says whether to go on.
pub fn sweep(
    scenario: &Scenario,
    strikes: &[Strike],
    mut run: impl FnMut(&Scenario) -> Outcome,
    mut each: impl FnMut(Swept<'_>) -> bool,
) -> Tally {
    let mut all = Tally::whole();
    let places = [FILE, BASE].into_iter();
    let places = places.filter(|name| *name == FILE || scenario.setup.base.is_some());
    for place in places {
        let place = Place {
            image: ImageName::new(place),
            layer: Layer::File,
        };
        for retry in [false, true] {
            let mut struck = client(scenario, retry);
            let mut try_one = |position: &Position| {
                let rule = position.rule();
                struck.setup.rules.push(rule.clone());
                let outcome = run(&struck);
                let counts = outcome.counts();
                // A scenario that is not judged may end before anything is asked of a device.
                let is_struck = counts.fired > 0 && !counts.idle_rules.contains(&rule);
                let came = is_struck.then(|| told(&struck, &outcome, &mut each));
                struck.setup.rules.pop();
                came
            };
            all.add(&sweep_positions(&place, strikes, &mut try_one));
            if !all.complete {
                return all;
            }
        }
    }
    all
}

/// What a sweep of losses comes to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LossTally {
    /// The operations of the scenario at which something was lost.
    pub operations: u64,
    /// The runs at which everything held.
    pub held: u64,
    /// Those at which something did not hold.
    pub failed: u64,
    /// Those that count for nothing.
    pub not_judged: u64,
    /// Whether every position was tried: nobody ended the sweep early.
    pub complete: bool,
}

impl LossTally {
    /// Returns what a sweep without any position comes to.
    #[must_use]
    pub fn whole() -> Self {
        Self {
            complete: true,
            ..Self::default()
        }
    }

    /// Adds what another sweep comes to.
    pub fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.held += other.held;
        self.failed += other.failed;
        self.not_judged += other.not_judged;
        self.complete &= other.complete;
    }
}

/// Kills the process, and where `cuts` says so cuts the power, at every operation of a scenario
/// that changes a device or makes it durable. What it says itself about losses is left out.
pub fn sweep_losses(
    scenario: &Scenario,
    cuts: bool,
    mut run: impl FnMut(&Scenario) -> Outcome,
    mut each: impl FnMut(Swept<'_>) -> bool,
) -> LossTally {
    let mut tally = LossTally::whole();
    let mut plain = client(scenario, false);
    let is_loss = |step: &Step| matches!(step.action, Action::Kill(_) | Action::PowerCut(_));
    plain.steps.retain(|step| !is_loss(step));
    for number in 1.. {
        for action in losses(number, cuts) {
            let mut lost = plain.clone();
            let retry = false;
            lost.steps.insert(0, Step { action, retry });
            let outcome = run(&lost);
            if outcome.counts().losses == 0 {
                return tally;
            }
            let (came, goes_on) = told(&lost, &outcome, &mut each);
            tally.operations = number;
            tally.held += u64::from(came == Came::Held);
            tally.failed += u64::from(came == Came::Failed);
            tally.not_judged += u64::from(came == Came::NotJudged);
            if !goes_on {
                tally.complete = false;
                return tally;
            }
        }
    }
    tally
}

/// Returns the ways to lose something at an operation.
fn losses(number: u64, cuts: bool) -> Vec<Action> {
    let at = Some(Moment(number));
    let mut out = vec![Action::Kill(at)];
    if !cuts {
        return out;
    }
    let torn = Torn {
        kept: Kept::Left,
        unit: TornUnit::Sector,
        rest: Rest::Old,
    };
    let ways = [
        (Lost::All, None),
        (Lost::None, None),
        (Lost::Worst, None),
        (Lost::Worst, Some(torn)),
        (Lost::Reordered, None),
        (Lost::Some(number), None),
    ];
    let cuts = ways.map(|(lost, torn)| Action::PowerCut(PowerCut { lost, torn, at }));
    out.extend(cuts);
    out
}

/// Returns the scenario, which states nothing, with a client that tries again or gives up.
fn client(scenario: &Scenario, retry: bool) -> Scenario {
    let mut out = scenario.clone();
    out.outcome = Stated::Pass;
    for step in &mut out.steps {
        step.retry = retry && matches!(step.action, Action::Request(_));
    }
    out
}

fn told(
    scenario: &Scenario,
    outcome: &Outcome,
    each: &mut impl FnMut(Swept<'_>) -> bool,
) -> (Came, bool) {
    let failure = outcome.failure();
    let came = match outcome {
        Outcome::Held(_) => Came::Held,
        Outcome::Failed(_) => Came::Failed,
        Outcome::NotJudged(..) => Came::NotJudged,
    };
    (came, each(Swept { scenario, failure }))
}
