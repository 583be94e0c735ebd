//! The arguments, as they are typed.

mod corpus;
#[cfg(unix)]
mod judge_tool;
mod log;
#[cfg(unix)]
mod serve;
mod values;

use std::path::{Path, PathBuf};

use blkproof::generate::Profile;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};

pub(crate) use corpus::{
    CaseArgs, CorpusArgs, CorpusCommand, ExportArgs, ImportArgs, MinimiseArgs, PathsArgs,
};
#[cfg(unix)]
pub(crate) use judge_tool::{JudgeToolArgs, Only};
pub(crate) use log::{LogArgs, LogCommand, LogExportArgs, LogSweepArgs};
#[cfg(unix)]
pub(crate) use serve::{CacheMode, NbdArgs, ServeArgs, ServeCommand};
pub(crate) use values::{
    BugName, Cases, Color, Jobs, ProfileName, Runs, Seconds, Seed, StrikeName,
};

use crate::campaign::Shard;
use crate::exit::Exit;
use crate::out::USUAL;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Prove that block-device backups restore.
///
/// Scenarios (guest writes, dirty bitmaps, backups, faults) run against a backup engine whose disks
/// can break, and a reference model that cannot see the engine judges every answer and every
/// restored byte. Without a verb, `blkproof` does what `blkproof run` does.
#[derive(Debug, Parser)]
#[command(name = "blkproof", version, styles = STYLES, after_help = Exit::HELP)]
#[command(max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// When to use colours; NO_COLOR turns them off too.
    #[arg(long, global = true, value_name = "WHEN", default_value_t, value_enum)]
    pub(crate) color: Color,
    /// Print one JSON object a line instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Replay the corpora, then run a campaign of made-up scenarios.
    ///
    /// Case N of a campaign follows from the seed, the profile and N alone, so the same cases are
    /// judged whatever the number of threads; --seconds only decides how many. A scenario that
    /// fails is written to the --out folder before anything is said about it.
    ///
    /// A campaign can be interrupted at any moment, by Ctrl-C, SIGTERM or anything harder: how far
    /// it is lies in the --out folder (campaign.json) until it is over, and --resume, or the same
    /// command again, goes on from there and ends as if nothing had happened.
    #[command(after_help = RUN_EXAMPLE)]
    Run(RunArgs),
    /// Replay scenario files and compare each with its stated expectation.
    ///
    /// Folders are searched for *.blk files, in order of their paths.
    #[command(after_help = REPLAY_EXAMPLE)]
    Replay(ReplayArgs),
    /// Try every single fault of scenarios, one at a time.
    ///
    /// Each scenario is run again and again, each time with one more request failing: at each
    /// image, below and above its format, each kind of request, the first, the second, and so on
    /// until none is left. What a scenario states about its steps is left out; only the model
    /// judges. A scenario that fails is written to the --out folder, with the rule that makes it
    /// fail.
    #[command(after_help = SWEEP_EXAMPLE)]
    Sweep(SweepArgs),
    /// Make a smaller scenario that fails in the same way.
    ///
    /// Steps, faults, disks and values go as long as the same property fails at the same kind of
    /// step. The smallest so far is always in the file OUT; called again, it goes on from there.
    /// The exit code is 1 where the scenario fails, as always, unless it states that failure; 2
    /// where it does not fail.
    #[command(after_help = SHRINK_EXAMPLE)]
    Shrink(ShrinkArgs),
    /// Tell how a scenario fails, and which of its steps and faults that takes.
    ///
    /// Each is left out in turn: where the failure still comes, it is irrelevant. The exit code is
    /// 1 where the scenario fails, as always, unless it states that failure; 2 where it does not.
    #[command(after_help = EXPLAIN_EXAMPLE)]
    Explain(ExplainArgs),
    /// Hunt the seeded bugs: mistakes of real backup software, each switched on by itself.
    ///
    /// For each bug the scenario that is kept of it is replayed both ways, and made-up scenarios
    /// are judged until one breaks the property that must break. Exits with 1 if a bug gets away.
    #[command(after_help = BUGS_EXAMPLE)]
    Bugs(BugsArgs),
    /// Rewrite scenario files in canonical form; comments are kept.
    ///
    /// Folders are searched for *.blk files. A file is replaced at once or not at all.
    #[command(after_help = FMT_EXAMPLE)]
    Fmt(FmtArgs),
    /// Look after folders of scenario files, and exchange them with fuzzers.
    #[command(after_help = CORPUS_EXAMPLE)]
    Corpus(CorpusArgs),
    /// Put a backup tool between two disks that break, and judge what arrives.
    ///
    /// The tool is run again and again: each time with one more request of its failing, at the
    /// disk that it reads (the source) or the one that it writes (the target), until there is none
    /// left. Each time it has to fail, with an exit code that is not 0, or the target has to hold
    /// what the source holds. A tool that swallows an error and says that all is well is caught.
    ///
    /// The disks are NBD exports, whose URIs the tool finds in its environment (BLKPROOF_SOURCE,
    /// BLKPROOF_TARGET) and in place of {source} and {target} in its arguments.
    #[cfg(unix)]
    #[command(after_help = JUDGE_TOOL_EXAMPLE)]
    JudgeTool(Box<JudgeToolArgs>),
    /// Serve disks that break on request to other programs.
    #[cfg(unix)]
    #[command(after_help = SERVE_EXAMPLE)]
    Serve(ServeArgs),
    /// Exchange write logs with QEMU and Linux, and cut the power wherever they say.
    #[command(after_help = LOG_EXAMPLE)]
    Log(LogArgs),
    /// List the properties that a backup engine is held to, a sentence each.
    #[command(after_help = PROPERTIES_EXAMPLE)]
    Properties,
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETIONS_EXAMPLE)]
    Completions(CompletionsArgs),
}

const RUN_EXAMPLE: &str = "\
Example:
  blkproof run --seconds 60 --profile faults --seed 7";

const REPLAY_EXAMPLE: &str = "\
Example:
  blkproof replay corpora/seed blkproof-out/case.blk";

const SWEEP_EXAMPLE: &str = "\
Example:
  blkproof sweep corpora/seed --strike once --strike torn";

const SHRINK_EXAMPLE: &str = "\
Example:
  blkproof shrink blkproof-out/small-seed7-case0.blk -o small.blk";

const EXPLAIN_EXAMPLE: &str = "\
Example:
  blkproof explain blkproof-out/small-seed7-case0.min.blk";

const BUGS_EXAMPLE: &str = "\
Example:
  blkproof bugs --seeds 3 regrown-is-clean undo-forward";

const FMT_EXAMPLE: &str = "\
Example:
  blkproof fmt --check corpora";

const CORPUS_EXAMPLE: &str = "\
Example:
  blkproof corpus import fuzz/artifacts/scenario/crash-2f2c1a";

#[cfg(unix)]
const JUDGE_TOOL_EXAMPLE: &str = "\
Example:
  blkproof judge-tool --durable -- nbdcopy --flush {source} {target}";

#[cfg(unix)]
const SERVE_EXAMPLE: &str = "\
Example:
  blkproof serve nbd --size 64M --socket disk0.sock --control disk0.ctl";
const LOG_EXAMPLE: &str = "\
Example:
  blkproof log sweep disk.log --base before.qcow2";

const PROPERTIES_EXAMPLE: &str = "\
Example:
  blkproof properties --json";

const COMPLETIONS_EXAMPLE: &str = "\
Example:
  blkproof completions bash > ~/.local/share/bash-completion/completions/blkproof";

impl Default for Command {
    fn default() -> Self {
        let no_args = ["blkproof", "run"];
        let cli = Cli::try_parse_from(no_args).expect("every flag of run has a default");
        cli.command.expect("a verb was named")
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Judge this many cases.
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "seconds",
        allow_negative_numbers = true
    )]
    pub(crate) cases: Option<Cases>,
    /// Judge cases for this long [default: 10].
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub(crate) seconds: Option<Seconds>,
    /// The seed of the campaign: decimal, or hexadecimal after 0x [default: 124].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) seed: Option<Seed>,
    /// How the scenarios lean: small, faults, transactions, large, power, wild (each in a way of
    /// its own, slower, and not among all), or a file that says it;
    /// given several times, the cases take turns [default: all].
    #[arg(long, value_name = "P")]
    pub(crate) profile: Vec<ProfileName>,
    /// Judge the share I of N of the cases, for N machines that have one each. The digests of all
    /// shares, joined by exclusive or, are the digest of the whole.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Go on with the campaign that was interrupted in the --out folder; what is not said is as it
    /// was. Without this flag, the same command goes on too, and another one is refused.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Give up a campaign that was interrupted in the --out folder, and begin anew.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) fresh: bool,
    /// End when cases fail in this many ways: another property, or another kind of step. Of each
    /// way, three cases are kept.
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) failures: u64,
    /// Switch a seeded bug of the engine on, to see how a failure looks; `blkproof bugs --list`
    /// names them.
    #[arg(long, value_name = "NAME", value_parser = BugName::parser(), hide_possible_values = true)]
    pub(crate) bug: Vec<BugName>,
    /// Look behind the findings that this file names, one a line as reports name them, such as
    /// `restore-exact at check`; the summary says how often each showed, and which no longer does.
    #[arg(long, value_name = "FILE")]
    pub(crate) known: Vec<PathBuf>,
    /// How many threads judge cases [default: one per processor].
    #[arg(long, value_name = "J", allow_negative_numbers = true)]
    pub(crate) jobs: Option<Jobs>,
    /// Print what the cases reached: every kind of step by the state of the job, by the faults and
    /// by the answer, and what was never reached.
    #[arg(long)]
    pub(crate) stats: bool,
    /// Fail where something was never reached for which there is no reason, once as many cases were
    /// judged as reach all that can be reached.
    #[arg(long, requires = "stats")]
    pub(crate) no_holes: bool,
    /// The folder that takes the scenarios that failed [default: blkproof-out].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The folder of scenarios to replay first [default: corpora, where there is one].
    #[arg(long, value_name = "DIR")]
    pub(crate) corpora: Option<PathBuf>,
}

impl RunArgs {
    /// Returns the folder that takes the scenarios that failed.
    pub(crate) fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new(USUAL))
    }
}

/// Returns the profiles of these names, or all.
pub(crate) fn profiles(names: &[ProfileName]) -> Vec<Profile> {
    if names.is_empty() {
        return Profile::built_in().to_vec();
    }
    names.iter().map(|name| name.profile.clone()).collect()
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Scenario files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Switch a seeded bug of the engine on; `blkproof bugs --list` names them.
    #[arg(long, value_name = "NAME", value_parser = BugName::parser(), hide_possible_values = true)]
    pub(crate) bug: Vec<BugName>,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// Scenario files, or folders of them.
    #[arg(required_unless_present = "exhaustive", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Instead of files: all scenarios of a small bound, each once, and every single fault of the
    /// smallest of them.
    #[arg(long, conflicts_with = "paths")]
    pub(crate) exhaustive: bool,
    /// Instead of faults: cut the power at every operation that changes a device or makes it
    /// durable, in every way: all is lost that was not flushed, nothing, the last operation, each
    /// one alone, all but it; torn, reordered, and by chance.
    #[arg(long, conflicts_with_all = ["exhaustive", "strike"])]
    pub(crate) power: bool,
    /// How many ways by chance --power tries at each operation.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "power")]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub(crate) random: u64,
    /// Also write down what the cuts of --power left, before anybody opens it: the images of every
    /// state, in folders of DIR, for other tools to look at.
    #[arg(long, value_name = "DIR", requires = "power")]
    pub(crate) dump: Option<PathBuf>,
    /// Of how many states --dump writes one down.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "dump")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) every: u64,
    /// How many guest steps the scenarios of --exhaustive have at most.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "exhaustive")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=4))]
    pub(crate) guest_steps: u32,
    /// Up to how many guest steps --exhaustive tries every single fault.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "exhaustive")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=3))]
    pub(crate) swept_guest_steps: u32,
    /// What happens to the request that is struck: it fails once, it and all behind it fail, it
    /// fails with ENOSPC, half of it is applied, or all of it [default: once, persistent].
    #[arg(long, value_name = "HOW", value_parser = StrikeName::parser())]
    pub(crate) strike: Vec<StrikeName>,
    /// How many threads judge [default: one per processor].
    #[arg(long, value_name = "J", allow_negative_numbers = true)]
    pub(crate) jobs: Option<Jobs>,
    /// Switch a seeded bug of the engine on; `blkproof bugs --list` names them.
    #[arg(long, value_name = "NAME", value_parser = BugName::parser(), hide_possible_values = true)]
    pub(crate) bug: Vec<BugName>,
    /// The folder that takes the scenarios that failed [default: blkproof-out].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

impl SweepArgs {
    /// Returns the folder that takes the scenarios that failed.
    pub(crate) fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new(USUAL))
    }
}

#[derive(Debug, Args)]
pub(crate) struct ShrinkArgs {
    /// The scenario file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where the smaller scenario goes [default: beside FILE, ending in .min.blk].
    #[arg(short, long, value_name = "OUT")]
    pub(crate) out: Option<PathBuf>,
    /// The property that has to go on failing [default: the stated one, or the first that tells].
    #[arg(long, value_name = "PROPERTY")]
    pub(crate) keep: Option<String>,
    /// Switch a seeded bug of the engine on; `blkproof bugs --list` names them.
    #[arg(long, value_name = "NAME", value_parser = BugName::parser(), hide_possible_values = true)]
    pub(crate) bug: Vec<BugName>,
    /// Run at most this many candidates.
    #[arg(long, value_name = "N", default_value_t, allow_negative_numbers = true)]
    pub(crate) runs: Runs,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The scenario file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The property that is explained [default: the one that is stated, or the first that tells].
    #[arg(long, value_name = "PROPERTY")]
    pub(crate) keep: Option<String>,
    /// Switch a seeded bug of the engine on; `blkproof bugs --list` names them.
    #[arg(long, value_name = "NAME", value_parser = BugName::parser(), hide_possible_values = true)]
    pub(crate) bug: Vec<BugName>,
}

#[derive(Debug, Args)]
pub(crate) struct BugsArgs {
    /// The bugs to hunt [default: all].
    #[arg(value_name = "NAME", value_parser = BugName::parser(), hide_possible_values = true)]
    pub(crate) names: Vec<BugName>,
    /// Only list the bugs: what each does wrong, where it happened, what must catch it.
    #[arg(long)]
    pub(crate) list: bool,
    /// The seed of the first campaign; the others have those that follow it.
    #[arg(long, value_name = "X", default_value_t, allow_negative_numbers = true)]
    pub(crate) seed: Seed,
    /// How many campaigns hunt each bug.
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// After how many cases a bug counts as one that got away.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) cases: u64,
    /// How the scenarios lean; given several times, the cases take turns [default: all].
    #[arg(long, value_name = "P")]
    pub(crate) profile: Vec<ProfileName>,
    /// How many bugs are hunted at once [default: one per processor].
    #[arg(long, value_name = "J", allow_negative_numbers = true)]
    pub(crate) jobs: Option<Jobs>,
    /// The folder of the scenarios that show the bugs [default: corpora/bugs, where there is one].
    #[arg(long, value_name = "DIR")]
    pub(crate) kept: Option<PathBuf>,
    /// Keep what each case that caught a bug was shrunk to in that folder.
    #[arg(long)]
    pub(crate) save: bool,
    /// Run at most this many candidates to shrink each case that catches a bug; with 0, none is
    /// shrunk.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub(crate) runs: u64,
}

impl BugsArgs {
    /// Returns the profiles that the cases take in turns.
    pub(crate) fn profiles(&self) -> Vec<Profile> {
        profiles(&self.profile)
    }
}

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
mod tests;
