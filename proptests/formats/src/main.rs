//! Judges image libraries: campaigns, sweeps and replays.
//!
//! `cargo run --release -p formats -- campaign imago --seconds 20`

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it is for")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use blkproof::format::sweep::{Swept, sweep, sweep_losses};
use blkproof::format::{Failure, Outcome, Scenario, Supervised};
use blkproof::known::Known;
use blkproof::sweep::Strike;
use clap::{Parser, Subcommand};
use formats::{Bench, Campaign, QemuImg, Subject, Totals, scenario};

/// How long a scenario may take; most take a millisecond.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
#[command(about, version)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Judge made-up scenarios.
    Campaign {
        /// The library.
        subject: Subject,
        /// Where the choices come from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many cases.
        #[arg(long, default_value_t = u64::MAX)]
        cases: u64,
        /// For so long.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Do not pass over what is known.
        #[arg(long)]
        unmasked: bool,
        /// Where shrunk scenarios go.
        #[arg(long, default_value = "blkproof-out/formats")]
        out: PathBuf,
    },
    /// Run scenario files and hold them to what they state.
    Replay {
        /// The library.
        subject: Subject,
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Write what each image's file holds at the end into this folder.
        #[arg(long)]
        keep: Option<PathBuf>,
    },
    /// Strike every request of scenarios, and lose power at every operation.
    Sweep {
        /// The library.
        subject: Subject,
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Do not pass over what is known.
        #[arg(long)]
        unmasked: bool,
    },
}

fn main() -> ExitCode {
    // What libraries say when they panic is told with the scenario.
    std::panic::set_hook(Box::new(|_| {}));
    let held = match Args::parse().verb {
        Verb::Campaign {
            subject,
            seed,
            cases,
            seconds,
            unmasked,
            out,
        } => {
            let campaign = Campaign {
                seed,
                first: 0,
                cases,
                time: Some(Duration::from_secs(seconds)),
                failures_max: 64,
            };
            run_campaign(subject, &campaign, unmasked, &out)
        }
        Verb::Replay {
            subject,
            files,
            keep,
        } => replay(subject, &files, keep.as_deref()),
        Verb::Sweep {
            subject,
            files,
            unmasked,
        } => run_sweep(subject, &files, unmasked),
    };
    match held {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Returns what judges a library: on a thread of its own, since it may never answer.
fn supervised(subject: Subject, unmasked: bool) -> anyhow::Result<Supervised> {
    if QemuImg::find().is_none() {
        println!("there is no qemu-img: its images take no part");
    }
    Ok(subject.supervised(masks(subject, unmasked)?, LIMIT))
}

fn masks(subject: Subject, unmasked: bool) -> anyhow::Result<Known> {
    match unmasked {
        true => Ok(Known::default()),
        false => subject.masks(),
    }
}

fn run_campaign(
    subject: Subject,
    campaign: &Campaign,
    unmasked: bool,
    out: &Path,
) -> anyhow::Result<bool> {
    let mut judge = supervised(subject, unmasked)?;
    let others = QemuImg::find().is_some();
    let able = match unmasked {
        true => subject.library().capabilities(),
        false => subject.behind_known(),
    };
    let totals = campaign.run(&mut |scenario| judge.run(scenario), &able, others);
    tell(subject, campaign.seed, &totals, unmasked)?;
    if !totals.found.is_empty() {
        for path in totals.write(&out.join(subject.name()))? {
            println!("written: {}", path.display());
        }
    }
    Ok(totals.found.is_empty())
}

fn tell(subject: Subject, seed: u64, totals: &Totals, unmasked: bool) -> anyhow::Result<()> {
    for found in totals.found.values() {
        println!("case {}, {} times:", found.case, found.times);
        println!("{}", found.failure.render(&found.scenario));
    }
    for (reason, times) in &totals.not_judged {
        println!("not judged, {times} times: {reason}");
    }
    let list = masks(subject, unmasked)?;
    for (index, finding) in list.findings().iter().enumerate() {
        println!("known, {} times: {finding}", totals.masked.of(index));
    }
    println!(
        "{}: {} cases from seed {seed}, {} not judged, {} steps, {} faults struck, {} tried again, \
         {} losses; {} kinds of failures",
        subject.name(),
        totals.cases,
        totals.not_judged.values().sum::<u64>(),
        totals.steps,
        totals.fired,
        totals.retries,
        totals.losses,
        totals.found.len(),
    );
    Ok(())
}

fn replay(subject: Subject, files: &[PathBuf], keep: Option<&Path>) -> anyhow::Result<bool> {
    let mut judge = supervised(subject, true)?;
    let mut all = true;
    for path in files {
        let scenario = scenario(path)?;
        let outcome = judge.run(&scenario);
        if let Some(folder) = keep {
            keep_file(subject, path, &scenario, folder)?;
        }
        let meets = outcome.meets(scenario.outcome);
        all &= meets;
        println!("{}  {}", if meets { "ok" } else { "FAIL" }, path.display());
        match &outcome {
            Outcome::Failed(failure) => println!("{}", failure.render(&scenario)),
            Outcome::NotJudged(reason, _) => println!("not judged: {reason}"),
            Outcome::Held(_) => {}
        }
    }
    Ok(all)
}

/// Runs a scenario once more, and writes down what the image's file held at its end.
fn keep_file(
    subject: Subject,
    path: &Path,
    scenario: &Scenario,
    folder: &Path,
) -> anyhow::Result<()> {
    let mut bench = Bench::new(subject.library());
    let mut judge = bench.judge();
    judge.run(scenario);
    if let Ok(file) = judge.file() {
        std::fs::create_dir_all(folder)?;
        let name = path.with_extension("qcow2");
        let name = name.file_name().unwrap_or_default().to_owned();
        std::fs::write(folder.join(name), file)?;
    }
    Ok(())
}

fn run_sweep(subject: Subject, files: &[PathBuf], unmasked: bool) -> anyhow::Result<bool> {
    let mut judge = supervised(subject, unmasked)?;
    let able = subject.library().capabilities();
    let mut all = true;
    for path in files {
        let scenario = subject.fitted(&scenario(path)?);
        let mut each = |swept: Swept<'_>| {
            all &= swept.failure.is_none();
            show(swept.scenario, swept.failure);
            true
        };
        let faults = sweep(&scenario, &Strike::ALL, |one| judge.run(one), &mut each);
        let mut losses = (0, 0);
        if able.survives_kills {
            let cuts = able.survives_cuts;
            let tally = sweep_losses(&scenario, cuts, |one| judge.run(one), &mut each);
            losses = (tally.operations, tally.held + tally.failed);
        }
        println!(
            "{}: {} positions of faults, {} failed; {} operations, lost in {} ways",
            path.display(),
            faults.all(),
            faults.failed,
            losses.0,
            losses.1,
        );
    }
    Ok(all)
}

fn show(scenario: &Scenario, failure: Option<&Failure>) {
    if let Some(failure) = failure {
        println!("{}", blkproof::format::text::print(scenario));
        println!("{}", failure.render(scenario));
    }
}
