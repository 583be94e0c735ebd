//! The `qmp` verb: puts the questions of a file to a private QEMU and prints its answers.
//!
//! This is how doubts about QEMU's behaviour are settled. The file is parsed whole before anything
//! starts ([`script`]); then each line is carried out in a temporary folder ([`session`]), against
//! a daemon that talks over a unix socket there ([`subject`], [`monitor`]). The transcript
//! ([`transcript`]) repeats the file with the answers indented below each line.
//!
//! Replies and events race in QEMU, so events are not printed when they arrive but at the next
//! `wait-event` (or at the end): in between, the transcript is the same in every run.

pub(crate) mod monitor;
pub(crate) mod script;
pub(crate) mod session;
pub(crate) mod subject;
pub(crate) mod transcript;
mod words;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::failure::Failure;
use session::Options;
use subject::Kind;

/// Feed a file of QMP commands to a private QEMU and print its replies and events.
///
/// Example: `cargo run -p ci -- qmp ci/experiments/failed-write.qmp`
#[derive(Debug, clap::Args)]
#[command(after_long_help = FORMAT)]
pub(crate) struct Args {
    /// The file of commands; `-` reads standard input.
    file: PathBuf,
    /// Use qemu-system-x86_64, which has HMP and devices, in place of qemu-storage-daemon.
    #[arg(long)]
    system: bool,
    /// Also print the pause and resume of a job that a drain causes.
    #[arg(long)]
    drains: bool,
    /// Seconds that a reply, an event or a program may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

const FORMAT: &str = "\
The file:
  One step a line; a line that starts with a blank continues the one above; # starts a comment.
  All programs run in one temporary folder, so plain file names will do; ${DIR} is its path.

  {\"execute\": ...}             a QMP command
  NAME {ARGUMENTS}             the same, shorter; the arguments may be missing
  expect-error TEXT            the next step must fail, with TEXT in its message
  qemu-img WORDS, qemu-io WORDS
                               run the program; 'single' and \"double\" quotes group words
  export NODE, unexport NODE   open or close an NBD export of the node, for `guest`
  guest NODE COMMAND...        qemu-io commands through the export: guest I/O. Nothing is
                               flushed but by the command flush
  wait-event NAME [VALUE...]   wait for an event whose data holds these values, and print the
                               events up to it
  wait-job ID FIELD VALUE      query-block-jobs until the job's field has the value
  bitmaps                      the dirty bitmaps of all nodes, one a line
  restart, kill                end QEMU politely or at once, and start it again

Exit codes: 0 all steps went as the file says; 1 one did not; 2 the file is wrong; 3 a program is
missing.";

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let name = args.file.display().to_string();
    let text = if name == "-" {
        io::read_to_string(io::stdin())
    } else {
        std::fs::read_to_string(&args.file)
    };
    let text = text.map_err(|error| Failure::input(format!("{name}: {error}")))?;
    let script = script::parse(&text).map_err(|error| Failure::input(error.in_file(&name)))?;
    let options = Options {
        kind: if args.system {
            Kind::System
        } else {
            Kind::Daemon
        },
        drains: args.drains,
        limit: Duration::from_secs(args.timeout),
    };
    let result = session::run(&name, &script, &options, &mut io::stdout().lock());
    // What was printed before a failure belongs above its message.
    io::stdout()
        .flush()
        .map_err(|error| Failure::environment(error.to_string()))?;
    result
}
