//! Every loss of power of scenario files.

mod dump;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::path::Path;
use std::sync::mpsc::Sender;

use blkproof::Failure;
use blkproof::sweep::power::{Midst, Swept, Tally};
use blkproof_spec::{Action, Scenario, Step};
use indicatif::HumanCount;
use owo_colors::OwoColorize as _;

use crate::args::{Jobs, SweepArgs};
use crate::crew::{self, Stop};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::judge;
use crate::keep::{self, Keeper};
use crate::load::{self, Loaded};
use crate::out::Out;
use crate::ui::Ui;
use dump::Dump;

/// What a thread has to tell.
enum News {
    /// A state of this file failed.
    Failed(usize, Box<Failed>),
    /// Something could not be written down.
    Unwritten(Error),
    /// A file was swept, or could not be.
    Swept(usize, Result<Tally, String>),
}

/// A state that failed.
struct Failed {
    scenario: Scenario,
    failure: Failure,
    /// The words of the cuts that led to it.
    cuts: String,
}

/// Sweeps files and folders: a line for each file, and the whole report of what failed.
pub(super) fn run(
    args: &SweepArgs,
    jobs: Jobs,
    out: &Path,
    stop: &Stop,
    ui: &mut Ui,
) -> Result<Exit, Error> {
    let dump = args.dump.as_deref();
    let _dump = dump.map(|dump| Out::open("--dump", dump)).transpose()?;
    let (files, read) = load::swept(&args.paths, ui)?;
    let work = Work {
        files: &files,
        args,
        next: AtomicUsize::new(0),
        stop,
    };
    let mut teller = Teller {
        files: &files,
        done: files.iter().map(|_| None).collect(),
        told: 0,
        all: Tally::whole(),
        keeper: Keeper::new(out, &args.bug, stop.interrupt()),
        stop,
        failed: Exit::Held,
        ui,
    };
    let judge = |_, news: &Sender<News>| work.judge(news);
    crew::share(jobs, stop, judge, |news| teller.hear(news))?;
    Ok(read.max(stop.exit()).max(teller.finish()?))
}

/// What the threads share out: file after file.
struct Work<'a> {
    files: &'a [Loaded],
    args: &'a SweepArgs,
    next: AtomicUsize,
    stop: &'a Stop,
}

impl Work<'_> {
    fn judge(&self, news: &Sender<News>) {
        let mut judge = judge::of_bugs(&self.args.bug);
        while self.stop.goes_on() {
            let file = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(loaded) = self.files.get(file) else {
                return;
            };
            let mut dump = Dump::of(self.args, file, loaded);
            let scenario = &loaded.document.scenario;
            let swept = judge.sweep_power(scenario, self.args.random, |swept| {
                if let Some(failure) = swept.failure {
                    let what = Box::new(Failed {
                        scenario: swept.scenario(),
                        failure: failure.clone(),
                        cuts: words_of(swept),
                    });
                    // Whoever listens no longer has had enough.
                    let _ = news.send(News::Failed(file, what));
                }
                if let Err(error) = dump.take(swept) {
                    let _ = news.send(News::Unwritten(error));
                    return false;
                }
                self.stop.goes_on()
            });
            let _ = news.send(News::Swept(file, swept));
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
    stop: &'a Stop,
    failed: Exit,
    ui: &'a mut Ui,
}

impl Teller<'_> {
    fn hear(&mut self, news: News) -> Result<(), Error> {
        match news {
            News::Failed(file, what) => self.keep(file, *what)?,
            News::Unwritten(error) => return Err(error),
            News::Swept(file, tally) => {
                self.done[file] = Some(tally);
                self.tell_ready()?;
            }
        }
        if self.keeper.is_full() {
            self.stop.enough();
        }
        Ok(())
    }

    fn keep(&mut self, file: usize, failed: Failed) -> Result<(), Error> {
        let swept = &self.files[file].path;
        let (mut scenario, cuts) = (failed.scenario, failed.cuts);
        scenario.title = Some(format!("{}, {cuts}", swept.display()).into());
        let stem = swept.file_stem().unwrap_or_default().to_string_lossy();
        let name = keep::file_name(&format!("{stem}-{cuts}"));
        self.keeper
            .keep(&name, scenario, &failed.failure, Some(cuts), self.ui)
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
                    midst: by_midst(tally).collect(),
                    cuts: tally.cuts,
                    states: tally.distinct,
                    recovery: json::RecoveryCuts {
                        positions: tally.again.positions,
                        cuts: tally.again.cuts,
                        states: tally.again.distinct,
                    },
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

    fn finish(mut self) -> Result<Exit, Error> {
        let (count, all) = (self.told, self.files.len());
        if count < all {
            self.all.complete = false;
            self.ui.note(format_args!(
                "ended early: {count} of {all} scenarios were swept"
            ));
        }
        if count > 1 {
            self.ui
                .say(format_args!("{count} scenarios: {}", told(&self.all)))?;
        }
        if count > 0 {
            let midst = by_midst(&self.all).filter(|(_, count)| *count > 0);
            let midst: Vec<String> = midst
                .map(|(name, count)| format!("{name} {}", HumanCount(count)))
                .collect();
            self.ui
                .say(format_args!("in the midst of: {}", midst.join(", ")))?;
        }
        Ok(self.keeper.finish(self.ui).max(self.failed))
    }
}

/// Returns the operations that were cut, by what they were in the midst of.
fn by_midst(tally: &Tally) -> impl Iterator<Item = (&'static str, u64)> {
    let names = Midst::ALL.into_iter().map(Midst::name);
    names.zip(tally.midst)
}

/// Returns the words of the cuts that led to a state.
fn words_of(swept: &Swept<'_>) -> String {
    let words: Vec<String> = swept
        .cuts()
        .map(|cut| blkproof::text::describe(&Step::new(Action::PowerCut(cut.clone()))))
        .collect();
    words.join(", then ")
}

/// Says in words what a sweep comes to.
fn told(tally: &Tally) -> String {
    let mut line = format!(
        "{} cuts at {} operations left {} states",
        HumanCount(tally.cuts),
        HumanCount(tally.positions),
        HumanCount(tally.distinct)
    );
    let again = &tally.again;
    if again.positions > 0 {
        line.push_str(&format!(
            ", and {} cuts at {} operations of recoveries {} more",
            HumanCount(again.cuts),
            HumanCount(again.positions),
            HumanCount(again.distinct)
        ));
    }
    line.push_str(": ");
    if tally.held == tally.states() && tally.failed == 0 {
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
