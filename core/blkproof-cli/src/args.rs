//! The arguments, as they are typed.

mod values;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};

pub(crate) use values::Color;

use crate::exit::Exit;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Prove that block-device backups restore.
///
/// Scenarios (guest writes, dirty bitmaps, backups, faults) run against a backup engine whose disks
/// can break, and a reference model that cannot see the engine judges every answer and every
/// restored byte.
#[derive(Debug, Parser)]
#[command(name = "blkproof", version, styles = STYLES, after_help = Exit::HELP)]
#[command(max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// When to use colours; NO_COLOR turns them off too.
    #[arg(long, global = true, value_name = "WHEN", default_value_t, value_enum)]
    pub(crate) color: Color,
    /// Print one JSON object a line instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Rewrite scenario files in canonical form; comments are kept.
    ///
    /// Folders are searched for *.blk files. A file is replaced at once or not at all.
    #[command(after_help = FMT_EXAMPLE)]
    Fmt(FmtArgs),
    /// List the properties that a backup engine is held to, a sentence each.
    #[command(after_help = PROPERTIES_EXAMPLE)]
    Properties,
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETIONS_EXAMPLE)]
    Completions(CompletionsArgs),
}

const FMT_EXAMPLE: &str = "\
Example:
  blkproof fmt --check corpora";

const PROPERTIES_EXAMPLE: &str = "\
Example:
  blkproof properties --json";

const COMPLETIONS_EXAMPLE: &str = "\
Example:
  blkproof completions bash > ~/.local/share/bash-completion/completions/blkproof";

#[derive(Debug, Args)]
pub(crate) struct FmtArgs {
    /// Scenario files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Change nothing; say which files are not canonical and exit with 1 if there is one.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory as _;
        super::Cli::command().debug_assert();
    }
}
