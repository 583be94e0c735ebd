//! The arguments of `blkproof serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    pub(crate) command: ServeCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServeCommand {
    /// Serve a disk in memory that breaks on request as an NBD export, to any client.
    ///
    /// It is empty at first and gone at the end. Rules say which requests fail and how: from a file
    /// at first, and over the control socket at any time. What is written there is lines of the
    /// scenario language (fault, lift, lift-all, tick, wait-for, resume, power-cut, kill, resize,
    /// bitmap), or asks for something (help lists it all); each line is answered by lines of which
    /// the last one is `ok`, or begins with `error:`.
    #[command(after_help = NBD_EXAMPLE)]
    Nbd(Box<NbdArgs>),
}

const NBD_EXAMPLE: &str = "\
Example:
  blkproof serve nbd --size 64M --socket disk0.sock --control disk0.ctl
  qemu-io -f raw -c 'write 0 64k' 'nbd+unix:///?socket=disk0.sock'
  echo 'fault disk0.file error errno=ENOSPC iotype=write when=nth(1)' | socat - disk0.ctl";

#[derive(Debug, Args)]
pub(crate) struct NbdArgs {
    /// The size of the disk, up to 16 TiB, such as 64M, 16T or 1000000.
    #[arg(long, value_name = "SIZE")]
    pub(crate) size: String,
    /// The name of the export and of the disk in rules (`disk0.file`); clients that ask for no name
    /// get it too.
    #[arg(long, value_name = "NAME", default_value = "disk0")]
    pub(crate) name: String,
    /// Listen on a unix socket here.
    #[arg(long, value_name = "PATH", required_unless_present = "tcp")]
    pub(crate) socket: Option<PathBuf>,
    /// Listen on this loopback address and port, such as 127.0.0.1:10809; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub(crate) tcp: Option<SocketAddr>,
    /// Listen for commands on a unix socket here.
    #[arg(long, value_name = "PATH")]
    pub(crate) control: Option<PathBuf>,
    /// A file of rules that are in place from the start: a configuration file of QEMU's blkdebug,
    /// or scenario text (`blkproof 1`, and `fault` lines).
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// A dirty bitmap from the start, with its granularity [default: 64k]; may be given several
    /// times.
    #[arg(long, value_name = "NAME[:GRANULARITY]")]
    pub(crate) bitmap: Vec<String>,
    /// Whether what is written can be lost until it is flushed.
    #[arg(long, value_name = "HOW", default_value_t = CacheMode::Volatile, value_enum)]
    pub(crate) cache: CacheMode,
    /// Refuse everything that would change the disk.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// How many clients may be connected at once.
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) connections: u32,
    /// After how many seconds a client is dropped that has not negotiated to the end.
    #[arg(long, value_name = "S", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) handshake_timeout: u32,
}

/// Whether there is a volatile cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum CacheMode {
    /// What is written is pending until it is flushed, and a power cut loses it.
    Volatile,
    /// Everything is durable at once; there is nothing that a power cut could lose.
    None,
}

/// Reads a loopback address.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "expected an address and a port, such as 127.0.0.1:10809".to_owned())?;
    if !address.ip().is_loopback() {
        return Err("expected a loopback address: nothing here keeps strangers out".to_owned());
    }
    Ok(address)
}
