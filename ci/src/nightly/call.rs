//! Calls of other programs, shown as a person would type them.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::{repository, tools};

/// A call of cargo in the top folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    args: Vec<String>,
    env: Vec<(&'static str, String)>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Well,
    Badly,
    /// Its time was up.
    CutOff,
}

impl Call {
    /// Calls cargo.
    pub(super) fn cargo<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Self {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
        }
    }

    /// Calls blkproof, built for speed.
    pub(super) fn blkproof<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Self {
        let run = ["run", "--release", "--package", "blkproof-cli", "--"];
        let args = args.into_iter().map(Into::into);
        Self::cargo(run.into_iter().map(str::to_owned).chain(args))
    }

    /// Sets a variable of the environment.
    pub(super) fn env(mut self, name: &'static str, value: impl ToString) -> Self {
        self.env.push((name, value.to_string()));
        self
    }

    /// The call as it is typed.
    pub(super) fn shown(&self) -> String {
        let env = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value} "));
        let args = self.args.iter().map(|arg| format!(" {arg}"));
        format!(
            "{}cargo{}",
            env.collect::<String>(),
            args.collect::<String>()
        )
    }

    /// Runs it; at most for so long, if there is a limit.
    pub(super) fn run(&self, limit: Option<Duration>) -> anyhow::Result<Ended> {
        println!("nightly: {}", self.shown());
        let mut child = Command::new("cargo")
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(repository())
            .spawn()
            .context("cannot start cargo")?;
        let status = match limit {
            None => Some(child.wait()?),
            Some(limit) => tools::wait(&mut child, limit)?,
        };
        let Some(status) = status else {
            println!("nightly: cut off, its time is up");
            tools::end(&mut child)?;
            return Ok(Ended::CutOff);
        };
        Ok(if status.success() {
            Ended::Well
        } else {
            Ended::Badly
        })
    }
}
