//! The servers that are measured.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::failure::Failure;
use crate::repository;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the program is called: cargo becomes it, so the process that is ended is the server.
const PROGRAM: [&str; 6] = [
    "run",
    "--quiet",
    "--release",
    "--package",
    "blkproof-cli",
    "--",
];

/// Builds the program that is measured.
pub(super) fn build() -> Result<(), Failure> {
    let status = Command::new("cargo")
        .args(["build", "--release", "--package", "blkproof-cli"])
        .current_dir(repository())
        .status()
        .map_err(|error| Failure::environment(format!("cannot start cargo: {error}")))?;
    if !status.success() {
        return Err(Failure::check("nbd-speed: blkproof does not build"));
    }
    Ok(())
}

/// A server of a disk of 64 MiB.
pub(super) struct Server {
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Starts blkproof's.
    pub(super) fn ours(args: &[&str], rules: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("rules.blk");
        std::fs::write(&file, rules)?;
        let file = file.display().to_string();
        let args = args
            .iter()
            .map(|arg| if *arg == "RULES" { file.as_str() } else { arg });
        let mut command = Command::new("cargo");
        command
            .args(PROGRAM)
            .args(["serve", "nbd", "--size", "64M"]);
        command
            .args(args)
            .arg("--socket")
            .arg(folder.path().join("sock"));
        Self::start(command.current_dir(repository()), folder)
    }

    /// Starts nbdkit's, in the foreground.
    pub(super) fn nbdkit(args: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("nbdkit");
        command
            .args(["--foreground", "--unix"])
            .arg(folder.path().join("sock"));
        Self::start(command.args(args), folder)
    }

    fn start(command: &mut Command, folder: TempDir) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut server = Self {
            child: child.context("cannot start a server")?,
            folder,
        };
        let deadline = Instant::now() + PATIENCE;
        while !server.socket().exists() {
            let ended = server.child.try_wait()?;
            ensure!(ended.is_none(), "a server ended at once: {command:?}");
            ensure!(
                Instant::now() < deadline,
                "a server does not listen: {command:?}"
            );
            thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    pub(super) fn socket(&self) -> PathBuf {
        let folder: &Path = self.folder.path();
        folder.join("sock")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that ended by itself needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
