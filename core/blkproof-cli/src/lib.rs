//! The `blkproof` command line: the only crate that prints, reads the clock and starts threads.
//!
//! [`run`] reads the arguments and calls the verb, each in a file of its own. A verb returns an
//! [`Exit`] or an error; errors are printed in one place, here. Everything that is printed goes
//! through the `ui`, so that colours, `--json` and a reader that went away are dealt with once.

mod exit;

mod args;

mod error;

mod ui;

mod json;

mod save;

mod interrupt;

mod crew;

mod out;

mod load;

mod judge;

mod keep;

mod tell;

mod replay;

mod campaign;

mod run;

mod sweep;

mod shrink;

mod explain;

mod bugs;

mod format;

mod corpus;

#[cfg(unix)]
mod serve;

#[cfg(unix)]
mod judge_tool;
mod log;

mod properties;

mod completions;

pub use exit::Exit;

use std::ffi::OsString;

use args::{Cli, Command};
use clap::Parser as _;
use error::Error;
use ui::Ui;

/// Does what the arguments, the program's name first, ask for.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    judge::hush();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let mut ui = Ui::new(cli.color, cli.json, args.first());
    match dispatch(cli.command.unwrap_or_default(), &mut ui) {
        Ok(exit) => exit,
        Err(error) => ui.fail(&error),
    }
}

fn dispatch(command: Command, ui: &mut Ui) -> Result<Exit, Error> {
    match command {
        Command::Run(args) => run::run(&args, ui),
        Command::Replay(args) => replay::run(&args, ui),
        Command::Bugs(args) => bugs::run(&args, ui),
        Command::Sweep(args) => sweep::run(&args, ui),
        Command::Shrink(args) => shrink::run(&args, ui),
        Command::Explain(args) => explain::run(&args, ui),
        Command::Fmt(args) => format::run(&args, ui),
        Command::Corpus(args) => corpus::run(&args, ui),
        #[cfg(unix)]
        Command::JudgeTool(args) => judge_tool::run(&args, ui),
        #[cfg(unix)]
        Command::Serve(args) => serve::run(&args, ui),
        Command::Log(args) => log::run(&args, ui),
        Command::Properties => properties::run(ui),
        Command::Completions(args) => completions::run(&args, ui),
    }
}

/// Help and version are asked for and go to stdout; everything else is bad usage.
fn usage(error: &clap::Error) -> Exit {
    // Nobody is left to be told where this cannot be printed.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Input
    } else {
        Exit::Held
    }
}

/// The README's example in Rust, which is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
