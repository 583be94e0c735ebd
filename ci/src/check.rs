//! What every commit must pass, part by part; the first part that fails ends the run.
//!
//! Warnings are denied here and not in the sources: a newer compiler with a new warning must not
//! break whoever builds an older commit.

use std::process::Command;
use std::time::Instant;

use clap::ValueEnum;

use crate::failure::Failure;
use crate::{repository, tools};

/// Check everything a commit must pass: format, lints, documentation, tests, corpora.
///
/// Example: `cargo run -p ci -- check --skip test`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Check this part and no other; may be given several times.
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Leave this part out; may be given several times.
    #[arg(long, value_name = "PART", conflicts_with = "only")]
    skip: Vec<Part>,
}

/// The parts, in the order they are checked: what is quick or fails often comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The sources are formatted.
    Fmt,
    /// Clippy has nothing to say about any target.
    Clippy,
    /// The documentation builds without a warning.
    Doc,
    /// Licences, advisories and bans; needs cargo-deny.
    Deny,
    /// The test binaries pass.
    Test,
    /// The examples in the documentation pass.
    Doctest,
    /// Every scenario of the corpora meets its expectation.
    Replay,
    /// The seed corpus holds under every single fault.
    Sweep,
    /// All small scenarios hold, the smallest under every single fault.
    Exhaustive,
}

/// One cargo call; warnings are denied through the environment where no argument can do it.
struct Call {
    args: Vec<&'static str>,
    env: Option<(&'static str, &'static str)>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let start = Instant::now();
    for &part in Part::value_variants() {
        if args.chosen(part) {
            run_part(part)?;
        }
    }
    println!(
        "check: all chosen parts passed in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

impl Args {
    fn chosen(&self, part: Part) -> bool {
        (self.only.is_empty() || self.only.contains(&part)) && !self.skip.contains(&part)
    }
}

fn run_part(part: Part) -> Result<(), Failure> {
    let name = part.name();
    if part == Part::Deny && tools::find("cargo-deny").is_none() {
        println!("check: {name} skipped: cargo-deny is not installed");
        return Ok(());
    }
    let call = part.call();
    println!("check: {name}: cargo {}", call.args.join(" "));
    let start = Instant::now();
    let status = Command::new("cargo")
        .args(&call.args)
        .envs(call.env)
        .current_dir(repository())
        .status()
        .map_err(|error| Failure::environment(format!("cannot start cargo: {error}")))?;
    let seconds = start.elapsed().as_secs_f64();
    if !status.success() {
        let only = format!("cargo run -p ci -- check --only {name}");
        return Err(Failure::check(format!(
            "check: {name} failed after {seconds:.1} s; to repeat this part: {only}"
        )));
    }
    println!("check: {name} passed in {seconds:.1} s");
    Ok(())
}

impl Part {
    fn name(self) -> String {
        let value = self.to_possible_value().expect("no part is hidden");
        value.get_name().to_owned()
    }

    fn call(self) -> Call {
        let plain = |args: &[&'static str]| Call {
            args: args.to_vec(),
            env: None,
        };
        let program = |args: &[&'static str]| {
            let run = ["run", "--release", "--package", "blkproof-cli", "--"];
            plain(&[&run[..], args].concat())
        };
        match self {
            Self::Fmt => plain(&["fmt", "--all", "--check"]),
            Self::Clippy => plain(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]),
            Self::Doc => Call {
                args: vec!["doc", "--workspace", "--no-deps"],
                env: Some(("RUSTDOCFLAGS", "-D warnings")),
            },
            Self::Deny => plain(&["deny", "--config", "ci/deny.toml", "--workspace", "check"]),
            Self::Test => plain(&["test", "--workspace", "--lib", "--bins", "--tests"]),
            Self::Doctest => plain(&["test", "--workspace", "--doc"]),
            Self::Replay => program(&["replay", "corpora"]),
            Self::Sweep => program(&["sweep", "corpora/seed"]),
            Self::Exhaustive => program(&["sweep", "--exhaustive"]),
        }
    }
}
