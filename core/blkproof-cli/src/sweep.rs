//! `blkproof sweep`: every single fault of scenario files, one at a time.

mod exhaustive;

mod power;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::path::Path;
use std::sync::mpsc::Sender;

use blkproof::Failure;
use blkproof::sweep::{self, Position, Strike, Tally};
use blkproof_spec::{IoType, Place, Scenario};
use indicatif::HumanCount;
use owo_colors::OwoColorize as _;

use crate::args::{BugName, Jobs, SweepArgs};
use crate::crew::{self, Stop};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::judge;
use crate::keep::{self, Keeper};
use crate::load::{self, Loaded};
use crate::out::Out;
use crate::ui::Ui;

/// Sweeps files and folders: a line for each file, and the whole report of what failed.
pub(crate) fn run(args: &SweepArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let strikes = match &args.strike[..] {
        [] => Strike::USUAL.to_vec(),
        named => named.iter().map(|name| name.0).collect(),
    };
    let stop = Stop::listen()?;
    let out = Out::open("--out", args.out())?;
    let jobs = args.jobs.unwrap_or_default();
    if args.power {
        return power::run(args, jobs, out.path(), &stop, ui);
    }
    if args.exhaustive {
        return exhaustive::run(args, &strikes, jobs, out.path(), &stop, ui);
    }
    sweep_files(args, &strikes, jobs, out.path(), &stop, ui)
}

fn sweep_files(
    args: &SweepArgs,
    strikes: &[Strike],
    jobs: Jobs,
    out: &Path,
    stop: &Stop,
    ui: &mut Ui,
) -> Result<Exit, Error> {
    let (files, read) = load::swept(&args.paths, ui)?;
    let work = Work::of(&files, strikes, &args.bug, stop);
    let mut teller = Teller::new(&files, &work, out, ui);
    let judge = |_, news: &Sender<News>| work.judge(news);
    crew::share(jobs, stop, judge, |news| teller.hear(news))?;
    Ok(read.max(stop.exit()).max(teller.finish()?))
}

/// What the threads share out: every place of every file.
struct Work<'a> {
    items: Vec<(usize, &'a Scenario, Place)>,
    strikes: &'a [Strike],
    bugs: &'a [BugName],
    next: AtomicUsize,
    stop: &'a Stop,
}

/// What a thread has to tell.
enum News {
    /// A position of this file failed.
    Failed(usize, Position, Box<(Scenario, Failure)>),
    /// A place of this file was swept, to its end where the tally is complete.
    Swept(usize, Tally),
}

impl<'a> Work<'a> {
    fn of(files: &'a [Loaded], strikes: &'a [Strike], bugs: &'a [BugName], stop: &'a Stop) -> Self {
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
            stop,
        }
    }

    fn judge(&self, news: &Sender<News>) {
        let mut judge = judge::of_bugs(self.bugs);
        while self.stop.goes_on() {
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
                self.stop.goes_on()
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
    stop: &'a Stop,
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
            keeper: Keeper::new(out, work.bugs, work.stop.interrupt()),
            stop: work.stop,
            ui,
        }
    }

    fn hear(&mut self, news: News) -> Result<(), Error> {
        match news {
            News::Failed(file, position, what) => self.keep(file, &position, *what)?,
            News::Swept(file, tally) => {
                self.open[file].0 -= 1;
                self.open[file].1.add(&tally);
                self.tell_ready()?;
            }
        }
        if self.keeper.is_full() {
            self.stop.enough();
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
        while let Some((0, _)) = self.open.get(self.told) {
            self.tell_next()?;
        }
        Ok(())
    }

    /// Tells of the next file, as far as it was swept.
    fn tell_next(&mut self) -> Result<(), Error> {
        if let Some((_, tally)) = self.open.get(self.told) {
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

    fn finish(mut self) -> Result<Exit, Error> {
        let whole = self.told;
        for (left, tally) in &mut self.open[whole..] {
            tally.complete &= *left == 0;
        }
        // Of those that were begun, what was tried counts.
        while self.open[self.told..]
            .iter()
            .any(|(_, tally)| tally.all() > 0)
        {
            self.tell_next()?;
        }
        let all = self.files.len();
        if whole < all {
            self.all.complete = false;
            self.ui.note(format_args!(
                "ended early: {whole} of {all} scenarios were swept to their end"
            ));
        }
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
