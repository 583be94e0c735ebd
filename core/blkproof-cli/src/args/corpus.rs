//! The arguments of `blkproof corpus`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::values::{BugName, ProfileName, Seed};
use crate::out::USUAL;

#[derive(Debug, Args)]
pub(crate) struct CorpusArgs {
    #[command(subcommand)]
    pub(crate) command: CorpusCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CorpusCommand {
    /// Check that scenario files are in order: that they can be read, are in canonical form, and
    /// that no two are the same scenario.
    ///
    /// What they state is not tried: `blkproof replay` does that.
    #[command(after_help = CHECK_EXAMPLE)]
    Check(PathsArgs),
    /// Find the scenario files that reach nothing which others, shorter ones first, do not reach.
    ///
    /// What counts is the table of `run --stats`: every kind of step by the state of the job, by
    /// the faults and by the answer, every refusal, and every kind of fault that acted. A file that
    /// does not end as it states, or that states a failure, is never left out.
    #[command(after_help = MINIMISE_EXAMPLE)]
    Minimise(MinimiseArgs),
    /// Make scenario files of inputs that a fuzzer made.
    ///
    /// Any bytes are a scenario. What came about is written to the --out folder and judged; the
    /// exit code is 1 where it fails, as always.
    #[command(after_help = IMPORT_EXAMPLE)]
    Import(Box<ImportArgs>),
    /// Make inputs for a fuzzer of scenario files, one of each.
    #[command(after_help = EXPORT_EXAMPLE)]
    Export(ExportArgs),
    /// Print the scenario that is a case of a campaign, which the seed, the profiles and its number
    /// tell.
    #[command(after_help = CASE_EXAMPLE)]
    Case(CaseArgs),
}

const CHECK_EXAMPLE: &str = "\
Example:
  blkproof corpus check corpora";

const MINIMISE_EXAMPLE: &str = "\
Example:
  blkproof corpus minimise --remove blkproof-out/imported";

const IMPORT_EXAMPLE: &str = "\
Example:
  blkproof corpus import --profile transactions fuzz/artifacts/transaction/crash-2f2c1a";

const EXPORT_EXAMPLE: &str = "\
Example:
  blkproof corpus export corpora/regressions --out fuzz/corpus/scenario";

const CASE_EXAMPLE: &str = "\
Example:
  blkproof corpus case --seed 124 38905 > case.blk";

#[derive(Debug, Args)]
pub(crate) struct CaseArgs {
    /// The number of the case, from 0 on.
    #[arg(value_name = "NUMBER")]
    pub(crate) number: u64,
    /// The seed of the campaign: decimal, or hexadecimal after 0x.
    #[arg(
        long,
        value_name = "X",
        default_value = "124",
        allow_negative_numbers = true
    )]
    pub(crate) seed: Seed,
    /// The profiles of the campaign, in their order [default: all].
    #[arg(long, value_name = "P")]
    pub(crate) profile: Vec<ProfileName>,
}

#[derive(Debug, Args)]
pub(crate) struct PathsArgs {
    /// Scenario files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct MinimiseArgs {
    /// Scenario files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Remove the files that reach nothing more; without this, they are only named.
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Inputs of a fuzzer, or folders of them.
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// What the input's choices are for: small, faults, transactions, large, or a file that says it
    /// [default: the profile that the input itself chooses].
    #[arg(long, value_name = "P")]
    pub(crate) profile: Option<ProfileName>,
    /// Switch a seeded bug of the engine on; `blkproof bugs --list` names them.
    #[arg(long, value_name = "NAME", value_parser = BugName::parser(), hide_possible_values = true)]
    pub(crate) bug: Vec<BugName>,
    /// The folder that takes the scenario files [default: blkproof-out].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

impl ImportArgs {
    /// Returns the folder that takes the scenario files.
    pub(crate) fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new(USUAL))
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Scenario files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The folder that takes the inputs; it is made when it is needed.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}
