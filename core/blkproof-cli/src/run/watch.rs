//! Watches a campaign: takes in what was judged, keeps what fails, and writes down how far it is.

use core::time::Duration;
use std::path::Path;
use std::time::Instant;

use super::keeper::Keeper;
use crate::campaign::{Batch, Course, Finds, Identity, Plan, Progress, State, Watcher, Worth};
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::ui::Ui;

/// How often it is written down how far the campaign is.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// Watches a campaign.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    identity: Identity,
    out: &'a Path,
    course: Course,
    /// After failures of so many kinds the campaign ends.
    ways_max: usize,
    keeper: Keeper<'a>,
    progress: Progress,
    interrupt: Interrupt,
    ui: &'a mut Ui,
    /// When this run of the campaign began, and how long it had run before.
    start: (Instant, Duration),
    saved: Instant,
    stopping: Option<Stop>,
    exit: Exit,
}

/// Why a campaign stops before its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// Somebody asked for it.
    Interrupted,
    /// It has found enough.
    Enough,
    /// Something cannot be written.
    Unwritable,
}

/// How a campaign went.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) course: Course,
    pub(super) stopped: Option<Stop>,
    /// How the program ends because of what happened on the way.
    pub(super) exit: Exit,
}

impl<'a> Watch<'a> {
    /// Watches a campaign from where it is.
    pub(super) fn new(
        plan: &'a Plan,
        course: Course,
        ways_max: usize,
        out: &'a Path,
        interrupt: Interrupt,
        ui: &'a mut Ui,
    ) -> Self {
        let now = Instant::now();
        Self {
            identity: plan.identity(),
            out,
            ways_max,
            keeper: Keeper::new(plan, out, interrupt.clone()),
            progress: Progress::start(plan, &course, ui),
            interrupt,
            ui,
            start: (now, course.time),
            course,
            saved: now,
            stopping: None,
            exit: Exit::Held,
        }
    }

    /// Ends the watch. What a campaign has done stays written down until it is over.
    pub(super) fn finish(mut self) -> Result<Watched, Error> {
        self.progress.finish();
        self.course.time = self.start.1 + self.start.0.elapsed();
        match self.stopping {
            None | Some(Stop::Enough) => State::remove(self.out)?,
            Some(Stop::Interrupted) => self.save(),
            Some(Stop::Unwritable) => (),
        }
        if self.stopping == Some(Stop::Enough) {
            self.ui.note(format_args!(
                "the campaign ended early: cases fail in {} ways (see --failures)",
                self.course.finds.ways.len()
            ));
        }
        Ok(Watched {
            course: self.course,
            stopped: self.stopping,
            exit: self.exit,
        })
    }

    /// Writes down how far the campaign is. Where that does not work, failures could not be
    /// written down either: the campaign stops.
    fn save(&mut self) {
        self.course.time = self.start.1 + self.start.0.elapsed();
        if let Err(error) = State::save(&self.identity, &self.course, self.out) {
            self.give_up(&error);
        }
        self.saved = Instant::now();
    }

    fn give_up(&mut self, error: &Error) {
        let progress = self.progress.clone();
        let exit = progress.suspend(|| self.ui.fail(error));
        self.exit = self.exit.max(exit);
        self.stopping = Some(Stop::Unwritable);
    }

    fn keep(&mut self, found: crate::campaign::Found) -> Result<(), Error> {
        let identity = Finds::identity(&found.failure);
        let worth = self.course.finds.count(&identity);
        if worth == Worth::Counted {
            return Ok(());
        }
        let progress = self.progress.clone();
        let runs_left = &mut self.course.finds.runs_left;
        let kept = progress.suspend(|| self.keeper.keep(found, worth, runs_left, self.ui))?;
        match kept {
            Ok(file) => self.course.finds.keep(&identity, file),
            Err(error) => self.give_up(&error),
        }
        Ok(())
    }
}

impl Watcher for Watch<'_> {
    fn judged(&mut self, batch: Batch) -> Result<bool, Error> {
        let found = batch.found.is_some();
        if let Some(found) = batch.found {
            self.keep(found)?;
        }
        // What could not be kept is not taken in: it is judged again when the campaign goes on.
        if found && self.stopping == Some(Stop::Unwritable) {
            return Ok(false);
        }
        for position in batch.positions {
            self.course.done.insert(position);
        }
        self.course.totals.merge(&batch.totals);
        if self.course.finds.ways.len() >= self.ways_max && self.stopping.is_none() {
            self.stopping = Some(Stop::Enough);
        }
        Ok(self.stopping.is_none())
    }

    fn look(&mut self) -> Result<bool, Error> {
        self.progress.show(self.course.totals.cases, self.ui);
        if self.interrupt.came() && self.stopping.is_none() {
            self.stopping = Some(Stop::Interrupted);
            let progress = self.progress.clone();
            progress.suspend(|| {
                self.ui
                    .note("interrupted: a moment, please; once more ends at once");
            });
        }
        if self.stopping.is_none() && self.saved.elapsed() >= SAVE_EVERY {
            self.save();
        }
        Ok(self.stopping.is_none())
    }
}
