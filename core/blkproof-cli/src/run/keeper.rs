//! The cases that fail: each is written down first, then reported.

use std::fs;
use std::path::{Path, PathBuf};

use blkproof::text::Document;

use crate::campaign::{Found, Plan, Progress, Watcher};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::save;
use crate::tell;
use crate::ui::Ui;

/// After so many failures a campaign ends: more of them say nothing new.
const FAILURES_MAX: u64 = 100;

/// How many failures are reported in full; of the others, a line says where they are.
const REPORTS_MAX: u64 = 3;

/// Keeps the cases that fail.
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    plan: &'a Plan,
    out: &'a Path,
    progress: Progress,
    ui: &'a mut Ui,
    failures: u64,
    exit: Exit,
}

impl<'a> Keeper<'a> {
    /// Returns a keeper that writes to the folder `out`, which is made when it is needed.
    pub(super) fn new(plan: &'a Plan, out: &'a Path, progress: Progress, ui: &'a mut Ui) -> Self {
        Self {
            plan,
            out,
            progress,
            ui,
            failures: 0,
            exit: Exit::Held,
        }
    }

    /// Ends the keeping; returns whether something could not be kept.
    pub(super) fn finish(self) -> Exit {
        self.progress.finish();
        if self.failures >= FAILURES_MAX {
            self.ui.note(format_args!(
                "the campaign ended early: {FAILURES_MAX} cases failed"
            ));
        }
        self.exit
    }

    /// Writes a case down. What cannot be written is printed, so that it is not lost.
    fn save(&mut self, number: u64, text: &str) -> PathBuf {
        let path = self.out.join(self.plan.file_name(number));
        let written = fs::create_dir_all(self.out)
            .map_err(Error::unwritable(self.out))
            .and_then(|()| save::replace(&path, text.as_bytes()).map_err(Error::unwritable(&path)));
        if let Err(error) = written {
            self.exit = self.exit.max(self.ui.fail(&error));
            self.ui
                .note(format_args!("this is what it should hold:\n{text}"));
        }
        path
    }

    fn keep(&mut self, found: Found) -> Result<(), Error> {
        self.failures += 1;
        let document = Document::of(found.scenario);
        let path = self.save(found.number, &document.print());
        let path = path.display().to_string();
        let report = tell::report(&found.failure, &document, &path, self.ui);
        if self.failures <= REPORTS_MAX {
            self.ui.say(format_args!("{}", report.render()))?;
        } else {
            let what = report.identities.join(", ");
            self.ui.say(format_args!("{path}: {what}"))?;
        }
        self.ui.emit(&Record::Failure(Box::new(json::Case {
            case: Some(found.number),
            position: None,
            failure: json::Failure::from(report),
        })))
    }
}

impl Watcher for Keeper<'_> {
    fn found(&mut self, found: Found) -> Result<bool, Error> {
        let progress = self.progress.clone();
        progress.suspend(|| self.keep(found))?;
        Ok(self.failures < FAILURES_MAX)
    }

    fn progress(&mut self, cases: u64) {
        self.progress.show(cases, self.ui);
    }
}

#[cfg(test)]
mod tests;
