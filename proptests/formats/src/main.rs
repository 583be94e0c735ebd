//! Judges image libraries: campaigns, sweeps and replays.
//!
//! `cargo run --release -p formats -- campaign imago --seconds 20`

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it is for")]

mod guarded;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use blkproof::format::{Identity, Journal, Library, Outcome, Scenario, Supervised};
use blkproof::known::Known;
use clap::{Parser, Subcommand, ValueEnum as _};
use formats::{
    Bench, Campaign, Finds, Plant, Planted, QemuImg, Subject, Sweeps, Totals, corpora, scenario,
    scenarios, supervised, undisturbed,
};

/// How long a scenario may take; most take a millisecond.
const LIMIT: Duration = Duration::from_secs(30);

/// How many kinds of failures end a campaign.
const FAILURES_MAX: usize = 64;

/// The address space of a process in which a library is judged, in bytes.
const MEMORY_MAX: u64 = 8 << 30;

#[derive(Debug, Parser)]
#[command(about, version)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Judge made-up scenarios, in a process of their own: a library may take it with it.
    Campaign(CampaignArgs),
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
        /// Plant a bug in the library of this repository, and judge that.
        #[arg(long)]
        plant: Option<Plant>,
        /// Write down in this file what is under way.
        #[arg(long, hide = true)]
        journal: Option<PathBuf>,
    },
    /// Strike every request of scenarios, and lose power at every operation: of those of the
    /// corpus, of files, or of made-up ones.
    Sweep(SweepArgs),
}

/// What a campaign is told.
#[derive(Clone, Debug, clap::Args)]
struct CampaignArgs {
    /// The library.
    subject: Subject,
    /// Where the choices come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first case.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many cases.
    #[arg(long, default_value_t = u64::MAX)]
    cases: u64,
    /// For so long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Do not pass over what is known.
    #[arg(long)]
    unmasked: bool,
    /// Where scenarios go that fail, in a folder of the library's name.
    #[arg(long, default_value = "blkproof-out/formats")]
    out: PathBuf,
    /// Plant a bug in the library of this repository, and judge that.
    #[arg(long)]
    plant: Option<Plant>,
    /// Judge in this process: somebody else watches it.
    #[arg(long, hide = true)]
    here: bool,
}

impl CampaignArgs {
    fn campaign(&self) -> Campaign {
        Campaign {
            seed: self.seed,
            first: self.first,
            cases: self.cases,
            time: Some(Duration::from_secs(self.seconds)),
            failures_max: FAILURES_MAX,
        }
    }

    fn folder(&self) -> PathBuf {
        self.out.join(self.subject.name())
    }

    fn masks(&self) -> anyhow::Result<Known> {
        masks(self.subject, self.unmasked)
    }

    fn plant_name(&self) -> Option<String> {
        let value = self.plant?.to_possible_value()?;
        Some(value.get_name().to_owned())
    }
}

/// What a sweep is told.
#[derive(Clone, Debug, clap::Args)]
struct SweepArgs {
    /// The library.
    subject: Subject,
    /// The files; those of `corpora/format`, where there are none and no made-up scenarios.
    files: Vec<PathBuf>,
    /// How many made-up scenarios.
    #[arg(long, default_value_t = 0)]
    cases: u64,
    /// Where the choices for them come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For so long, if they are not all swept before.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Do not pass over what is known.
    #[arg(long)]
    unmasked: bool,
    /// Where scenarios go that fail, in a folder of the library's name.
    #[arg(long, default_value = "blkproof-out/formats-swept")]
    out: PathBuf,
}

fn main() -> ExitCode {
    // What libraries say when they panic is told with the scenario.
    std::panic::set_hook(Box::new(|_| {}));
    let held = match Args::parse().verb {
        Verb::Campaign(args) if args.here => run_campaign(&args),
        Verb::Campaign(args) => guarded::campaign(&args),
        Verb::Replay {
            subject,
            files,
            keep,
            plant,
            journal,
        } => judge(subject, plant, Known::default(), journal.as_deref())
            .and_then(|judge| replay(subject, judge, &files, keep.as_deref())),
        Verb::Sweep(args) => run_sweep(&args),
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

/// Returns what judges a library, behind what is known: on a thread of its own, since it may never
/// answer.
fn judge(
    subject: Subject,
    plant: Option<Plant>,
    known: Known,
    journal: Option<&Path>,
) -> anyhow::Result<Supervised> {
    if QemuImg::find().is_none() {
        println!("there is no qemu-img: its images take no part");
    }
    if plant.is_some() && subject != Subject::Own {
        bail!("bugs are planted in {} only", Subject::Own.name());
    }
    let make = move || -> Box<dyn Library> {
        match plant {
            Some(plant) => Box::new(Planted { plant }),
            None => subject.library(),
        }
    };
    if let Some(path) = journal {
        // Now, so that nobody waits for a campaign that judges nothing.
        let cannot = || format!("cannot write {}", path.display());
        Journal::create(path).with_context(cannot)?;
    }
    Ok(supervised(make, known, LIMIT, journal))
}

fn masks(subject: Subject, unmasked: bool) -> anyhow::Result<Known> {
    match unmasked {
        true => Ok(Known::default()),
        false => subject.masks(),
    }
}

fn run_campaign(args: &CampaignArgs) -> anyhow::Result<bool> {
    limit_memory();
    let subject = args.subject;
    let finds = Finds::new(&args.folder())?;
    let mut judge = judge(subject, args.plant, args.masks()?, Some(&finds.journal()))?;
    let others = QemuImg::find().is_some();
    let able = match args.unmasked {
        true => subject.library().capabilities(),
        false => subject.behind_known(),
    };
    let mut keep = |identity: &Identity, scenario: &Scenario| {
        let path = finds.keep(identity, scenario)?;
        println!("written: {}", path.display());
        Ok(())
    };
    let mut run = |scenario: &Scenario| judge.run(scenario);
    let totals = args.campaign().run(&mut run, &able, others, &mut keep)?;
    tell(subject, args.seed, &totals, args.unmasked)?;
    Ok(totals.found.is_empty())
}

/// Bounds what the process may take, so that a library that takes memory without end fails by
/// itself and not the machine.
#[cfg(unix)]
fn limit_memory() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::As).maximum;
    let current = Some(maximum.map_or(MEMORY_MAX, |maximum| maximum.min(MEMORY_MAX)));
    // A system that cannot bound it leaves it unbounded.
    let _ = setrlimit(Resource::As, Rlimit { current, maximum });
}

#[cfg(not(unix))]
fn limit_memory() {}

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

fn replay(
    subject: Subject,
    mut judge: Supervised,
    files: &[PathBuf],
    keep: Option<&Path>,
) -> anyhow::Result<bool> {
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

fn run_sweep(args: &SweepArgs) -> anyhow::Result<bool> {
    let subject = args.subject;
    let mut judge = judge(subject, None, masks(subject, args.unmasked)?, None)?;
    let mut run = |scenario: &Scenario| judge.run(scenario);
    let able = subject.library().capabilities();
    let finds = Finds::new(&args.out.join(subject.name()))?;
    let mut keep = |identity: &Identity, scenario: &Scenario| {
        finds.keep(identity, scenario)?;
        Ok(())
    };
    let mut sweeps = Sweeps::default();
    let mut files = args.files.clone();
    if files.is_empty() && args.cases == 0 {
        let corpus = scenarios(&corpora().join("format"))?;
        files.extend(corpus.into_iter().map(|(path, _)| path));
    }
    for path in &files {
        let mut one = Sweeps::default();
        let swept = subject.fitted(&scenario(path)?);
        one.sweep(&swept, &mut run, &able, &mut keep)?;
        let name = path.file_name().unwrap_or_default();
        println!("{}: {}", name.display(), one.told());
        sweeps.add(one);
    }
    let campaign = Campaign {
        seed: args.seed,
        first: 0,
        cases: args.cases,
        time: None,
        failures_max: FAILURES_MAX,
    };
    let asked = match args.unmasked {
        true => able,
        false => subject.behind_known(),
    };
    let others = QemuImg::find().is_some();
    let start = Instant::now();
    for case in 0..args.cases {
        if start.elapsed().as_secs() >= args.seconds || sweeps.found.len() >= FAILURES_MAX {
            println!("ended before case {case}");
            break;
        }
        let scenario = undisturbed(campaign.case(case, &asked, others));
        sweeps.sweep(&scenario, &mut run, &able, &mut keep)?;
    }
    for found in sweeps.found.values() {
        println!(
            "{} times: {}",
            found.times,
            found.failure.render(&found.scenario)
        );
    }
    let list = masks(subject, args.unmasked)?;
    for (index, finding) in list.findings().iter().enumerate() {
        println!("known, {} times: {finding}", sweeps.masked.of(index));
    }
    let name = subject.name();
    println!("{name}: {} scenarios, {}", sweeps.scenarios, sweeps.told());
    Ok(sweeps.found.is_empty())
}
