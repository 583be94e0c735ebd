//! The arguments of `blkproof log`.

use std::path::{Path, PathBuf};

use blkproof_spec::ImageName;
use clap::{Args, Subcommand};

use super::values::sector_size;
use crate::out::USUAL;

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    pub(crate) command: LogCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Write down as a write log what a scenario does to the device of one image.
    ///
    /// The log begins with what the image holds before the first step, durably. What it says can be
    /// replayed by the tools for Linux' dm-log-writes as well.
    #[command(after_help = EXPORT_EXAMPLE)]
    Export(LogExportArgs),
    /// Cut the power at every operation of a write log of a qcow2 image, in every way, and look at
    /// what is left.
    ///
    /// The image has to open, with nothing wrong but leaks, to show what a guest saw in it when it
    /// was last flushed, and to call no bitmap consistent that is not. QEMU records such logs with
    /// its driver blklogwrites, Linux with its target dm-log-writes.
    #[command(after_help = SWEEP_EXAMPLE)]
    Sweep(LogSweepArgs),
}

const EXPORT_EXAMPLE: &str = "\
Example:
  blkproof log export corpora/seed/incremental_simple.blk --image drive0 -o drive0.log";

const SWEEP_EXAMPLE: &str = "\
Example:
  qemu-img create -f qcow2 disk.qcow2 64M && cp disk.qcow2 before.qcow2 && touch disk.log
  qemu-io --image-opts -c 'write 0 1M' -c flush \\
    driver=qcow2,file.driver=blklogwrites,file.file.driver=file,file.file.filename=disk.qcow2,\\
file.log.driver=file,file.log.filename=disk.log
  blkproof log sweep disk.log --base before.qcow2";

#[derive(Debug, Args)]
pub(crate) struct LogExportArgs {
    /// The scenario file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The image, a disk of the setup or one that a step makes [default: the first disk].
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<ImageName>,
    /// Where the log goes.
    #[arg(short, long, value_name = "LOG")]
    pub(crate) out: PathBuf,
    /// The size of the log's sectors, a power of two.
    #[arg(long, value_name = "BYTES", default_value_t = 512, value_parser = sector_size)]
    pub(crate) sector: u64,
}

#[derive(Debug, Args)]
pub(crate) struct LogSweepArgs {
    /// The log.
    #[arg(value_name = "LOG")]
    pub(crate) log: PathBuf,
    /// The image as it was when the log began [default: it was empty].
    #[arg(long, value_name = "FILE")]
    pub(crate) base: Option<PathBuf>,
    /// How many ways by chance are tried at each operation.
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub(crate) random: u64,
    /// The folder that takes the images that are not as they must be [default: blkproof-out].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

impl LogSweepArgs {
    /// Returns the folder that takes the images.
    pub(crate) fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new(USUAL))
    }
}
