//! Campaigns in processes of their own, since a library may take its process with it.
//!
//! The process in which scenarios are judged writes down what it is at before it asks the library
//! for anything. Where it ends in the midst of a scenario, that one has failed: it is made smaller,
//! each candidate in one more process, and the campaign goes on behind it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use blkproof::format::shrink::{Shrunk, shrink};
use blkproof::format::{Counts, Failure, Identity, Journal, Outcome, Scenario, text};
use formats::Finds;
use tempfile::TempDir;

use crate::CampaignArgs;

/// How many processes may end in the midst of a scenario.
const GONE_MAX: u32 = 32;

/// How many candidates the shrinking takes at most: each is a process of its own.
const PROCESSES_MAX: u64 = 200;

/// Judges made-up scenarios in a process of its own; tells whether everything held.
pub(crate) fn campaign(args: &CampaignArgs) -> anyhow::Result<bool> {
    let start = Instant::now();
    let mut guard = Guard {
        args,
        finds: Finds::new(&args.folder())?,
        seen: BTreeSet::new(),
    };
    guard.left_behind()?;
    let mut first = args.first;
    for _ in 0..GONE_MAX {
        let time = Duration::from_secs(args.seconds).saturating_sub(start.elapsed());
        let status = guard.judge_from(first, time)?;
        let Some(case) = guard.gone(status)? else {
            let held = held(status)?;
            return Ok(held && guard.seen.is_empty());
        };
        first = case + 1;
    }
    println!("{GONE_MAX} processes did not come to their end: that is enough");
    Ok(false)
}

struct Guard<'a> {
    args: &'a CampaignArgs,
    finds: Finds,
    /// How scenarios failed that took the process with them.
    seen: BTreeSet<Identity>,
}

impl Guard<'_> {
    /// Tells what an earlier campaign was at, when somebody ended it or a library did.
    fn left_behind(&mut self) -> anyhow::Result<()> {
        let Some(left) = Journal::left(&self.finds.journal())? else {
            return Ok(());
        };
        let title = left.scenario.title.as_deref().unwrap_or("a scenario");
        println!("an earlier campaign ended in the midst of {title}");
        match self.again(&left.scenario)? {
            Outcome::Failed(failure) => self.tell(&left.scenario, &failure),
            _ => {
                println!("by itself it comes to its end");
                Ok(())
            }
        }
    }

    /// Judges the cases from this one on, for so long, in a process of its own.
    fn judge_from(&self, first: u64, time: Duration) -> anyhow::Result<ExitStatus> {
        let args = self.args;
        let cases = args.cases.saturating_sub(first - args.first);
        let numbers = [
            ("--seed", args.seed),
            ("--first", first),
            ("--cases", cases),
            ("--seconds", time.as_secs()),
        ];
        let mut call = self.call("campaign")?;
        for (name, number) in numbers {
            call.arg(name).arg(number.to_string());
        }
        call.arg("--out").arg(&args.out).arg("--here");
        if args.unmasked {
            call.arg("--unmasked");
        }
        call.status().context("cannot judge in another process")
    }

    fn call(&self, verb: &str) -> anyhow::Result<Command> {
        let program = std::env::current_exe().context("cannot tell which program this is")?;
        let mut call = Command::new(program);
        call.arg(verb).arg(self.args.subject.name());
        if let Some(plant) = self.args.plant_name() {
            call.arg("--plant").arg(plant);
        }
        Ok(call)
    }

    /// Returns the case in whose midst a process ended, if it did: that one has failed.
    fn gone(&mut self, status: ExitStatus) -> anyhow::Result<Option<u64>> {
        let Some(left) = Journal::left(&self.finds.journal())? else {
            return Ok(None);
        };
        let campaign = self.args.campaign();
        let case = campaign.number(&left.scenario);
        let case = case.context("the journal has a scenario that is no case of this campaign")?;
        if is_interrupted(status) {
            bail!("interrupted in case {case}");
        }
        let failure = left.failure(&words(status));
        println!("case {case}: {}", words(status));
        let known = self.args.masks()?;
        let (what, kind) = (failure.identity().property.name(), failure.step_kind);
        if let Some(position) = known.position(what, kind, &failure.findings[0].seen) {
            println!("known: {}", known.findings()[position]);
        } else if !self.seen.contains(&failure.identity()) {
            self.tell(&left.scenario, &failure)?;
        }
        Ok(Some(case))
    }

    /// Keeps a scenario that took its process with it, makes it smaller, and tells of it.
    fn tell(&mut self, scenario: &Scenario, failure: &Failure) -> anyhow::Result<()> {
        let identity = failure.identity();
        self.seen.insert(identity);
        let path = self.finds.keep(&identity, scenario)?;
        println!("written: {}", path.display());
        if self.again(scenario)?.failure().is_none() {
            println!("by itself it comes to its end: what came before takes part");
            println!("{}", failure.render(scenario));
            return Ok(());
        }
        let mut error = None;
        let Shrunk {
            scenario, failure, ..
        } = shrink(scenario, failure, PROCESSES_MAX, |candidate| {
            self.again(candidate).unwrap_or_else(|told| {
                error.get_or_insert(told);
                Outcome::Held(Counts::default())
            })
        });
        if let Some(error) = error {
            return Err(error.context("cannot make it smaller"));
        }
        self.finds.keep(&identity, &scenario)?;
        println!("{}", failure.render(&scenario));
        Ok(())
    }

    /// Judges a scenario in one more process: only the end of that is a failure.
    fn again(&self, scenario: &Scenario) -> anyhow::Result<Outcome> {
        let folder = TempDir::new().context("cannot make a temporary folder")?;
        let (file, journal) = (folder.path().join("one.format"), folder.path().join("now"));
        std::fs::write(&file, text::print(scenario)).context("cannot write a candidate")?;
        let mut call = self.call("replay")?;
        let call = call.arg(&file).arg("--journal").arg(&journal);
        let call = call.stdout(Stdio::null()).stderr(Stdio::null());
        let status = call.status().context("cannot judge in another process")?;
        Ok(match Journal::left(Path::new(&journal))? {
            Some(left) => Outcome::Failed(Box::new(left.failure(&words(status)))),
            None => Outcome::Held(Counts::default()),
        })
    }
}

fn words(status: ExitStatus) -> String {
    format!("its process ended: {status}")
}

/// Tells whether everything held in a process that came to its end.
fn held(status: ExitStatus) -> anyhow::Result<bool> {
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => bail!("the process in which scenarios are judged ended: {status}"),
    }
}

/// Tells whether somebody asked the process to end.
#[cfg(unix)]
fn is_interrupted(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    // SIGHUP, SIGINT, SIGTERM.
    [Some(1), Some(2), Some(15)].contains(&status.signal())
}

#[cfg(not(unix))]
fn is_interrupted(_: ExitStatus) -> bool {
    false
}
