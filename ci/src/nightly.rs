//! The long versions of everything, for as many hours as there are.
//!
//! Each part has its share of the time, written down in `ci/BUDGET.md`, and goes on whatever came
//! of the others. What is found lies on disk at once: scenarios below `blkproof-out/nightly`, the
//! inputs of fuzzers in `fuzz/artifacts`, what proptest found in the report. The same hours and
//! seed are the same night again; a campaign that was interrupted goes on then.

mod call;

mod part;

mod rounds;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::ValueEnum as _;

use crate::budget::Budget;
use crate::failure::Failure;
use call::Ended;
use part::{Part, Work};

/// Run the long versions of the checks for some hours.
///
/// Every command is printed before it runs, so that it can be repeated by itself. All parts run,
/// whatever comes of them; a table at the end tells.
///
/// Example: `cargo run -p ci -- nightly --hours 8`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how long, such as 8 or 0.5; building is not counted.
    #[arg(long, value_name = "H", value_parser = hours)]
    hours: Duration,
    /// The seed of everything that is made up [default: another one each time].
    #[arg(long, value_name = "X")]
    seed: Option<u64>,
    /// Run this part and no other, for all the time; may be given several times.
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Leave this part out; may be given several times.
    #[arg(long, value_name = "PART", conflicts_with = "only")]
    skip: Vec<Part>,
}

fn hours(text: &str) -> Result<Duration, &'static str> {
    let hours: Option<f64> = text.parse().ok();
    let hours = hours.filter(|hours| *hours > 0.0 && *hours <= 1000.0);
    hours
        .map(|hours| Duration::from_secs_f64(hours * 3600.0))
        .ok_or("expected a number of hours, more than 0 and at most 1000, such as 8 or 0.5")
}

/// What came of a part.
struct Told {
    part: Part,
    took: Duration,
    allowed: Duration,
    calls: u32,
    failed: Vec<String>,
    remark: &'static str,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let seed = match args.seed {
        Some(seed) => seed,
        None => fresh_seed()?,
    };
    let hours = args.hours.as_secs_f64() / 3600.0;
    println!("nightly: this night again: cargo run -p ci -- nightly --hours {hours} --seed {seed}");
    let chosen = args.chosen();
    let shares = Budget::load("nightly")?;
    let mut all = 0.0;
    for part in &chosen {
        all += shares.of(&part.name())?;
    }
    let mut told = Vec::new();
    for part in chosen {
        let share = shares.of(&part.name())? / all;
        told.push(run_part(part, args.hours.mul_f64(share), seed)?);
    }
    println!("{}", table(&told).trim_end());
    let failed: Vec<&str> = told
        .iter()
        .flat_map(|told| told.failed.iter().map(String::as_str))
        .collect();
    if failed.is_empty() {
        println!("nightly: everything held");
        return Ok(());
    }
    Err(Failure::check(format!(
        "nightly: these failed, and can be repeated one by one:\n  {}",
        failed.join("\n  ")
    )))
}

impl Args {
    fn chosen(&self) -> Vec<Part> {
        let chosen = |part: &&Part| {
            (self.only.is_empty() || self.only.contains(part)) && !self.skip.contains(part)
        };
        Part::value_variants()
            .iter()
            .filter(chosen)
            .copied()
            .collect()
    }
}

/// The time, as a number that the next night does not have.
fn fresh_seed() -> anyhow::Result<u64> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = time.context("the clock stands before 1970")?.as_secs();
    Ok(seconds)
}

/// Runs a part for its time; fails only where the environment does.
fn run_part(part: Part, allowed: Duration, seed: u64) -> Result<Told, Failure> {
    let mut told = Told {
        part,
        took: Duration::ZERO,
        allowed,
        calls: 0,
        failed: Vec::new(),
        remark: "",
    };
    if let Some(missing) = part.missing() {
        println!("nightly: {} skipped: {missing}", part.name());
        told.remark = "skipped";
        return Ok(told);
    }
    let minutes = allowed.as_secs_f64() / 60.0;
    println!("nightly: {}: {minutes:.1} minutes", part.name());
    for call in part.builds() {
        told.take(&call, call.run(None)?);
        if !told.failed.is_empty() {
            return Ok(told);
        }
    }
    let start = Instant::now();
    match part.work(allowed, seed)? {
        Work::Bounded(calls) => {
            for call in calls {
                told.take(&call, call.run(None)?);
            }
        }
        Work::Rounds(rounds) => {
            let mut rounds = rounds;
            // There is always one, which is cut off if even that takes too long.
            while let Some(call) = rounds.next(allowed.saturating_sub(start.elapsed())) {
                let begun = Instant::now();
                let left = allowed.saturating_sub(start.elapsed());
                told.take(&call, call.run(Some(left))?);
                rounds.took(begun.elapsed());
            }
        }
        Work::Once(calls) => {
            for call in calls {
                let left = allowed.saturating_sub(start.elapsed());
                told.take(&call, call.run(Some(left))?);
            }
        }
    }
    told.took = start.elapsed();
    Ok(told)
}

impl Told {
    fn take(&mut self, call: &call::Call, ended: Ended) {
        self.calls += 1;
        match ended {
            Ended::Well => (),
            Ended::Badly => self.failed.push(call.shown()),
            Ended::CutOff => self.remark = "cut off",
        }
    }

    fn outcome(&self) -> String {
        match self.failed.len() {
            0 if self.remark.is_empty() => "held".to_owned(),
            0 => self.remark.to_owned(),
            failed => format!("{failed} of {} failed", self.calls),
        }
    }
}

fn table(told: &[Told]) -> String {
    let mut lines = vec!["  part           minutes   budget  calls  outcome".to_owned()];
    lines.extend(told.iter().map(|told| {
        let minutes = |time: Duration| time.as_secs_f64() / 60.0;
        format!(
            "  {:<13} {:>8.1} {:>8.1} {:>6}  {}",
            told.part.name(),
            minutes(told.took),
            minutes(told.allowed),
            told.calls,
            told.outcome()
        )
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests;
