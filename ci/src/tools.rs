//! Other programs: finding them, and running them with a bound on their time.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long to sleep between two looks at something that cannot be waited for with a time-out.
pub(crate) const POLL: Duration = Duration::from_millis(2);

/// What a program that ended by itself left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    /// Standard output and standard error, in the order they were written.
    pub(crate) output: String,
}

/// The program's path, if one of that name lies in a folder of `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Runs a program in `folder`; kills it and fails when it takes longer than `limit`.
pub(crate) fn run_bounded(
    program: &str,
    args: &[impl AsRef<OsStr>],
    folder: &Path,
    limit: Duration,
) -> anyhow::Result<Finished> {
    // A file, not a pipe: nobody has to read while the program runs, so nothing can block.
    let output = tempfile::tempfile().context("cannot create a temporary file")?;
    let mut child = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let Some(status) = wait(&mut child, limit)? else {
        child.kill()?;
        child.wait()?;
        bail!(
            "{program} did not end within {} s and was killed",
            limit.as_secs()
        );
    };
    Ok(Finished {
        status,
        output: contents(&output)?,
    })
}

/// Waits for the child's end; `None` when `limit` has passed and it still runs.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

/// All that was written into the file so far. Does not move the position, which a running child
/// shares.
pub(crate) fn contents(file: &File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match file.read_at(&mut chunk, bytes.len() as u64)? {
            0 => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}
