//! The cases that fail: each is written down first, then shrunk, then reported.

use core::ops::ControlFlow;
use std::fs;
use std::path::{Path, PathBuf};

use blkproof::Failure;
use blkproof::text::Document;
use blkproof_spec::Scenario;

use crate::campaign::{Found, Plan, Progress, Watcher};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::judge::Judge;
use crate::save;
use crate::shrink;
use crate::tell;
use crate::ui::Ui;

/// After so many failures a campaign ends: more of them say nothing new.
const FAILURES_MAX: u64 = 100;

/// How many failures are reported in full; of the others, a line says where they are.
const REPORTS_MAX: u64 = 3;

/// How many candidates are run to shrink one case, and all cases of a campaign together.
const RUNS_MAX: (u64, u64) = (300, 3000);

/// Keeps the cases that fail.
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    plan: &'a Plan,
    out: &'a Path,
    progress: Progress,
    ui: &'a mut Ui,
    failures: u64,
    judge: Judge,
    /// How many candidates may still be run.
    runs_left: u64,
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
            judge: Judge::new(),
            runs_left: RUNS_MAX.1,
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
    fn save(&mut self, path: &Path, text: &str) {
        let written = fs::create_dir_all(self.out)
            .map_err(Error::unwritable(self.out))
            .and_then(|()| save::replace(path, text.as_bytes()).map_err(Error::unwritable(path)));
        if let Err(error) = written {
            self.exit = self.exit.max(self.ui.fail(&error));
            self.ui
                .note(format_args!("this is what it should hold:\n{text}"));
        }
    }

    /// Shrinks a case that was written down; what is smaller is written beside it.
    fn shrink(&mut self, whole: &Path, scenario: &Scenario, failure: &Failure) -> Option<Smaller> {
        let keep = blkproof::shrink::identity(failure)?;
        let runs = RUNS_MAX.0.min(self.runs_left);
        let shrunk = shrink::smaller(&mut self.judge, scenario, failure, keep, runs, &mut |_| {
            ControlFlow::Continue(())
        });
        self.runs_left -= shrunk.runs;
        if shrunk.scenario == *scenario {
            return None;
        }
        let path = shrink::beside(whole);
        let document = Document::of(shrunk.scenario);
        self.save(&path, &document.print());
        Some(Smaller {
            path,
            document,
            failure: shrunk.failure,
        })
    }

    fn keep(&mut self, found: Found) -> Result<(), Error> {
        self.failures += 1;
        let document = Document::of(found.scenario);
        let whole = self.out.join(self.plan.file_name(found.number));
        self.save(&whole, &document.print());
        let smaller = self.shrink(&whole, &document.scenario, &found.failure);
        let steps = document.scenario.steps.len();
        let told = smaller.unwrap_or(Smaller {
            path: whole.clone(),
            document,
            failure: found.failure,
        });
        let path = told.path.display().to_string();
        let report = tell::report(&told.failure, &told.document, &path, self.ui);
        let case = whole.display().to_string();
        if self.failures <= REPORTS_MAX {
            self.ui.say(format_args!("{}", report.render()))?;
            if path != case {
                let left = told.document.scenario.steps.len();
                let line =
                    format!("  shrunk from {steps} steps to {left}; the whole case: {case}\n");
                self.ui.say(line)?;
            }
        } else {
            let what = report.identities.join(", ");
            self.ui.say(format_args!("{path}: {what}"))?;
        }
        self.ui.emit(&Record::Failure(Box::new(json::Case {
            case: Some(found.number),
            position: None,
            whole: Some(case),
            failure: json::Failure::from(report),
        })))
    }
}

/// A case as it is told: shrunk, where that made it smaller.
struct Smaller {
    path: PathBuf,
    document: Document,
    failure: Box<Failure>,
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
