//! The checks of this repository and the tools its continuous integration runs, one verb each.
//!
//! `cargo run -p ci -- check` is what every commit must pass. `qmp` and `experiments` put
//! questions to a real QEMU. Nothing here is part of blkproof itself, and nothing of blkproof is
//! linked into it: a broken library must not keep its own checks from building.

#![expect(clippy::print_stdout, reason = "a command line prints")]
#![expect(clippy::print_stderr, reason = "a command line prints")]

mod failure;

mod biases;
mod budget;
mod check;
mod digest;
mod experiments;
mod nbd_speed;
mod nightly;
mod qmp;
mod smoke;

mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks of this repository, and the tools its continuous integration runs.
#[derive(Debug, Parser)]
#[command(name = "ci", bin_name = "cargo run -p ci --", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(check::Args),
    Smoke(smoke::Args),
    Nightly(nightly::Args),
    Digest(digest::Args),
    NbdSpeed(nbd_speed::Args),
    Biases(biases::Args),
    Qmp(qmp::Args),
    Experiments(experiments::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Check(args) => check::run(&args),
        Verb::Smoke(args) => smoke::run(&args),
        Verb::Nightly(args) => nightly::run(&args),
        Verb::Digest(args) => digest::run(&args),
        Verb::NbdSpeed(args) => nbd_speed::run(&args),
        Verb::Biases(args) => biases::run(&args),
        Verb::Qmp(args) => qmp::run(&args),
        Verb::Experiments(args) => experiments::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

/// The top of the repository, where `Cargo.toml`, `core/` and `ci/` lie.
fn repository() -> &'static std::path::Path {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the package lies in a folder of the repository")
}
