//! `blkproof completions`: scripts by which shells complete the arguments.

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::ui::Ui;

/// Prints the script for a shell.
pub(crate) fn run(args: &CompletionsArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "blkproof", &mut script);
    ui.print(&script)?;
    Ok(Exit::Held)
}
