//! `blkproof bugs`: the seeded bugs, each hunted until it is caught.

mod hunt;

mod kept;

mod table;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use blkproof_engine::{Bug, OUT_OF_SCOPE};

use crate::args::{BugsArgs, Jobs};
use crate::crew::{self, Stop};
use crate::error::Error;
use crate::exit::Exit;
use crate::out::Out;
use crate::ui::Ui;
use hunt::{Hunt, Hunted};

/// Where the scenarios are kept that show the bugs, if nothing is said.
const KEPT: &str = "corpora/bugs";

/// In the middle of all cases that catch a bug, one is shrunk to so many steps at most.
const STEPS_MAX: usize = 8;

/// Replays what is kept of each bug, hunts each bug, and prints a table.
pub(crate) fn run(args: &BugsArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let bugs = match &args.names[..] {
        [] => Bug::ALL.to_vec(),
        named => named.iter().map(|name| name.0).collect(),
    };
    if args.list {
        return list(&bugs, ui);
    }
    let folder = kept_folder(args);
    let saved = args
        .save
        .then(|| Out::open("--kept", folder.as_deref().unwrap_or(Path::new(KEPT))));
    let saved = saved.transpose()?;
    let stop = Stop::listen()?;
    let hunt = Hunt {
        seed: args.seed.0,
        seeds: args.seeds,
        cases: args.cases,
        profiles: args.profiles(),
        runs: args.runs,
        saves: args.save,
        stop: &stop,
    };
    let mut exit = Exit::Held;
    table::head(ui)?;
    let jobs = args.jobs.unwrap_or_default();
    let all = every(&bugs, &hunt, folder.as_deref(), jobs, |hunted| {
        if let Some(saved) = &saved {
            kept::save(saved.path(), hunted)?;
        }
        exit = exit.max(hunted.exit(args.save));
        table::row(hunted, ui)
    })?;
    let steps = table::foot(&all, bugs.len(), ui)?;
    let is_whole = args.names.is_empty() && args.runs > 0;
    if is_whole && stop.goes_on() && steps > STEPS_MAX {
        ui.say(format_args!(
            "that is more than {STEPS_MAX} steps: the shrinker leaves too much"
        ))?;
        exit = exit.max(Exit::Failed);
    }
    Ok(exit.max(stop.exit()))
}

/// Hunts every bug, several at once; hands each result to `tell`, in the order of the bugs. Those
/// whose hunts were stopped on the way are left out.
fn every(
    bugs: &[Bug],
    hunt: &Hunt<'_>,
    kept: Option<&Path>,
    jobs: Jobs,
    mut tell: impl FnMut(&Hunted) -> Result<(), Error>,
) -> Result<Vec<Hunted>, Error> {
    let next = AtomicUsize::new(0);
    let work = |_, sender: &Sender<(usize, Hunted)>| {
        while hunt.stop.goes_on() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(bug) = bugs.get(index) else { return };
            if let Some(hunted) = hunt.hunt(*bug, kept) {
                // Whoever listens no longer has had enough.
                let _ = sender.send((index, hunted));
            }
        }
    };
    let mut done: Vec<Option<Hunted>> = bugs.iter().map(|_| None).collect();
    let mut told = 0;
    crew::share(jobs, hunt.stop, work, |(index, hunted)| {
        done[index] = Some(hunted);
        while let Some(Some(next)) = done.get(told) {
            tell(next)?;
            told += 1;
        }
        Ok(())
    })?;
    // Behind one that was stopped others may have come to their end.
    done.iter().skip(told).flatten().try_for_each(tell)?;
    Ok(done.into_iter().flatten().collect())
}

fn kept_folder(args: &BugsArgs) -> Option<PathBuf> {
    match &args.kept {
        Some(folder) => Some(folder.clone()),
        None => Some(PathBuf::from(KEPT)).filter(|folder| folder.is_dir()),
    }
}

/// Lists the bugs, a few lines each, and what is not among them.
fn list(bugs: &[Bug], ui: &mut Ui) -> Result<Exit, Error> {
    for bug in bugs {
        ui.say(format_args!(
            "{bug} ({})\n  {}",
            bug.entry(),
            bug.sentence()
        ))?;
        ui.say(format_args!(
            "  where it happened: {}\n  must be caught by: {}",
            bug.source(),
            bug.property()
        ))?;
    }
    ui.say("\nnot seeded:")?;
    for (entries, why) in OUT_OF_SCOPE {
        ui.say(format_args!("  {entries}: {why}"))?;
    }
    Ok(Exit::Held)
}
