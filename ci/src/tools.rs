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

/// How long programs may take to sum up what they did when they are interrupted.
const GRACE: Duration = Duration::from_secs(20);

/// Ends a child and whatever it started, such as a test binary that cargo runs: interrupts them,
/// which sums up what was done, and kills those that go on. What comes of them does not matter.
pub(crate) fn end(child: &mut Child) -> anyhow::Result<()> {
    let family = family(child.id());
    send("-INT", &family);
    if wait(child, GRACE)?.is_none() {
        child.kill()?;
        child.wait()?;
    }
    // Those that outlive their parent would take the time of whoever comes next.
    let left = outlasting(family, GRACE);
    send("-KILL", &left);
    outlasting(left, GRACE);
    Ok(())
}

/// Waits until none of these processes runs; returns those that still do when `limit` has passed.
fn outlasting(mut running: Vec<u32>, limit: Duration) -> Vec<u32> {
    let deadline = Instant::now() + limit;
    loop {
        running.retain(|id| is_running(*id));
        if running.is_empty() || Instant::now() >= deadline {
            return running;
        }
        std::thread::sleep(POLL);
    }
}

/// A process and all that descend from it, as far as this system tells; itself first.
fn family(id: u32) -> Vec<u32> {
    let mut found: Vec<u32> = vec![id];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        // Each thread has its own.
        let threads = std::fs::read_dir(format!("/proc/{parent}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let children = thread.path().join("children");
            let children = std::fs::read_to_string(children).unwrap_or_default();
            let ids = children.split_whitespace().map(str::parse::<u32>);
            found.extend(ids.filter_map(Result::ok));
        }
        next += 1;
    }
    found
}

/// Tells whether a process runs; one that ended and was not waited for does not.
fn is_running(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    state.is_some_and(|state| !state.trim_start().starts_with('Z'))
}

fn send(signal: &str, ids: &[u32]) {
    if !ids.is_empty() {
        let ids = ids.iter().map(u32::to_string);
        // Those that ended meanwhile make it fail, which is as good.
        let _ = Command::new("kill")
            .arg(signal)
            .args(ids)
            .stderr(Stdio::null())
            .status();
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::{end, is_running};

    #[cfg(target_os = "linux")]
    #[test]
    fn whoever_is_ended_takes_its_children_along() {
        let mut child = Command::new("sh")
            .args(["-c", "sh -c 'echo $$; exec sleep 1000'; true"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        assert!(is_running(grandchild));
        end(&mut child).unwrap();
        assert!(!is_running(grandchild));
        assert!(!is_running(child.id()));
    }
}
