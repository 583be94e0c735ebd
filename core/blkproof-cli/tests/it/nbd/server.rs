//! A server that tests start.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::program::Folder;

/// A running server of a disk of 1 MiB.
pub(crate) struct Server {
    folder: Folder,
    child: Child,
    said: String,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_in(Folder::new(), args)
    }

    pub(crate) fn start_in(folder: Folder, args: &[&str]) -> Self {
        Self::start_with_size(folder, "1M", args)
    }

    pub(crate) fn start_with_size(folder: Folder, size: &str, args: &[&str]) -> Self {
        let mut all = vec!["serve", "nbd", "--size", size];
        all.extend(["--socket", "d.sock", "--control", "d.ctl"]);
        all.extend(args);
        let mut command = folder.command(&all);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let lines = if args.contains(&"--json") { 1 } else { 2 };
        for _ in 0..lines {
            out.read_line(&mut said).unwrap();
        }
        Self {
            folder,
            child,
            said,
        }
    }

    /// What it said before clients could come.
    pub(crate) fn said(&self) -> String {
        self.said.clone()
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("d.sock")
    }

    pub(crate) fn uri(&self) -> String {
        format!("nbd+unix:///disk0?socket={}", self.socket().display())
    }

    /// Says a line to the control socket, and returns what is answered: the lines before `ok`, or
    /// what stands behind `error: `.
    pub(crate) fn tell(&self, line: &str) -> Result<Vec<String>, String> {
        let mut stream = UnixStream::connect(self.folder.path().join("d.ctl")).unwrap();
        writeln!(stream, "{line}").unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap();
            if line == "ok" {
                return Ok(lines);
            }
            if let Some(why) = line.strip_prefix("error: ") {
                return Err(why.to_owned());
            }
            lines.push(line);
        }
        panic!("{line}: the answer has no end: {lines:?}");
    }

    #[track_caller]
    pub(crate) fn ask(&self, line: &str) -> Vec<String> {
        self.tell(line).unwrap()
    }

    /// Waits until it has this many clients.
    pub(crate) fn wait_for_connections(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.ask("connections") != [count.to_string()] {
            assert!(Instant::now() < deadline, "{:?}", self.ask("connections"));
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end, and returns its exit code.
    pub(crate) fn wait(&mut self) -> i32 {
        self.child
            .wait()
            .unwrap()
            .code()
            .expect("no signal ended it")
    }

    /// The files that it left.
    pub(crate) fn sockets(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The most memory that it has held so far, in KiB.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
