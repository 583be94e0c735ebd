//! All small scenarios, and every single fault of the smallest.

use std::path::Path;
use std::sync::mpsc::Sender;

use blkproof::sweep::{self, Strike, Tally};
use blkproof::{Failure, Outcome, exhaustive};
use blkproof_spec::Scenario;
use indicatif::HumanCount;

use crate::args::{BugName, Jobs, SweepArgs};
use crate::crew::{self, Stop};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::judge;
use crate::keep::{self, Keeper};
use crate::ui::Ui;

/// What came of the scenarios with one number of guest steps.
#[derive(Debug, Default)]
struct Tier {
    scenarios: u64,
    held: u64,
    not_judged: u64,
    /// What came of their single faults, where those were tried.
    faults: Option<Tally>,
}

/// A scenario that failed: where it stands in its tier, and at which position.
struct Found {
    number: u64,
    position: Option<String>,
    scenario: Scenario,
    failure: Failure,
}

/// Judges every scenario of every tier, a line each.
pub(super) fn run(
    args: &SweepArgs,
    strikes: &[Strike],
    jobs: Jobs,
    out: &Path,
    stop: &Stop,
    ui: &mut Ui,
) -> Result<Exit, Error> {
    let mut keeper = Keeper::new(out, &args.bug, stop.interrupt());
    for guest_steps in 0..=args.guest_steps {
        let strikes = (guest_steps <= args.swept_guest_steps).then_some(strikes);
        let tier = tier(guest_steps, strikes, jobs, stop, &mut keeper, ui)?;
        tell(guest_steps, &tier, ui)?;
        if !stop.goes_on() {
            let (begun, all) = (guest_steps + 1, args.guest_steps + 1);
            ui.note(format_args!(
                "ended early: {begun} of {all} tiers were judged, or begun"
            ));
            break;
        }
    }
    Ok(stop.exit().max(keeper.finish(ui)))
}

fn tier(
    guest_steps: u32,
    strikes: Option<&[Strike]>,
    jobs: Jobs,
    stop: &Stop,
    keeper: &mut Keeper<'_>,
    ui: &mut Ui,
) -> Result<Tier, Error> {
    let bugs = keeper.bugs();
    let judge = |thread, found: &Sender<Found>| {
        judge_share(guest_steps, strikes, (thread, jobs.0), stop, bugs, found)
    };
    let parts = crew::share(jobs, stop, judge, |found| {
        let name = format!("exhaustive-{guest_steps}-{}", found.number);
        let name = keep::file_name(&match &found.position {
            Some(position) => format!("{name}-{position}"),
            None => name,
        });
        keeper.keep(&name, found.scenario, &found.failure, found.position, ui)?;
        if keeper.is_full() {
            stop.enough();
        }
        Ok(())
    })?;
    let mut all = Tier::default();
    parts.iter().for_each(|part| all.add(part));
    Ok(all)
}

/// Judges every `threads`-th scenario of a tier, beginning with that of number `first`.
fn judge_share(
    guest_steps: u32,
    strikes: Option<&[Strike]>,
    (first, threads): (usize, usize),
    stop: &Stop,
    bugs: &[BugName],
    found: &Sender<Found>,
) -> Tier {
    let mut judge = judge::of_bugs(bugs);
    let mut tier = Tier {
        faults: strikes.map(|_| Tally::whole()),
        ..Tier::default()
    };
    let mine = exhaustive::scenarios(guest_steps)
        .zip(1..)
        .skip(first)
        .step_by(threads);
    for (scenario, number) in mine {
        if !stop.goes_on() {
            break;
        }
        let tell = |position, scenario: &Scenario, failure: &Failure| {
            // Whoever listens no longer has had enough.
            let _ = found.send(Found {
                number,
                position,
                scenario: scenario.clone(),
                failure: failure.clone(),
            });
        };
        tier.scenarios += 1;
        match judge.judge(&scenario) {
            Outcome::Held(_) => tier.held += 1,
            Outcome::NotJudged(..) => tier.not_judged += 1,
            Outcome::Failed(failure) => tell(None, &scenario, &failure),
        }
        if let (Some(strikes), Some(tally)) = (strikes, &mut tier.faults) {
            let run = |struck: &Scenario| judge.judge(struck);
            tally.add(&sweep::sweep(&scenario, strikes, run, |swept| {
                if let Some(failure) = swept.failure {
                    tell(Some(swept.position.to_string()), swept.scenario, failure);
                }
                stop.goes_on()
            }));
        }
    }
    tier
}

impl Tier {
    fn add(&mut self, other: &Self) {
        self.scenarios += other.scenarios;
        self.held += other.held;
        self.not_judged += other.not_judged;
        match (&mut self.faults, &other.faults) {
            (Some(mine), Some(other)) => mine.add(other),
            (mine, other) => *mine = mine.take().or_else(|| other.clone()),
        }
    }
}

fn tell(guest_steps: u32, tier: &Tier, ui: &mut Ui) -> Result<(), Error> {
    let all = exhaustive::count(guest_steps);
    ui.say(format_args!(
        "{guest_steps} guest steps: {} of {} scenarios, {}",
        HumanCount(tier.scenarios),
        HumanCount(all),
        match tier.scenarios - tier.held - tier.not_judged {
            0 => "all held".to_owned(),
            failed => format!("{} failed", HumanCount(failed)),
        },
    ))?;
    if let Some(tally) = &tier.faults {
        ui.say(format_args!("  single faults: {}", super::told(tally)))?;
    }
    ui.emit(&Record::Tier(json::Tier {
        guest_steps,
        scenarios: tier.scenarios,
        held: tier.held,
        not_judged: tier.not_judged,
        complete: tier.scenarios == all,
        single_faults: tier.faults.as_ref().map(super::sweep_record),
    }))
}
