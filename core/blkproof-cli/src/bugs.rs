//! `blkproof bugs`: the seeded bugs, each hunted until it is caught.

mod hunt;

mod kept;

mod table;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use blkproof_engine::{Bug, OUT_OF_SCOPE};

use crate::args::BugsArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::ui::Ui;
use hunt::{Hunt, Hunted};

/// Where the scenarios are kept that show the bugs, if nothing is said.
const KEPT: &str = "corpora/bugs";

/// In the middle of all bugs, the case that catches one is shrunk to so many steps at most.
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
    let hunt = Hunt {
        seed: args.seed.0,
        seeds: args.seeds,
        cases: args.cases,
        profiles: args.profiles(),
    };
    let kept = folder.as_deref();
    let mut exit = Exit::Held;
    table::head(ui)?;
    let all = every(
        &bugs,
        &hunt,
        kept,
        args.jobs.unwrap_or_default().0,
        |hunted| {
            if args.save {
                let folder = kept.unwrap_or(Path::new(KEPT));
                kept::save(folder, hunted)?;
            }
            exit = exit.max(hunted.exit(args.save));
            table::row(hunted, ui)
        },
    )?;
    let steps = table::foot(&all, ui)?;
    if args.names.is_empty() && steps > STEPS_MAX {
        ui.say(format_args!(
            "that is more than {STEPS_MAX} steps: the shrinker leaves too much"
        ))?;
        exit = exit.max(Exit::Failed);
    }
    Ok(exit)
}

/// Hunts every bug, several at once; hands each result to `tell`, in the order of the bugs.
fn every(
    bugs: &[Bug],
    hunt: &Hunt,
    kept: Option<&Path>,
    jobs: usize,
    mut tell: impl FnMut(&Hunted) -> Result<(), Error>,
) -> Result<Vec<Hunted>, Error> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let next = &next;
        let work = move |sender: mpsc::Sender<(usize, Hunted)>| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(bug) = bugs.get(index) else { return };
                // Whoever listens no longer has had enough.
                if sender.send((index, hunt.hunt(*bug, kept))).is_err() {
                    return;
                }
            }
        };
        let threads: Vec<_> = (0..jobs)
            .map(|_| {
                let sender = sender.clone();
                scope.spawn(move || work(sender))
            })
            .collect();
        // The channel ends when the last thread has ended.
        drop(sender);
        let mut waiting: Vec<Option<Hunted>> = bugs.iter().map(|_| None).collect();
        let mut told: Vec<Hunted> = Vec::new();
        let listen = || {
            for (index, hunted) in receiver {
                waiting[index] = Some(hunted);
                while let Some(next) = waiting.get_mut(told.len()).and_then(Option::take) {
                    tell(&next)?;
                    told.push(next);
                }
            }
            Ok(())
        };
        let listened = listen();
        for thread in threads {
            // A panic that the judge did not catch is a bug of our own: it goes on from here.
            thread
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic));
        }
        listened.map(|()| told)
    })
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
