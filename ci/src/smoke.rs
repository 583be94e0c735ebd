//! Every fuzz target for some seconds: on stable Rust, without a sanitizer, always the same runs.
//!
//! A fuzzer that finds nothing looks just like one that cannot find anything. So one target, the
//! canary, runs an engine with a bug and has to fail, and what it finds has to become a scenario
//! that fails by the same command that a real find is turned into one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::failure::Failure;
use crate::repository;
use crate::tools::{self, Finished};

/// Run every fuzz target for some seconds, without a sanitizer.
///
/// The runs are the same each time: their number and seed are fixed. Needs cargo-fuzz and a C++
/// compiler. Example: `cargo run -p ci -- smoke`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run this target and no other; may be given several times.
    #[arg(long, value_name = "TARGET", value_parser = names())]
    only: Vec<String>,
}

/// A fuzz target, how often it runs, and how a find is told from its input.
struct Target {
    name: &'static str,
    runs: u32,
    find: Find,
}

/// What an input that fails is.
enum Find {
    /// A scenario, by choices for this profile, if any.
    Scenario(Option<&'static str>),
    /// Something that only its target can read.
    Other,
    /// A scenario that must fail, with this bug of the engine switched on.
    Canary(&'static str),
}

/// The targets; the runs of each take some seconds.
const TARGETS: [Target; 8] = [
    Target {
        name: "scenario",
        runs: 2500,
        find: Find::Scenario(None),
    },
    Target {
        name: "transaction",
        runs: 2500,
        find: Find::Scenario(Some("transactions")),
    },
    Target {
        name: "bitmap",
        runs: 2500,
        find: Find::Scenario(Some("proptests/profiles/bitmaps.toml")),
    },
    Target {
        name: "scenario_text",
        runs: 5000,
        find: Find::Other,
    },
    Target {
        name: "blkdebug_config",
        runs: 40_000,
        find: Find::Other,
    },
    Target {
        name: "nbd",
        runs: 20_000,
        find: Find::Other,
    },
    Target {
        name: "qcow2_image",
        runs: 20_000,
        find: Find::Other,
    },
    Target {
        name: "canary",
        runs: 20_000,
        find: Find::Canary("overwrite-is-clean"),
    },
];

/// What every run of a target is told. What the last two leave out takes longer than all else: see
/// fuzz/README.md.
pub(crate) const FLAGS: [&str; 5] = [
    "-len_control=0",
    "-max_len=4096",
    "-timeout=60",
    "-entropic=0",
    "-reduce_inputs=0",
];

/// No target takes as long as this unless it hangs.
const LIMIT: Duration = Duration::from_secs(300);

fn names() -> Vec<&'static str> {
    TARGETS.iter().map(|target| target.name).collect()
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if tools::find("cargo-fuzz").is_none() {
        return Err(Failure::environment(
            "cargo-fuzz was not found; install it with: cargo install cargo-fuzz --locked",
        ));
    }
    build()?;
    let start = Instant::now();
    for target in &TARGETS {
        if args.only.is_empty() || args.only.iter().any(|name| name == target.name) {
            let start = Instant::now();
            target.smoke()?;
            let seconds = start.elapsed().as_secs_f64();
            println!("smoke: {} did as it must in {seconds:.1} s", target.name);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("smoke: all chosen targets did as they must in {seconds:.1} s");
    Ok(())
}

/// Builds the targets, and the program that imports what the canary finds.
fn build() -> Result<(), Failure> {
    for args in [
        &["fuzz", "build", "--release", "--sanitizer", "none"][..],
        &["build", "--release", "--package", "blkproof-cli"],
    ] {
        let status = Command::new("cargo")
            .args(args)
            .current_dir(repository())
            .status()
            .map_err(|error| Failure::environment(format!("cannot start cargo: {error}")))?;
        if !status.success() {
            let args = args.join(" ");
            return Err(Failure::check(format!(
                "smoke: cargo {args} failed (libFuzzer needs a C++ compiler)"
            )));
        }
    }
    Ok(())
}

impl Target {
    /// Runs the target; what it finds beside its seeds goes to a temporary folder.
    fn smoke(&self) -> Result<(), Failure> {
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        let is_canary = matches!(self.find, Find::Canary(_));
        let artifacts = if is_canary {
            folder.path().join("artifacts")
        } else {
            repository().join("fuzz/artifacts").join(self.name)
        };
        let corpus = folder.path().join("corpus");
        for folder in [&artifacts, &corpus] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let finished = self.fuzz(&corpus, &artifacts)?;
        let found = finished
            .output
            .split_once("Test unit written to ")
            .and_then(|(_, rest)| rest.lines().next());
        match (&self.find, found) {
            (Find::Canary(bug), Some(input)) => imports(bug, input, folder.path()),
            (Find::Canary(bug), None) => Err(Failure::check(format!(
                "smoke: the canary did not fail: in {} runs nothing found the bug {bug}\n{}",
                self.runs,
                end(&finished.output)
            ))),
            (_, Some(input)) => Err(Failure::check(self.told(input, &finished.output))),
            (_, None) if finished.status.success() && did_all(&finished.output, self.runs) => {
                Ok(())
            }
            (_, None) => Err(Failure::check(format!(
                "smoke: {} did not do its {} runs\n{}",
                self.name,
                self.runs,
                end(&finished.output)
            ))),
        }
    }

    fn fuzz(&self, corpus: &Path, artifacts: &Path) -> anyhow::Result<Finished> {
        let mut args = vec!["fuzz".to_owned(), "run".to_owned()];
        args.extend(["--release", "--sanitizer", "none", self.name].map(str::to_owned));
        args.push(corpus.display().to_string());
        let seeds = repository().join("corpora/fuzz").join(self.name);
        if seeds.exists() {
            args.push(seeds.display().to_string());
        }
        args.push("--".to_owned());
        args.push(format!("-runs={}", self.runs));
        args.push(format!("-artifact_prefix={}/", artifacts.display()));
        args.push("-seed=1".to_owned());
        args.extend(FLAGS.map(str::to_owned));
        tools::run_bounded("cargo", &args, repository(), LIMIT)
    }

    /// Says what was found, and how to go on.
    fn told(&self, input: &str, output: &str) -> String {
        let import = "cargo run --release -- corpus import";
        let next = match self.find {
            Find::Scenario(None) => format!("to make a scenario file of it: {import} {input}"),
            Find::Scenario(Some(profile)) => {
                format!("to make a scenario file of it: {import} --profile {profile} {input}")
            }
            Find::Other | Find::Canary(_) => format!(
                "to run it again: cargo fuzz run --release --sanitizer none {} {input}",
                self.name
            ),
        };
        let report = output.split_once("panicked at").map_or_else(
            || end(output),
            |(_, report)| report.lines().take(60).collect::<Vec<_>>().join("\n"),
        );
        format!("smoke: {} found something\n{report}\n{next}", self.name)
    }
}

/// Tells whether libFuzzer says that it did all its runs.
fn did_all(output: &str, runs: u32) -> bool {
    let done = output
        .split_once("\nDone ")
        .and_then(|(_, rest)| rest.split_once(" runs in "));
    done.and_then(|(count, _)| count.parse().ok())
        .is_some_and(|count: u32| count >= runs)
}

/// Returns the last lines, which say how a run ended.
fn end(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Makes a scenario file of what the canary found; it has to fail with the bug.
fn imports(bug: &str, input: &str, folder: &Path) -> Result<(), Failure> {
    let out = folder.join("imported").display().to_string();
    let program = ["run", "--release", "--package", "blkproof-cli", "--"];
    let import = ["corpus", "import", "--bug", bug, "--out", &out, input];
    let args = [&program[..], &import].concat();
    let finished = tools::run_bounded("cargo", &args, repository(), LIMIT)?;
    if finished.status.code() == Some(1) {
        return Ok(());
    }
    Err(Failure::check(format!(
        "smoke: what the canary found is no scenario that fails\n{}",
        end(&finished.output)
    )))
}

#[cfg(test)]
mod tests;
