//! What a run comes to, for a person to like to read and for a program to read.

use core::fmt::Display;
use core::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use owo_colors::OwoColorize as _;

use super::corpora::Folder;
use crate::args::{Jobs, ProfileName};
use crate::campaign::{End, Plan, Totals};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::ui::Ui;

/// What a run comes to.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) plan: &'a Plan,
    pub(super) profiles_given: &'a [ProfileName],
    pub(super) jobs: Jobs,
    pub(super) folders: &'a [Folder],
    pub(super) totals: &'a Totals,
    pub(super) time: Duration,
    pub(super) exit: Exit,
}

impl Summary<'_> {
    /// Prints the summary in either form.
    pub(super) fn print(&self, ui: &mut Ui) -> Result<(), Error> {
        let again = self.again(ui);
        ui.emit(&Record::Summary(Box::new(self.record(&again))))?;
        self.campaign(ui)?;
        ui.say("")?;
        match self.exit {
            Exit::Held => ui.say("everything held".green().bold())?,
            Exit::Failed => ui.say("something did not hold: see above".red().bold())?,
            Exit::Input | Exit::Environment => ui.say("not everything could be done: see above")?,
        }
        ui.say(format_args!("the same cases again: {again}"))
    }

    /// The command that judges the same cases again.
    fn again(&self, ui: &Ui) -> String {
        let seed = self.plan.seed.to_string();
        let cases = self.totals.cases.to_string();
        let mut args = vec!["run", "--seed", &seed, "--cases", &cases];
        for name in self.profiles_given {
            args.extend(["--profile", &name.given]);
        }
        ui.command(args)
    }

    fn campaign(&self, ui: &mut Ui) -> Result<(), Error> {
        let totals = self.totals;
        ui.say("campaign".bold())?;
        line(ui, "seed", self.plan.seed)?;
        line(ui, "profiles", self.plan.profile_names().join(", "))?;
        line(ui, "cases judged", self.cases())?;
        if totals.failed > 0 {
            line(ui, "failed", HumanCount(totals.failed).red().bold())?;
        }
        if totals.not_judged > 0 {
            let why = "(faults that the engine does not claim to detect)";
            line(
                ui,
                "of no account",
                format_args!("{} {why}", HumanCount(totals.not_judged)),
            )?;
        }
        line(ui, "steps", HumanCount(totals.steps))?;
        line(ui, "guest writes", HumanCount(totals.writes))?;
        line(ui, "backups", HumanCount(totals.backups))?;
        let compared = format_args!(
            "{} times, {}",
            HumanCount(totals.comparisons),
            HumanBytes(totals.bytes_compared)
        );
        line(ui, "contents compared", compared)?;
        let faults = format_args!(
            "{} planned, {} of them fired, {} times in all",
            HumanCount(totals.faults_planned),
            HumanCount(totals.faults_planned - totals.faults_idle),
            HumanCount(totals.faults_fired)
        );
        line(ui, "faults", faults)?;
        let twice = format_args!("{} cases, their traces compared", HumanCount(totals.twice));
        line(ui, "run twice", twice)?;
        line(ui, "digest", totals.digest())
    }

    fn cases(&self) -> String {
        let seconds = self.time.as_secs_f64();
        let threads = match self.jobs.0 {
            1 => "1 thread".to_owned(),
            jobs => format!("{jobs} threads"),
        };
        format!(
            "{} in {seconds:.1} s on {threads}: {} per second",
            HumanCount(self.totals.cases),
            HumanCount(self.per_second())
        )
    }

    fn per_second(&self) -> u64 {
        let cases = u128::from(self.totals.cases);
        let rate = cases * 1_000_000 / self.time.as_micros().max(1);
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    fn record(&self, again: &str) -> json::Summary {
        let totals = self.totals;
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
            jobs: self.jobs.0,
            corpora: self.folders.iter().map(json::Folder::from).collect(),
            cases: totals.cases,
            failed: totals.failed,
            not_judged: totals.not_judged,
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
            seconds: self.time.as_secs_f64(),
            again: again.to_owned(),
            exit: self.exit.code(),
        }
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
