//! `blkproof sweep`: every single fault of scenario files, one at a time.

mod exhaustive;

mod power;

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::panic;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use blkproof::Failure;
use blkproof::sweep::{self, Position, Strike, Tally};
use blkproof_spec::{IoType, Place, Scenario};
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

/// Sweeps files and folders: a line for each file, and the whole report of what failed.
pub(crate) fn run(args: &SweepArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let strikes = match &args.strike[..] {
        [] => Strike::USUAL.to_vec(),
        named => named.iter().map(|name| name.0).collect(),
    };
    let out = args.out.as_deref().unwrap_or(Path::new("blkproof-out"));
    let jobs = args.jobs.unwrap_or_default();
    if args.power {
        return power::run(args, jobs, out, ui);
    }
    if args.exhaustive {
        return exhaustive::run(args, &strikes, jobs, out, ui);
    }
    sweep_files(args, &strikes, jobs, out, ui)
}

fn sweep_files(
    args: &SweepArgs,
    strikes: &[Strike],
    jobs: Jobs,
    out: &Path,
    ui: &mut Ui,
) -> Result<Exit, Error> {
    let (files, read) = load::swept(&args.paths, ui)?;
    let work = Work::of(&files, strikes, &args.bug);
    let mut teller = Teller::new(&files, &work, out, ui);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let threads: Vec<_> = (0..jobs.0)
            .map(|_| {
                let (sender, work) = (sender.clone(), &work);
                scope.spawn(move || work.judge(&sender))
            })
            .collect();
        // The channel ends when the last thread has ended.
        drop(sender);
        let told = teller.listen(&receiver, &work);
        work.stop.store(true, Ordering::Relaxed);
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

/// What the threads share out: every place of every file.
struct Work<'a> {
    items: Vec<(usize, &'a Scenario, Place)>,
    strikes: &'a [Strike],
    bugs: &'a [BugName],
    next: AtomicUsize,
    stop: AtomicBool,
}

/// What a thread has to tell.
enum News {
    /// A position of this file failed.
    Failed(usize, Position, Box<(Scenario, Failure)>),
    /// A place of this file was swept.
    Swept(usize, Tally),
}

impl<'a> Work<'a> {
    fn of(files: &'a [Loaded], strikes: &'a [Strike], bugs: &'a [BugName]) -> Self {
        let places = |(file, loaded): (usize, &'a Loaded)| {
            let scenario = &loaded.document.scenario;
            let places = sweep::places(scenario);
            places.into_iter().map(move |place| (file, scenario, place))
        };
        Self {
            items: files.iter().enumerate().flat_map(places).collect(),
            strikes,
            bugs,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        }
    }

    fn judge(&self, news: &Sender<News>) {
        let mut judge = judge::of_bugs(self.bugs);
        loop {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((file, scenario, place)) = self.items.get(next) else {
                return;
            };
            let run = |struck: &Scenario| judge.judge(struck);
            let tally = sweep::sweep_place(scenario, place, self.strikes, run, |swept| {
                if let Some(failure) = swept.failure {
                    let what = Box::new((swept.scenario.clone(), failure.clone()));
                    // Whoever listens no longer has had enough.
                    let _ = news.send(News::Failed(*file, swept.position.clone(), what));
                }
                !self.stop.load(Ordering::Relaxed)
            });
            let _ = news.send(News::Swept(*file, tally));
        }
    }
}

/// Tells of each file once all of it was swept, in the order of the files.
struct Teller<'a> {
    files: &'a [Loaded],
    /// Of each file, how many places are still to come, and what it comes to so far.
    open: Vec<(usize, Tally)>,
    told: usize,
    all: Tally,
    keeper: Keeper<'a>,
    ui: &'a mut Ui,
}

impl<'a> Teller<'a> {
    fn new(files: &'a [Loaded], work: &Work<'a>, out: &'a Path, ui: &'a mut Ui) -> Self {
        let mut open: Vec<_> = files.iter().map(|_| (0, Tally::whole())).collect();
        for (file, ..) in &work.items {
            open[*file].0 += 1;
        }
        Self {
            files,
            open,
            told: 0,
            all: Tally::whole(),
            keeper: Keeper::new(out, work.bugs),
            ui,
        }
    }

    fn listen(&mut self, news: &Receiver<News>, work: &Work<'_>) -> Result<(), Error> {
        for news in news {
            match news {
                News::Failed(file, position, what) => self.keep(file, &position, *what)?,
                News::Swept(file, tally) => {
                    self.open[file].0 -= 1;
                    self.open[file].1.add(&tally);
                    self.tell_ready()?;
                }
            }
            if self.keeper.is_full() {
                work.stop.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn keep(
        &mut self,
        file: usize,
        position: &Position,
        (mut scenario, failure): (Scenario, Failure),
    ) -> Result<(), Error> {
        let swept = &self.files[file].path;
        scenario.title = Some(format!("{}, {position}", swept.display()).into());
        let stem = swept.file_stem().unwrap_or_default().to_string_lossy();
        let name = keep::file_name(&format!("{stem}-{position}"));
        let position = Some(position.to_string());
        self.keeper
            .keep(&name, scenario, &failure, position, self.ui)
    }

    fn tell_ready(&mut self) -> Result<(), Error> {
        while let Some((0, tally)) = self.open.get(self.told) {
            let path = self.files[self.told].path.display().to_string();
            let word = if tally.failed == 0 {
                "ok".green().to_string()
            } else {
                "FAIL".red().bold().to_string()
            };
            self.ui
                .say(format_args!("{word}  {path}  {}", told(tally)))?;
            self.ui.emit(&Record::Sweep(json::Swept {
                path: &path,
                sweep: sweep_record(tally),
            }))?;
            self.all.add(tally);
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
        Ok(self.keeper.finish(self.ui))
    }
}

fn by_kind(tally: &Tally) -> impl Iterator<Item = (IoType, u64)> {
    IoType::ALL.iter().copied().zip(tally.positions)
}

/// Says for programs what a sweep comes to.
fn sweep_record(tally: &Tally) -> json::Sweep {
    json::Sweep {
        positions: by_kind(tally).map(|(kind, n)| (kind.name(), n)).collect(),
        held: tally.held,
        failed: tally.failed,
        not_judged: tally.not_judged,
        complete: tally.complete,
    }
}

/// Says in words what a sweep comes to.
fn told(tally: &Tally) -> String {
    let kinds: Vec<String> = by_kind(tally)
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{} {kind}", HumanCount(count)))
        .collect();
    let mut line = format!("{} positions", HumanCount(tally.all()));
    if !kinds.is_empty() {
        line.push_str(&format!(" ({})", kinds.join(", ")));
    }
    let held = if tally.held == tally.all() {
        "all held".to_owned()
    } else {
        format!("{} held", HumanCount(tally.held))
    };
    line.push_str(&format!(": {held}"));
    for (count, what) in [
        (tally.failed, "failed"),
        (tally.not_judged, "kept the disks from being opened"),
    ] {
        if count > 0 {
            line.push_str(&format!(", {} {what}", HumanCount(count)));
        }
    }
    if !tally.complete {
        line.push_str(", not complete");
    }
    line
}
