//! What a run comes to, for a person to like to read and for a program to read.

use core::fmt::Display;
use std::path::Path;

use indicatif::{HumanBytes, HumanCount};
use owo_colors::OwoColorize as _;

use super::corpora::Folder;
use super::watch::{Stop, Watched};
use crate::args::Jobs;
use crate::campaign::{End, Plan};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::ui::Ui;

/// What a run comes to.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) plan: &'a Plan,
    pub(super) jobs: Jobs,
    pub(super) folders: &'a [Folder],
    pub(super) watched: &'a Watched,
    pub(super) out: &'a Path,
    /// Whether the folder was named.
    pub(super) out_given: bool,
    pub(super) exit: Exit,
}

impl Summary<'_> {
    /// Prints the summary in either form.
    pub(super) fn print(&self, ui: &mut Ui) -> Result<(), Error> {
        let again = self.again(ui);
        let resume = self.resume(ui);
        let record = self.record(again.as_deref(), resume.as_deref());
        ui.emit(&Record::Summary(Box::new(record)))?;
        self.campaign(ui)?;
        ui.say("")?;
        match self.exit {
            Exit::Held => ui.say("everything held".green().bold())?,
            Exit::Interrupted => ui.say("interrupted; everything held so far".yellow().bold())?,
            Exit::Failed => ui.say("something did not hold: see above".red().bold())?,
            Exit::Input | Exit::Environment => ui.say("not everything could be done: see above")?,
        }
        if let Some(resume) = resume {
            ui.say(format_args!("go on from here: {resume}"))?;
        }
        match again {
            Some(again) => ui.say(format_args!("the same cases again: {again}")),
            None => Ok(()),
        }
    }

    /// The command that judges the same cases again; none where cases are missing in between, or
    /// where there are none.
    fn again(&self, ui: &Ui) -> Option<String> {
        let done = &self.watched.course.done;
        let last = done.end().checked_sub(1)?;
        let cases = self.plan.number(last)?.checked_add(1)?.to_string();
        let seed = self.plan.seed.to_string();
        let shard = self.plan.shard.to_string();
        let mut args = vec!["run", "--seed", &seed, "--cases", &cases];
        for name in &self.plan.given {
            args.extend(["--profile", name]);
        }
        if !self.plan.shard.is_all() {
            args.extend(["--shard", &shard]);
        }
        for bug in &self.plan.bugs {
            args.extend(["--bug", bug.0.name()]);
        }
        let known: Vec<_> = self.plan.known.paths().map(Path::to_string_lossy).collect();
        for file in &known {
            args.extend(["--known", file]);
        }
        done.is_whole().then(|| ui.command(args))
    }

    /// The command that goes on with a campaign that stopped on the way.
    fn resume(&self, ui: &Ui) -> Option<String> {
        let goes_on = matches!(
            self.watched.stopped,
            Some(Stop::Interrupted | Stop::Unwritable)
        );
        let out = self.out.display().to_string();
        let mut args = vec!["run", "--resume"];
        if self.out_given {
            args.extend(["--out", &out]);
        }
        goes_on.then(|| ui.command(args))
    }

    fn campaign(&self, ui: &mut Ui) -> Result<(), Error> {
        let totals = &self.watched.course.totals;
        ui.say("campaign".bold())?;
        line(ui, "seed", self.plan.seed)?;
        line(ui, "profiles", self.plan.profile_names().join(", "))?;
        if !self.plan.shard.is_all() {
            line(ui, "shard", self.plan.shard)?;
        }
        for bug in &self.plan.bugs {
            line(ui, "seeded bug", bug)?;
        }
        line(ui, "cases judged", self.cases())?;
        if totals.failed > 0 {
            line(ui, "failed", HumanCount(totals.failed).red().bold())?;
            self.ways(ui)?;
        }
        if totals.not_judged > 0 {
            let why = "(faults that the engine does not claim to detect)";
            line(
                ui,
                "of no account",
                format_args!("{} {why}", HumanCount(totals.not_judged)),
            )?;
        }
        self.known(ui)?;
        line(ui, "steps", HumanCount(totals.steps))?;
        line(ui, "guest writes", HumanCount(totals.writes))?;
        line(ui, "backups", HumanCount(totals.backups))?;
        let compared = format!(
            "{} times, {}",
            HumanCount(totals.comparisons),
            HumanBytes(totals.bytes_compared)
        );
        line(ui, "contents compared", compared)?;
        let faults = format!(
            "{} planned, {} of them fired, {} times in all",
            HumanCount(totals.faults_planned),
            HumanCount(totals.faults_planned - totals.faults_idle),
            HumanCount(totals.faults_fired)
        );
        line(ui, "faults", faults)?;
        let twice = format!("{} cases, their traces compared", HumanCount(totals.twice));
        line(ui, "run twice", twice)?;
        line(ui, "digest", totals.digest())
    }

    /// How often what is known showed; what no longer does has a line that can go.
    fn known(&self, ui: &mut Ui) -> Result<(), Error> {
        let totals = &self.watched.course.totals;
        let known = self.record_known();
        if known.is_empty() {
            return Ok(());
        }
        let cases = HumanCount(totals.masked);
        line(
            ui,
            "known findings",
            format_args!("nothing else could be seen in {cases} cases"),
        )?;
        for json::Known {
            finding,
            file,
            line,
            seen,
        } in known
        {
            match seen {
                0 => ui.say(format_args!(
                    "    {finding}: {}, {file}:{line} can go",
                    "no longer shows".yellow()
                ))?,
                1 => ui.say(format_args!("    {finding}: seen once"))?,
                _ => ui.say(format_args!(
                    "    {finding}: seen {} times",
                    HumanCount(seen)
                ))?,
            }
        }
        Ok(())
    }

    fn record_known(&self) -> Vec<json::Known> {
        let sightings = &self.watched.course.totals.sightings;
        let findings = self.plan.known.findings().enumerate();
        findings
            .map(|(position, (finding, file))| json::Known {
                finding: finding.to_string(),
                file: file.display().to_string(),
                line: finding.line,
                seen: sightings.get(position).copied().unwrap_or_default(),
            })
            .collect()
    }

    /// In which ways cases failed, and where the first of each lies.
    fn ways(&self, ui: &mut Ui) -> Result<(), Error> {
        for (identity, way) in &self.watched.course.finds.ways {
            let cases = match way.cases {
                1 => "1 case".to_owned(),
                cases => format!("{} cases", HumanCount(cases)),
            };
            let first = way.kept.first().map(|file| self.out.join(file));
            let file = first.map_or_else(String::new, |file| format!(": {}", file.display()));
            ui.say(format_args!("    {identity}, {cases}{file}"))?;
        }
        Ok(())
    }

    fn cases(&self) -> String {
        let seconds = self.watched.course.time.as_secs_f64();
        let threads = match self.jobs.0 {
            1 => "1 thread".to_owned(),
            jobs => format!("{jobs} threads"),
        };
        format!(
            "{} in {seconds:.1} s on {threads}: {} per second",
            HumanCount(self.watched.course.totals.cases),
            HumanCount(self.per_second())
        )
    }

    fn per_second(&self) -> u64 {
        let course = &self.watched.course;
        let cases = u128::from(course.totals.cases);
        let rate = cases * 1_000_000 / course.time.as_micros().max(1);
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    fn record(&self, again: Option<&str>, resume: Option<&str>) -> json::Summary {
        let totals = &self.watched.course.totals;
        json::Summary {
            seed: self.plan.seed,
            profiles: self
                .plan
                .profile_names()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            seconds_asked: match self.plan.end {
                End::Cases(_) => None,
                End::After(time) => Some(time.as_secs_f64()),
            },
            shard: (!self.plan.shard.is_all()).then(|| self.plan.shard.to_string()),
            bugs: self.plan.bugs.iter().map(ToString::to_string).collect(),
            jobs: self.jobs.0,
            corpora: self.folders.iter().map(json::Folder::from).collect(),
            cases: totals.cases,
            failed: totals.failed,
            ways: self.record_ways(),
            not_judged: totals.not_judged,
            masked: totals.masked,
            known: self.record_known(),
            twice: totals.twice,
            writes: totals.writes,
            backups: totals.backups,
            counts: json::Counts {
                steps: totals.steps,
                comparisons: totals.comparisons,
                bytes_compared: totals.bytes_compared,
                faults: json::Faults {
                    planned: totals.faults_planned,
                    matched: totals.faults_matched,
                    fired: totals.faults_fired,
                    idle: totals.faults_idle,
                },
            },
            digest: totals.digest(),
            seconds: self.watched.course.time.as_secs_f64(),
            interrupted: self.watched.stopped == Some(Stop::Interrupted),
            again: again.map(str::to_owned),
            resume: resume.map(str::to_owned),
            exit: self.exit.code(),
        }
    }

    fn record_ways(&self) -> Vec<json::Way> {
        let ways = self.watched.course.finds.ways.iter();
        ways.map(|(identity, way)| json::Way {
            identity: identity.clone(),
            cases: way.cases,
            kept: way
                .kept
                .iter()
                .map(|file| self.out.join(file).display().to_string())
                .collect(),
        })
        .collect()
    }
}

/// Prints how the scenarios of each folder of the corpora ended.
pub(super) fn corpora(folders: &[Folder], ui: &mut Ui) -> Result<(), Error> {
    if folders.is_empty() {
        return Ok(());
    }
    ui.say("corpora".bold())?;
    for Folder { name, met, all } in folders {
        let said = match (all, all - met) {
            (1, 0) => "1 scenario, as it states".to_owned(),
            (1, _) => "1 scenario, not as it states".to_owned(),
            (_, 0) => format!("{all} scenarios, all as they state"),
            (_, unmet) => format!("{all} scenarios, {unmet} not as they state"),
        };
        line(ui, name, said)?;
    }
    ui.say("")
}

fn line(ui: &mut Ui, name: &str, value: impl Display) -> Result<(), Error> {
    ui.say(format_args!("  {name:<18} {value}"))
}
