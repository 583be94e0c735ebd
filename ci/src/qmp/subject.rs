//! A private QEMU: started in a folder, spoken to through its monitor, ended with its owner.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Map;

use super::monitor::Monitor;
use crate::tools;

/// Which program plays QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The block layer alone; no devices, no HMP.
    Daemon,
    /// The whole emulator, with a machine that never runs.
    System,
}

/// A running QEMU; dropping it kills the process.
#[derive(Debug)]
pub(super) struct Subject {
    child: Child,
    /// What the program prints by itself, to standard output and standard error.
    log: File,
    pub(super) monitor: Monitor,
}

const SOCKET: &str = "qmp.sock";

impl Kind {
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Daemon => "qemu-storage-daemon",
            Self::System => "qemu-system-x86_64",
        }
    }

    /// The Debian package that brings the program. Before version 8 the daemon was in
    /// qemu-system-common, but the tests want a newer one anyway.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Daemon => "qemu-utils",
            Self::System => "qemu-system-x86",
        }
    }

    fn args(self) -> Vec<String> {
        let chardev = format!("socket,id=monitor,path={SOCKET}");
        let args: &[&str] = match self {
            Self::Daemon => &[
                "--chardev",
                &chardev,
                "--monitor",
                "chardev=monitor,mode=control",
            ],
            Self::System => &[
                "-nodefaults",
                "-display",
                "none",
                "-machine",
                "none",
                "-S",
                "-chardev",
                &chardev,
                "-mon",
                "chardev=monitor,mode=control",
            ],
        };
        args.iter().map(|&arg| arg.to_owned()).collect()
    }
}

impl Subject {
    /// Starts the program in `folder` and negotiates; `limit` bounds every wait.
    pub(super) fn start(kind: Kind, folder: &Path, limit: Duration) -> anyhow::Result<Self> {
        // We listen and QEMU connects: so there is no moment in which its socket exists already
        // but takes no connection yet.
        let socket = folder.join(SOCKET);
        remove_if_there(&socket)?;
        let listener = UnixListener::bind(&socket).context("cannot listen for QEMU's monitor")?;
        listener.set_nonblocking(true)?;
        let log = tempfile::tempfile()?;
        let mut child = Command::new(kind.program())
            .args(kind.args())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot start {}", kind.program()))?;
        let connected = accept(&listener, &mut child, limit)
            .and_then(|stream| Monitor::negotiate(stream, limit));
        match connected {
            Ok(monitor) => Ok(Self {
                child,
                log,
                monitor,
            }),
            Err(error) => {
                end(&mut child);
                let said = tools::contents(&log)?;
                Err(error.context(format!("{} did not start: {}", kind.program(), said.trim())))
            }
        }
    }

    /// Ends the program by its own `quit`, which stores persistent bitmaps.
    pub(super) fn quit(&mut self, limit: Duration) -> anyhow::Result<()> {
        let reply = self.monitor.execute("quit", &Map::new())?;
        reply.map_err(|desc| anyhow::anyhow!("quit was refused: {desc}"))?;
        match tools::wait(&mut self.child, limit)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("QEMU ended with {status}"),
            None => bail!("QEMU did not end within {} s after quit", limit.as_secs()),
        }
    }

    /// Ends the program at once, as a power failure of its host would.
    pub(super) fn kill(&mut self) {
        end(&mut self.child);
    }

    /// How the process ended by itself, if it did or is about to.
    pub(super) fn crash(&mut self) -> anyhow::Result<Option<String>> {
        // The socket closes a moment before the process can be reaped.
        let status = tools::wait(&mut self.child, Duration::from_secs(5))?;
        Ok(status.map(|status| match status.signal() {
            Some(signal) => format!("QEMU crashed with signal {signal}"),
            None => format!("QEMU ended with {status}"),
        }))
    }

    /// All that the program has printed so far.
    pub(super) fn said(&self) -> anyhow::Result<String> {
        tools::contents(&self.log)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Kills and reaps; a child that has ended already is fine.
fn end(child: &mut Child) {
    let _already_ended = child.kill();
    let _already_reaped = child.wait();
}

fn remove_if_there(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Waits for QEMU's connection; fails at once when the process ends instead.
fn accept(
    listener: &UnixListener,
    child: &mut Child,
    limit: Duration,
) -> anyhow::Result<UnixStream> {
    let deadline = Instant::now() + limit;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("cannot accept QEMU's connection"),
        }
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}");
        }
        if Instant::now() >= deadline {
            bail!("it did not connect within {} s", limit.as_secs());
        }
        std::thread::sleep(tools::POLL);
    }
}
