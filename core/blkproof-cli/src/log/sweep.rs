//! `blkproof log sweep`: every loss of power of a write log.

use core::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use blkproof::sweep::log::{Broken, Log, SweepError, Tally};
use blkproof_device::write_log::{Entry, LogError, Reader};
use blkproof_device::{BlockDevice as _, FileDisk, MemStore, Operation, Pool};
use blkproof_spec::power::Cache;
use blkproof_spec::{Action, Format, ImageName, Length, Step};
use indicatif::HumanCount;
use owo_colors::OwoColorize as _;

use crate::args::LogSweepArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::json::{self, Record};
use crate::judge;
use crate::out::Out;
use crate::save;
use crate::ui::Ui;

/// After so many states it is enough: more of them say nothing new.
const BROKEN_MAX: u64 = 20;

/// Sweeps a log: a line for what it comes to, and one for each state that is not as it must be.
pub(super) fn run(args: &LogSweepArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let interrupt = Interrupt::listen().map_err(Error::Signals)?;
    let out = Out::open("--out", args.out())?;
    let extent = Extent::of(&args.log)?;
    let image = ImageName::new("image");
    let store = store(args, &image, extent.size)?;
    let place = Cell::new((0, 0));
    let mut teller = Teller {
        args,
        out: out.path(),
        image: &image,
        place: &place,
        told: 0,
        failed: None,
        ui,
    };
    let operations = Operations {
        log: open(&args.log)?,
        next: Vec::new(),
        place: &place,
        interrupt: &interrupt,
    };
    let log = Log {
        image: &image,
        format: Format::Qcow2,
        random: args.random,
        cache: Cache::default(),
    };
    let swept = judge::sweep_log(log, &store, operations, |broken| teller.tell(broken));
    if let Some(error) = teller.failed.take() {
        return Err(error);
    }
    let path = args.log.clone();
    match swept {
        Ok(mut tally) if interrupt.came() => {
            tally.complete = false;
            ui.note(format_args!("interrupted at entry {}", place.get().0));
            Ok(finish(&args.log, extent.entries, &tally, ui)?.max(Exit::Interrupted))
        }
        Ok(tally) if tally.before == tally.positions => Err(Error::NoImage { path }),
        Ok(tally) => finish(&args.log, extent.entries, &tally, ui),
        Err(SweepError::Log(source)) => Err(Error::Log { path, source }),
        Err(SweepError::Store(error)) => Err(Error::NotDone {
            path,
            why: format!("entry {} cannot be carried out: {error}", place.get().0),
        }),
    }
}

fn open(path: &Path) -> Result<Reader<FileDisk>, Error> {
    let file = File::open(path).map_err(Error::unreadable(path))?;
    Reader::new(FileDisk::new(file)).map_err(|source| Error::Log {
        path: path.to_owned(),
        source,
    })
}

/// What a log touches.
struct Extent {
    entries: u64,
    /// How large its device is: what it touches lies within, where it does not tell of sizes.
    size: u64,
}

impl Extent {
    /// Reads the whole log, so that one that is broken is refused before anything is done.
    fn of(path: &Path) -> Result<Self, Error> {
        let mut log = open(path)?;
        let broken = |source| Error::Log {
            path: path.to_owned(),
            source,
        };
        let (mut size, mut sized) = (0, false);
        while let Some(entry) = log.next_entry().map_err(broken)? {
            sized |= entry.resize().is_some();
            size = entry.range().end().max(size);
        }
        Ok(Self {
            entries: log.count(),
            size: if sized { 0 } else { size },
        })
    }
}

/// Makes the device as it was when the log began.
fn store(args: &LogSweepArgs, image: &ImageName, size: u64) -> Result<MemStore, Error> {
    let store = MemStore::new(&Pool::new());
    let not_done = |path: &Path, why: String| Error::NotDone {
        path: path.to_owned(),
        why,
    };
    let mut device = store
        .subject_handle()
        .create(image, Length(0))
        .map_err(|error| not_done(&args.log, error.to_string()))?;
    if let Some(base) = &args.base {
        let file = File::open(base).map_err(Error::unreadable(base))?;
        save::copy(&mut FileDisk::new(file), &mut *device)
            .map_err(|error| not_done(base, error.to_string()))?;
    }
    let size = device.size().0.max(size);
    device
        .set_size(Length(size))
        .map_err(|error| not_done(&args.log, error.to_string()))?;
    store.set_caching(true);
    Ok(store)
}

/// The operations of a log, until somebody interrupts.
struct Operations<'a> {
    log: Reader<FileDisk>,
    /// What is left of an entry, the last first.
    next: Vec<Operation>,
    /// The number of the entry, and where it begins.
    place: &'a Cell<(u64, u64)>,
    interrupt: &'a Interrupt,
}

impl Iterator for Operations<'_> {
    type Item = Result<Operation, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.interrupt.came() {
            return None;
        }
        while self.next.is_empty() {
            match self.log.next_entry() {
                Ok(None) => return None,
                Ok(Some(entry)) => {
                    self.place.set((entry.number, entry.offset));
                    self.next = Entry::into_operations(entry);
                    self.next.reverse();
                }
                Err(error) => return Some(Err(error)),
            }
        }
        self.next.pop().map(Ok)
    }
}

/// Tells of states that are not as they must be.
struct Teller<'a> {
    args: &'a LogSweepArgs,
    out: &'a Path,
    image: &'a ImageName,
    place: &'a Cell<(u64, u64)>,
    told: u64,
    failed: Option<Error>,
    ui: &'a mut Ui,
}

impl Teller<'_> {
    /// Keeps a state, tells of it, and says whether to go on.
    fn tell(&mut self, broken: &Broken<'_>) -> bool {
        self.told += 1;
        match self.try_tell(broken) {
            Ok(()) => self.told < BROKEN_MAX,
            Err(error) => {
                self.failed = Some(error);
                false
            }
        }
    }

    fn try_tell(&mut self, broken: &Broken<'_>) -> Result<(), Error> {
        let (entry, offset) = self.place.get();
        let cut = blkproof::text::describe(&Step::new(Action::PowerCut(broken.cut.clone())));
        let kept = self.keep(broken, entry)?;
        let path = self.args.log.display().to_string();
        self.ui.say(format_args!(
            "{path}: entry {entry} at offset {offset}, {cut}; what is left: {}",
            kept.display()
        ))?;
        for problem in broken.problems {
            self.ui.say(format_args!("  {problem}"))?;
        }
        self.ui.emit(&Record::LogBroken(json::LogBroken {
            path: &path,
            entry,
            offset,
            cut: &cut,
            problems: broken.problems,
            image: &kept.display().to_string(),
        }))
    }

    /// Writes down what is left.
    fn keep(&self, broken: &Broken<'_>, entry: u64) -> Result<PathBuf, Error> {
        let stem = self.args.log.file_stem().unwrap_or_default();
        let name = format!(
            "{}-entry{entry}-{}.qcow2",
            stem.to_string_lossy(),
            self.told
        );
        let path = self.out.join(name);
        fs::create_dir_all(self.out).map_err(Error::unwritable(self.out))?;
        let device = broken.store.plain(self.image);
        let mut device = device.map_err(|error| Error::NotDone {
            path: path.clone(),
            why: error.to_string(),
        })?;
        save::image(&path, &mut *device).map_err(Error::unwritable(&path))?;
        Ok(path)
    }
}

fn finish(path: &Path, entries: u64, tally: &Tally, ui: &mut Ui) -> Result<Exit, Error> {
    let path = path.display().to_string();
    let (word, exit) = if tally.failed == 0 {
        ("ok".green().to_string(), Exit::Held)
    } else {
        ("FAIL".red().bold().to_string(), Exit::Failed)
    };
    ui.say(format_args!("{word}  {path}  {}", told(tally)))?;
    ui.emit(&Record::LogSwept(json::LogSwept {
        path: &path,
        entries,
        positions: tally.positions,
        before: tally.before,
        cuts: tally.cuts,
        states: tally.distinct,
        held: tally.held,
        failed: tally.failed,
        complete: tally.complete,
    }))?;
    if tally.failed >= BROKEN_MAX {
        ui.note(format_args!("ended early: {BROKEN_MAX} failed"));
    }
    Ok(exit)
}

/// Says in words what a sweep comes to.
fn told(tally: &Tally) -> String {
    let mut line = format!(
        "{} cuts at {} operations left {} states: ",
        HumanCount(tally.cuts),
        HumanCount(tally.positions - tally.before),
        HumanCount(tally.distinct)
    );
    if tally.held == tally.distinct {
        line.push_str("all held");
    } else {
        let (held, failed) = (HumanCount(tally.held), HumanCount(tally.failed));
        line.push_str(&format!("{held} held, {failed} failed"));
    }
    line.push_str(if tally.complete {
        ", none left out"
    } else {
        ", not complete"
    });
    if tally.before > 0 {
        let before = HumanCount(tally.before);
        line.push_str(&format!("; {before} operations before the image was there"));
    }
    line
}
