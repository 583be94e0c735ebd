//! The cases that fail: each is written down first, then shrunk, then reported.

use core::ops::ControlFlow;
use std::fs;
use std::path::{Path, PathBuf};

use blkproof::Failure;
use blkproof::text::Document;
use blkproof_spec::Scenario;

use crate::campaign::{Found, Plan, Worth};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::json::{self, Record};
use crate::judge::Judge;
use crate::save;
use crate::shrink;
use crate::tell;
use crate::ui::Ui;

/// How many failures are reported in full; of the others, a line says where they are.
const REPORTS_MAX: u64 = 3;

/// How many candidates are run to shrink one case.
const RUNS_MAX: u64 = 300;

/// Keeps the cases that fail.
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    plan: &'a Plan,
    out: &'a Path,
    interrupt: Interrupt,
    judge: Judge,
    reports: u64,
}

/// A case as it is told: shrunk, where that made it smaller.
struct Told {
    path: PathBuf,
    document: Document,
    failure: Box<Failure>,
}

impl<'a> Keeper<'a> {
    /// Returns a keeper that writes to the folder `out`.
    pub(super) fn new(plan: &'a Plan, out: &'a Path, interrupt: Interrupt) -> Self {
        let mut judge = Judge::with_bugs(plan.bugs());
        judge.mask(plan.known.known().clone());
        Self {
            plan,
            out,
            interrupt,
            judge,
            reports: 0,
        }
    }

    /// Keeps a case: writes it down, shrinks it where it is the first of its way, tells of it.
    /// Returns the name of the file that shows it best, or why it could not be written.
    pub(super) fn keep(
        &mut self,
        found: Found,
        worth: Worth,
        runs_left: &mut u64,
        ui: &mut Ui,
    ) -> Result<Result<String, Error>, Error> {
        let document = Document::of(found.scenario);
        let steps = document.scenario.steps.len();
        let whole = self.out.join(self.plan.file_name(found.number));
        let mut saved = save_or_print(&whole, &document, ui);
        let mut told = Told {
            path: whole.clone(),
            document,
            failure: found.failure,
        };
        if worth == Worth::First
            && saved.is_ok()
            && let Some(smaller) = self.shrink(&told, runs_left)
        {
            saved = save_or_print(&smaller.path, &smaller.document, ui);
            told = smaller;
        }
        self.tell(&told, found.number, &whole, steps, worth, ui)?;
        let name = told.path.file_name().unwrap_or_default();
        Ok(saved.map(|()| name.to_string_lossy().into_owned()))
    }

    /// Shrinks a case that was written down.
    fn shrink(&mut self, whole: &Told, runs_left: &mut u64) -> Option<Told> {
        let keep = blkproof::shrink::identity(&whole.failure)?;
        let runs = RUNS_MAX.min(*runs_left);
        let scenario: &Scenario = &whole.document.scenario;
        let shrunk = shrink::smaller(
            &mut self.judge,
            &self.interrupt,
            scenario,
            &whole.failure,
            keep,
            runs,
            &mut |_| ControlFlow::Continue(()),
        );
        *runs_left -= shrunk.runs;
        (shrunk.scenario != *scenario).then(|| Told {
            path: shrink::beside(&whole.path),
            document: Document::of(shrunk.scenario),
            failure: shrunk.failure,
        })
    }

    fn tell(
        &mut self,
        told: &Told,
        number: u64,
        whole: &Path,
        steps: usize,
        worth: Worth,
        ui: &mut Ui,
    ) -> Result<(), Error> {
        let path = told.path.display().to_string();
        let bugs = &self.plan.bugs;
        let report = tell::report(&told.failure, &told.document, &path, bugs, ui);
        let case = whole.display().to_string();
        if worth == Worth::First && self.reports < REPORTS_MAX {
            self.reports += 1;
            ui.say(format_args!("{}", report.render()))?;
            if path != case {
                let left = told.document.scenario.steps.len();
                let line =
                    format!("  shrunk from {steps} steps to {left}; the whole case: {case}\n");
                ui.say(line)?;
            }
        } else {
            let what = report.identities.join(", ");
            ui.say(format_args!("{path}: {what}"))?;
        }
        ui.emit(&Record::Failure(Box::new(json::Case {
            case: Some(number),
            position: None,
            whole: Some(case),
            failure: json::Failure::from(report),
        })))
    }
}

/// Writes a case down. What cannot be written is printed, so that it is not lost.
fn save_or_print(path: &Path, document: &Document, ui: &mut Ui) -> Result<(), Error> {
    let text = document.print();
    let folder = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(folder)
        .map_err(Error::unwritable(folder))
        .and_then(|()| save::replace(path, text.as_bytes()).map_err(Error::unwritable(path)));
    if written.is_err() {
        let path = path.display();
        ui.note(format_args!("this is what {path} should hold:\n{text}"));
    }
    written
}

#[cfg(test)]
mod tests;
