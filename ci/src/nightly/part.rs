//! The parts of a night, and what they call.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;

use super::call::Call;
use super::rounds::Rounds;
use crate::{repository, smoke, tools};

/// Where the scenarios of a night go.
const OUT: &str = "blkproof-out/nightly";

/// How many cases each suite of properties tries in a round: the fewest, and the most.
const PROPTEST_CASES: (u32, u32) = (20, 2000);

/// How many seeds hunt each bug in a round.
const BUGS_SEEDS: (u32, u32) = (1, 3);

/// The parts, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// A campaign over all profiles, and one over scenarios that lean in ways of their own.
    Campaign,
    /// Every fuzz target.
    Fuzz,
    /// The seeded bugs, with several seeds.
    Bugs,
    /// Every single fault of every kind, of the whole corpora.
    Sweep,
    /// All scenarios of a larger bound.
    Exhaustive,
    /// The suites of properties, with many cases.
    Proptests,
    /// Image libraries, ours and others', behind what is known of them.
    Formats,
}

/// What a part does with its time.
pub(super) enum Work {
    /// Calls that end by themselves when the time is up.
    Bounded(Vec<Call>),
    /// The same with another seed, until the time is up.
    Rounds(Rounds),
    /// Calls that do what there is to do, and are cut off when the time is up.
    Once(Vec<Call>),
}

impl Part {
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value().expect("no part is hidden");
        value.get_name().to_owned()
    }

    /// What is missing on this machine, if something is.
    pub(super) fn missing(self) -> Option<&'static str> {
        let is_missing = self == Self::Fuzz && tools::find("cargo-fuzz").is_none();
        is_missing.then_some("cargo-fuzz is not installed")
    }

    /// What is built before the time counts.
    pub(super) fn builds(self) -> Vec<Call> {
        match self {
            Self::Fuzz => vec![Call::cargo([
                "fuzz",
                "build",
                "--release",
                "--sanitizer",
                "none",
            ])],
            Self::Proptests => vec![Call::cargo([&suites()[..], &["--no-run"]].concat())],
            Self::Formats => vec![Call::cargo(["build", "--release", "--package", "formats"])],
            _ => vec![Call::cargo([
                "build",
                "--release",
                "--package",
                "blkproof-cli",
            ])],
        }
    }

    /// What it does in so much time.
    pub(super) fn work(self, time: Duration, seed: u64) -> anyhow::Result<Work> {
        Ok(match self {
            Self::Campaign => Work::Bounded(vec![
                campaign(time / 2, seed),
                wild_campaign(time / 2, seed),
            ]),
            Self::Fuzz => Work::Bounded(fuzz(time, seed)?),
            Self::Bugs => Work::Rounds(Rounds::new(BUGS_SEEDS, move |done, seeds| {
                let (seed, seeds) = (seed.wrapping_add(done).to_string(), seeds.to_string());
                Call::blkproof(["bugs", "--seeds", &seeds, "--seed", &seed])
            })),
            Self::Sweep => Work::Once(vec![sweep()]),
            Self::Exhaustive => Work::Once(vec![exhaustive()]),
            Self::Formats => Work::Bounded(formats(time, seed)),
            // Proptest takes another seed each time.
            Self::Proptests => Work::Rounds(Rounds::new(PROPTEST_CASES, |_, cases| {
                Call::cargo(suites()).env("PROPTEST_CASES", cases)
            })),
        })
    }
}

fn campaign(time: Duration, seed: u64) -> Call {
    let seconds = time.as_secs().max(1).to_string();
    let out = format!("{OUT}/campaign-{seed}");
    let seed = seed.to_string();
    Call::blkproof([
        "run",
        "--seconds",
        &seconds,
        "--seed",
        &seed,
        "--stats",
        "--no-holes",
        "--out",
        &out,
    ])
}

/// A campaign whose scenarios lean in ways of their own. Nothing says that it reaches everything.
fn wild_campaign(time: Duration, seed: u64) -> Call {
    let seconds = time.as_secs().max(1).to_string();
    let out = format!("{OUT}/wild-{seed}");
    let seed = seed.to_string();
    Call::blkproof([
        "run",
        "--profile",
        "wild",
        "--seconds",
        &seconds,
        "--seed",
        &seed,
        "--out",
        &out,
    ])
}

fn sweep() -> Call {
    let out = format!("{OUT}/sweep");
    let strikes = ["once", "persistent", "enospc", "torn", "applied"];
    let strikes = strikes.into_iter().flat_map(|strike| ["--strike", strike]);
    let paths = ["seed", "golden", "regressions"].map(|folder| format!("corpora/{folder}"));
    let args = ["sweep", "--out", &out].into_iter().chain(strikes);
    Call::blkproof(args.map(str::to_owned).chain(paths))
}

fn exhaustive() -> Call {
    let out = format!("{OUT}/exhaustive");
    Call::blkproof([
        "sweep",
        "--exhaustive",
        "--guest-steps",
        "4",
        "--swept-guest-steps",
        "2",
        "--out",
        &out,
    ])
}

/// For each image library a campaign, and sweeps of made-up scenarios; all share the time.
fn formats(time: Duration, seed: u64) -> Vec<Call> {
    let libraries = ["blkproof-qcow2", "imago", "qcow2-rs"];
    let share = time.as_secs() / (2 * libraries.len() as u64);
    let seconds = share.max(1).to_string();
    let out = format!("{OUT}/formats-{seed}");
    let seed = seed.to_string();
    let call = |work: &[&str]| {
        let run = ["run", "--release", "--package", "formats", "--"];
        let limits = ["--seconds", &seconds, "--seed", &seed, "--out", &out];
        Call::cargo([&run[..], work, &limits[..]].concat())
    };
    let calls = libraries.into_iter().flat_map(|library| {
        let sweep = ["sweep", library, "--cases", "1000000"];
        [call(&["campaign", library]), call(&sweep)]
    });
    calls.collect()
}

/// The packages that have suites of properties.
fn suites() -> Vec<&'static str> {
    let packages = ["proptests", "blkproof-device", "blkproof-qcow2"];
    let packages = packages.into_iter().flat_map(|name| ["--package", name]);
    ["test", "--release", "--no-fail-fast"]
        .into_iter()
        .chain(packages)
        .collect()
}

/// A call for each fuzz target, which share the time.
fn fuzz(time: Duration, seed: u64) -> anyhow::Result<Vec<Call>> {
    let manifest = repository().join("fuzz/Cargo.toml");
    let manifest = fs::read_to_string(&manifest).context("cannot read fuzz/Cargo.toml")?;
    let targets = targets(&manifest);
    let count = u32::try_from(targets.len()).context("there are fewer targets")?;
    let seconds = (time / count.max(1)).as_secs().max(1);
    // libFuzzer takes 32 bits, and 0 for none.
    let seed = seed % u64::from(u32::MAX) + 1;
    let call = |target: &String| {
        let corpus = format!("fuzz/corpus/{target}");
        let kept = format!("corpora/fuzz/{target}");
        fs::create_dir_all(repository().join(&corpus))
            .with_context(|| format!("cannot make {corpus}"))?;
        let limit = format!("-max_total_time={seconds}");
        let seed = format!("-seed={seed}");
        let run = ["fuzz", "run", "--release", "--sanitizer", "none", target];
        let args = [corpus.as_str(), kept.as_str(), "--", &limit, &seed];
        Ok(Call::cargo(run.into_iter().chain(args).chain(smoke::FLAGS)))
    };
    targets.iter().map(call).collect()
}

/// The names of the targets that are to find something: not the one that must fail, and not the
/// empty one that others are measured by.
pub(super) fn targets(manifest: &str) -> Vec<String> {
    let bins = manifest.split("[[bin]]").skip(1);
    let names = bins.filter_map(|bin| {
        let line = bin.lines().find_map(|line| line.strip_prefix("name = "));
        line.map(|name| name.trim_matches('"').to_owned())
    });
    names
        .filter(|name| !["canary", "null"].contains(&name.as_str()))
        .collect()
}
