//! What every commit must pass, part by part; the first part that fails ends the run.
//!
//! Warnings are denied here and not in the sources: a newer compiler with a new warning must not
//! break whoever builds an older commit.

use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::budget::{Budget, Measured, Verdict};
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
    /// Licences, advisories and bans; needs cargo-deny. All but the advisories is tested as well.
    Deny,
    /// All builds with the oldest Rust that it says it takes; needs that toolchain.
    Msrv,
    /// The test binaries pass.
    Test,
    /// The examples in the documentation pass.
    Doctest,
    /// Every scenario of the corpora meets its expectation.
    Replay,
    /// The seed corpus holds under every single fault.
    Sweep,
    /// The seed corpus holds whenever its power is cut, in whatever way.
    Power,
    /// Every fuzz target holds for some seconds, and the canary fails; needs cargo-fuzz.
    Smoke,
    /// All small scenarios hold, the smallest under every single fault.
    Exhaustive,
    /// Made-up scenarios catch every seeded bug, with three seeds each.
    Bugs,
    /// The same seed comes to the same digest, in two runs, in debug and release builds.
    Digest,
    /// Nothing takes much longer than it did, beside something else in the same run.
    Ratios,
}

/// One cargo call; warnings are denied through the environment where no argument can do it.
struct Call {
    args: Vec<&'static str>,
    env: Option<(&'static str, &'static str)>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let start = Instant::now();
    let budget = Budget::load("check")?;
    let mut measured = Measured::default();
    let mut far_over = Vec::new();
    for &part in Part::value_variants() {
        if !args.chosen(part) {
            continue;
        }
        let name = part.name();
        let allowed = budget.time(&name)?;
        let took = run_part(part)?;
        match measured.note(&name, took, allowed) {
            Verdict::Within => (),
            Verdict::Over => println!("check: {name} took longer than its budget"),
            Verdict::FarOver => far_over.push(name),
        }
    }
    println!("{}", measured.table().trim_end());
    if !far_over.is_empty() {
        return Err(Failure::check(format!(
            "check: far over the budget of ci/BUDGET.md: {}",
            far_over.join(", ")
        )));
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

/// The oldest Rust that everything builds with.
const OLDEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Tells whether rustup has the oldest Rust here.
fn has_oldest_rust() -> bool {
    let rustc = ["run", OLDEST_RUST, "rustc", "--version"];
    let output = Command::new("rustup").args(rustc).output();
    output.is_ok_and(|output| output.status.success())
}

/// Runs a part; returns how long it took.
fn run_part(part: Part) -> Result<Duration, Failure> {
    let name = part.name();
    if part == Part::Deny && tools::find("cargo-deny").is_none() {
        println!("check: {name} skipped: cargo-deny is not installed");
        return Ok(Duration::ZERO);
    }
    if part == Part::Msrv && !has_oldest_rust() {
        println!("check: {name} skipped: rustup toolchain install {OLDEST_RUST}");
        return Ok(Duration::ZERO);
    }
    if part == Part::Smoke && tools::find("cargo-fuzz").is_none() {
        println!("check: {name} skipped: cargo-fuzz is not installed");
        return Ok(Duration::ZERO);
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
    let took = start.elapsed();
    let seconds = took.as_secs_f64();
    if !status.success() {
        let only = format!("cargo run -p ci -- check --only {name}");
        return Err(Failure::check(format!(
            "check: {name} failed after {seconds:.1} s; to repeat this part: {only}"
        )));
    }
    println!("check: {name} passed in {seconds:.1} s");
    Ok(took)
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
            // Through rustup, since inside a call of cargo `cargo +1.88` is no call of rustup's.
            Self::Msrv => Call {
                args: vec!["check", "--workspace", "--target-dir", "target/msrv"],
                env: Some(("RUSTUP_TOOLCHAIN", OLDEST_RUST)),
            },
            Self::Test => plain(&["test", "--workspace", "--lib", "--bins", "--tests"]),
            Self::Doctest => plain(&["test", "--workspace", "--doc"]),
            Self::Replay => program(&["replay", "corpora"]),
            Self::Sweep => program(&["sweep", "corpora/seed"]),
            Self::Power => program(&["sweep", "--power", "corpora/seed", "corpora/golden"]),
            Self::Smoke => plain(&["run", "--package", "ci", "--", "smoke"]),
            Self::Exhaustive => program(&["sweep", "--exhaustive"]),
            Self::Digest => plain(&["run", "--package", "ci", "--", "digest"]),
            Self::Ratios => plain(&[
                "bench",
                "--profile",
                "release",
                "--package",
                "proptests",
                "--bench",
                "ratios",
            ]),
            Self::Bugs => program(&["bugs", "--seeds", "3"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum as _;

    use super::Part;
    use crate::budget::Budget;

    #[test]
    fn every_part_has_its_minutes_and_all_together_25() {
        let budget = Budget::load("check").unwrap();
        let parts = Part::value_variants().iter().map(|part| part.name());
        let mut parts: BTreeSet<String> = parts.collect();
        parts.insert("setup".to_owned());
        let rows: BTreeSet<String> = budget.names().map(str::to_owned).collect();
        assert_eq!(rows, parts);
        assert!(budget.sum() <= 25.0, "{} minutes", budget.sum());
    }
}
