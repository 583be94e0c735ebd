//! Calls of the program, each in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder in which the program is called.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, with the folders that it lies in.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The call with these arguments, by the name that users call the program by.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blkproof"));
        #[cfg(unix)]
        std::os::unix::process::CommandExt::arg0(&mut command, "blkproof");
        command
            .args(args)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .env("TERM", "dumb");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }
}

/// What a call left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().expect("no signal ended it"),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// Asserts the exit code, and shows everything that was printed if it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.out, self.err
        );
        self
    }

    /// The lines of stdout as JSON, each of which says its schema and type.
    #[track_caller]
    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let lines = self.out.lines().map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).expect(line);
            assert_eq!(record["schema"], 1, "{line}");
            assert!(record["type"].is_string(), "{line}");
            record
        });
        lines.collect()
    }
}

/// The text without the counts of what was compared: they change with how thoroughly is looked.
pub(crate) fn without_counts(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = ["\"comparisons\":", "\"bytes_compared\":"]
            .iter()
            .fold(line.to_owned(), |line, name| without_number(&line, name));
        match line.rsplit_once(" steps, ") {
            Some((before, _)) if line.starts_with("ok ") => format!("{before} steps, ...)\n"),
            _ => format!("{line}\n"),
        }
    });
    lines.collect()
}

fn without_number(line: &str, name: &str) -> String {
    match line.split_once(name) {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}{name}0{rest}")
        }
        None => line.to_owned(),
    }
}
