//! Every loss of power of scenario files.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::panic;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use blkproof::Failure;
use blkproof::sweep::power::Tally;
use blkproof_spec::{Action, Scenario, Step};
use indicatif::HumanCount;
use owo_colors::OwoColorize as _;

use crate::args::{BugName, Jobs, SweepArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::judge;
use crate::keep::{self, Keeper};
use crate::load::{self, Loaded};
use crate::ui::Ui;

/// What a thread has to tell.
enum News {
    /// A state of this file failed.
    Failed(usize, Box<(Scenario, Failure)>),
    /// A file was swept, or could not be.
    Swept(usize, Result<Tally, String>),
}

/// Sweeps files and folders: a line for each file, and the whole report of what failed.
pub(super) fn run(args: &SweepArgs, jobs: Jobs, out: &Path, ui: &mut Ui) -> Result<Exit, Error> {
    let (files, read) = load::swept(&args.paths, ui)?;
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (random, bugs) = (args.random, &args.bug[..]);
    let mut teller = Teller {
        files: &files,
        done: files.iter().map(|_| None).collect(),
        told: 0,
        all: Tally::whole(),
        keeper: Keeper::new(out, &args.bug),
        failed: Exit::Held,
        ui,
    };
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let threads: Vec<_> = (0..jobs.0)
            .map(|_| {
                let (sender, files, next, stop) = (sender.clone(), &files, &next, &stop);
                scope.spawn(move || judge(files, random, bugs, (next, stop), &sender))
            })
            .collect();
        // The channel ends when the last thread has ended.
        drop(sender);
        let told = teller.listen(&receiver, &stop);
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            // A panic that the judge did not catch is a bug of our own: it goes on from here.
            thread
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic));
        }
        told
    })?;
    Ok(read.max(teller.finish()?))
}

fn judge(
    files: &[Loaded],
    random: u64,
    bugs: &[BugName],
    (next, stop): (&AtomicUsize, &AtomicBool),
    news: &Sender<News>,
) {
    let mut judge = judge::of_bugs(bugs);
    loop {
        let file = next.fetch_add(1, Ordering::Relaxed);
        let Some(loaded) = files.get(file) else {
            return;
        };
        let scenario = &loaded.document.scenario;
        let swept = judge.sweep_power(scenario, random, |swept| {
            let what = Box::new((swept.scenario.clone(), swept.failure.clone()));
            // Whoever listens no longer has had enough.
            let _ = news.send(News::Failed(file, what));
            !stop.load(Ordering::Relaxed)
        });
        let _ = news.send(News::Swept(file, swept));
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// Tells of each file once it was swept, in the order of the files.
struct Teller<'a> {
    files: &'a [Loaded],
    done: Vec<Option<Result<Tally, String>>>,
    told: usize,
    all: Tally,
    keeper: Keeper<'a>,
    failed: Exit,
    ui: &'a mut Ui,
}

impl Teller<'_> {
    fn listen(&mut self, news: &Receiver<News>, stop: &AtomicBool) -> Result<(), Error> {
        for news in news {
            match news {
                News::Failed(file, what) => self.keep(file, *what)?,
                News::Swept(file, tally) => {
                    self.done[file] = Some(tally);
                    self.tell_ready()?;
                }
            }
            if self.keeper.is_full() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn keep(
        &mut self,
        file: usize,
        (mut scenario, failure): (Scenario, Failure),
    ) -> Result<(), Error> {
        let swept = &self.files[file].path;
        let cut = scenario.steps.first().map(cut_of).unwrap_or_default();
        scenario.title = Some(format!("{}, {cut}", swept.display()).into());
        let stem = swept.file_stem().unwrap_or_default().to_string_lossy();
        let name = keep::file_name(&format!("{stem}-{cut}"));
        self.keeper
            .keep(&name, scenario, &failure, Some(cut), self.ui)
    }

    fn tell_ready(&mut self) -> Result<(), Error> {
        while let Some(Some(swept)) = self.done.get(self.told) {
            let path = self.files[self.told].path.display().to_string();
            let (word, line) = match swept {
                Ok(tally) if tally.failed == 0 => ("ok".green().to_string(), told(tally)),
                Ok(tally) => ("FAIL".red().bold().to_string(), told(tally)),
                Err(message) => {
                    self.failed = Exit::Failed;
                    ("FAIL".red().bold().to_string(), message.clone())
                }
            };
            self.ui.say(format_args!("{word}  {path}  {line}"))?;
            if let Ok(tally) = swept {
                self.ui.emit(&Record::PowerSweep(json::PowerSwept {
                    path: &path,
                    positions: tally.positions,
                    cuts: tally.cuts,
                    states: tally.distinct,
                    held: tally.held,
                    failed: tally.failed,
                    not_judged: tally.not_judged,
                    complete: tally.complete,
                }))?;
                self.all.add(tally);
            }
            self.told += 1;
        }
        Ok(())
    }

    fn finish(self) -> Result<Exit, Error> {
        if self.told > 1 {
            let count = self.told;
            self.ui
                .say(format_args!("{count} scenarios: {}", told(&self.all)))?;
        }
        Ok(self.keeper.finish(self.ui).max(self.failed))
    }
}

/// Returns the words of a cut.
fn cut_of(step: &Step) -> String {
    match &step.action {
        Action::PowerCut(_) => blkproof::text::describe(&Step::new(step.action.clone())),
        _ => String::new(),
    }
}

/// Says in words what a sweep comes to.
fn told(tally: &Tally) -> String {
    let mut line = format!(
        "{} cuts at {} operations left {} states: ",
        HumanCount(tally.cuts),
        HumanCount(tally.positions),
        HumanCount(tally.distinct)
    );
    if tally.held == tally.distinct {
        line.push_str("all held");
    } else {
        line.push_str(&format!("{} held", HumanCount(tally.held)));
    }
    for (count, what) in [(tally.failed, "failed"), (tally.not_judged, "not judged")] {
        if count > 0 {
            line.push_str(&format!(", {} {what}", HumanCount(count)));
        }
    }
    line.push_str(if tally.complete {
        ", none left out"
    } else {
        ", not complete"
    });
    line
}
