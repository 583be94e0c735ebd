//! The tool as a process.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::Error;
use crate::interrupt::Interrupt;

/// How many of its last lines are kept, and how long they may be together.
const LINES: usize = 3;
const BYTES: u64 = 2048;

/// How a tool ended.
pub(super) struct Ended {
    /// Its exit code; none where a signal ended it.
    pub(super) code: Option<i32>,
    /// It was ended, because it did not end by itself.
    pub(super) hung: bool,
    /// What it said last.
    pub(super) last_words: Vec<String>,
}

/// Runs the tool between two disks.
pub(super) fn run(
    words: &[OsString],
    [source, target]: [&str; 2],
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<Ended, Error> {
    let folder = std::env::temp_dir();
    let said = tempfile::tempfile().map_err(Error::unwritable(&folder))?;
    let output = || {
        let copy = said.try_clone().map(Stdio::from);
        copy.map_err(Error::unwritable(&folder))
    };
    let placed = |word: &OsString| match word.to_str() {
        Some(word) => word
            .replace("{source}", source)
            .replace("{target}", target)
            .into(),
        None => word.clone(),
    };
    let words: Vec<OsString> = words.iter().map(placed).collect();
    let child = Command::new(&words[0])
        .args(&words[1..])
        .env("BLKPROOF_SOURCE", source)
        .env("BLKPROOF_TARGET", target)
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?)
        .process_group(0)
        .spawn();
    let mut child = child.map_err(|error| Error::Unusable {
        what: words[0].display().to_string(),
        why: format!("cannot start it: {error}"),
    })?;
    let status = wait(&mut child, limit, interrupt);
    // What it started must not go on without it.
    end_group(&child);
    let hung = status.is_none();
    let status = match status {
        Some(status) => Some(status),
        None => child.wait().ok(),
    };
    Ok(Ended {
        code: status.and_then(|status| status.code()).filter(|_| !hung),
        hung,
        last_words: last_words(said),
    })
}

/// Waits for the end of the tool, up to a limit or a signal.
fn wait(child: &mut Child, limit: Duration, interrupt: &Interrupt) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    while Instant::now() < deadline && !interrupt.came() {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    None
}

/// Ends all processes of the tool.
fn end_group(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // There may be none left.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

fn last_words(mut said: File) -> Vec<String> {
    let len = said.seek(SeekFrom::End(0)).unwrap_or(0);
    let mut bytes = Vec::new();
    // Without its words there is still its exit code.
    let _ = said.seek(SeekFrom::Start(len.saturating_sub(BYTES)));
    let _ = said.take(BYTES).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    let clean = |line: &&str| line.chars().filter(|c| !c.is_control()).collect();
    last.iter().map(clean).collect()
}
