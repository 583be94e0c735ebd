//! `blkproof corpus minimise`: the scenarios that reach what the others do not.

use std::fs;

use blkproof::Outcome;
use blkproof::coverage::Coverage;
use blkproof::text;
use blkproof_spec::StatedOutcome;
use indicatif::HumanCount;

use crate::args::MinimiseArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::judge::Judge;
use crate::load::{self, Loaded};
use crate::ui::Ui;

/// Runs all scenarios, short ones first, and names those that add nothing.
pub(super) fn run(args: &MinimiseArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let mut files = Vec::new();
    let worst = load::each(&args.paths, ui, |file, _| {
        files.push(file);
        Ok(Exit::Held)
    })?;
    // A path that lies in two of the folders counts once.
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files.dedup_by(|one, other| one.path == other.path);
    files.sort_by_cached_key(length);
    let mut found = Found::new();
    for file in &files {
        let why = found.judge(file);
        tell(file, why, args.remove, ui)?;
    }
    let (kept, all) = (HumanCount(found.kept), HumanCount(files.len() as u64));
    ui.say(format_args!(
        "{kept} of {all} scenarios reach all that is reached"
    ))?;
    Ok(worst)
}

/// What makes one of two scenarios the shorter one.
fn length(file: &Loaded) -> (usize, usize) {
    let scenario = &file.document.scenario;
    (scenario.steps.len(), text::print(scenario).len())
}

/// Whether a file is needed, and why.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It reaches something that no shorter one does.
    Reaches,
    /// It states a failure, or does not end as it states.
    Fails,
    /// Nothing is lost without it.
    NotNeeded,
}

struct Found {
    judge: Judge,
    reached: Coverage,
    kept: u64,
}

impl Found {
    fn new() -> Self {
        let mut judge = Judge::new();
        judge.cover();
        Self {
            judge,
            reached: Coverage::default(),
            kept: 0,
        }
    }

    fn judge(&mut self, file: &Loaded) -> Why {
        let scenario = &file.document.scenario;
        let outcome = self.judge.judge(scenario);
        let reached = self.judge.take_coverage().unwrap_or_default();
        let is_plain =
            matches!(outcome, Outcome::Held(_)) && scenario.outcome == StatedOutcome::Pass;
        let why = if reached.reaches_beyond(&self.reached) {
            Why::Reaches
        } else if is_plain {
            Why::NotNeeded
        } else {
            Why::Fails
        };
        if why != Why::NotNeeded {
            self.reached.merge(&reached);
            self.kept += 1;
        }
        why
    }
}

fn tell(file: &Loaded, why: Why, remove: bool, ui: &mut Ui) -> Result<(), Error> {
    let path = file.path.display().to_string();
    let needed = why != Why::NotNeeded;
    let removed = !needed && remove;
    if removed {
        fs::remove_file(&file.path).map_err(Error::unwritable(&file.path))?;
        ui.say(format_args!("removed: {path}"))?;
    } else if !needed {
        ui.say(format_args!("reaches nothing more: {path}"))?;
    }
    ui.emit(&Record::Minimised(json::Minimised {
        path: &path,
        needed,
        removed,
    }))
}
