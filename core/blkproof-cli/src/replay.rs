//! `blkproof replay`: scenario files, each against its stated expectation.

use std::path::PathBuf;

use blkproof::{Outcome, text};
use indicatif::{HumanBytes, HumanCount};
use owo_colors::OwoColorize as _;

use crate::args::{BugName, ReplayArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::Record;
use crate::judge;
use crate::load::{self, Loaded};
use crate::tell;
use crate::ui::Ui;

/// Replays files and folders, a line each; of those that fail, the whole report.
pub(crate) fn run(args: &ReplayArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let mut count = 0;
    let worst = all(&args.paths, &args.bug, ui, |replayed, ui| {
        count += 1;
        if replayed.is_met() {
            say_met(&replayed, ui)
        } else {
            replayed.say_unmet(ui)
        }
    })?;
    if worst == Exit::Held && count > 1 {
        ui.say(format_args!("all {count} scenarios ended as they state"))?;
    }
    Ok(worst)
}

/// A scenario file that was judged.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) file: Loaded,
    pub(crate) outcome: Outcome,
    /// The seeded bugs of the engine.
    pub(crate) bugs: Vec<BugName>,
}

/// Judges every scenario file below `paths`, and hands what came of it to `each`.
pub(crate) fn all(
    paths: &[PathBuf],
    bugs: &[BugName],
    ui: &mut Ui,
    mut each: impl FnMut(Replayed, &mut Ui) -> Result<(), Error>,
) -> Result<Exit, Error> {
    let mut judge = judge::of_bugs(bugs);
    load::each(paths, ui, |file, ui| {
        let outcome = judge.judge_twice(&file.document.scenario);
        let replayed = Replayed {
            file,
            outcome,
            bugs: bugs.to_vec(),
        };
        let met = replayed.is_met();
        ui.emit(&Record::Scenario(Box::new(tell::scenario(&replayed, ui))))?;
        each(replayed, ui)?;
        Ok(if met { Exit::Held } else { Exit::Failed })
    })
}

impl Replayed {
    /// Tells whether it ended as it states.
    pub(crate) fn is_met(&self) -> bool {
        self.outcome.meets(&self.file.document.scenario.outcome)
    }

    /// Returns the path as people read it.
    pub(crate) fn path(&self) -> String {
        self.file.path.display().to_string()
    }

    /// Says that it did not end as it states, and everything that is known about it.
    pub(crate) fn say_unmet(&self, ui: &mut Ui) -> Result<(), Error> {
        let title = self.file.document.scenario.title.as_deref();
        let word = "FAIL".red().bold().to_string();
        ui.say(format_args!(
            "{word}  {}  {}",
            self.path(),
            title.unwrap_or_default()
        ))?;
        ui.say(tell::unmet(self, ui))
    }
}

fn say_met(replayed: &Replayed, ui: &mut Ui) -> Result<(), Error> {
    let counts = replayed.outcome.counts();
    let title = replayed.file.document.scenario.title.as_deref();
    let done = format!(
        "({} steps, {} comparisons, {})",
        HumanCount(counts.steps),
        HumanCount(counts.demands),
        HumanBytes(counts.bytes_compared),
    );
    ui.say(format_args!(
        "{}  {}  {}{}{}",
        "ok".green(),
        replayed.path(),
        title.unwrap_or_default(),
        if title.is_some() { " " } else { "" },
        done.dimmed(),
    ))?;
    for rule in &counts.idle_rules {
        let rule = text::describe_rule(rule);
        ui.say(format!("    never acted: {rule}").dimmed())?;
    }
    Ok(())
}
