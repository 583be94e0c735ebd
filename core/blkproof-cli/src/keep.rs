//! Scenarios of sweeps that fail: each is written down first, the first ones are shrunk, then
//! reported.

use core::ops::ControlFlow;
use std::fs;
use std::path::{Path, PathBuf};

use blkproof::Failure;
use blkproof::text::Document;
use blkproof_spec::Scenario;

use crate::args::BugName;
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::json::{self, Record};
use crate::judge::{self, Judge};
use crate::save;
use crate::shrink;
use crate::tell;
use crate::ui::Ui;

/// After so many failures it is enough: more of them say nothing new.
const FAILURES_MAX: u64 = 100;

/// How many failures are shrunk and reported in full; of the others, a line says where they are.
const REPORTS_MAX: u64 = 3;

/// How many candidates are run to shrink one scenario.
const RUNS_MAX: u64 = 300;

/// Keeps scenarios that fail in a folder.
#[derive(Debug)]
pub(crate) struct Keeper<'a> {
    out: &'a Path,
    bugs: &'a [BugName],
    judge: Judge,
    /// What ends the shrinking of a scenario on the way.
    interrupt: Interrupt,
    failures: u64,
    exit: Exit,
}

impl<'a> Keeper<'a> {
    /// Returns a keeper that writes to the folder `out`, which is made when it is needed.
    /// The engine has these seeded bugs.
    pub(crate) fn new(out: &'a Path, bugs: &'a [BugName], interrupt: &Interrupt) -> Self {
        Self {
            out,
            bugs,
            judge: judge::of_bugs(bugs),
            interrupt: interrupt.clone(),
            failures: 0,
            exit: Exit::Held,
        }
    }

    /// Returns the seeded bugs of the engine.
    pub(crate) fn bugs(&self) -> &'a [BugName] {
        self.bugs
    }

    /// Tells whether enough failed.
    pub(crate) fn is_full(&self) -> bool {
        self.failures >= FAILURES_MAX
    }

    /// Writes a scenario down, then reports its failure.
    pub(crate) fn keep(
        &mut self,
        name: &str,
        scenario: Scenario,
        failure: &Failure,
        position: Option<String>,
        ui: &mut Ui,
    ) -> Result<(), Error> {
        self.exit = self.exit.max(Exit::Failed);
        if self.is_full() {
            return Ok(());
        }
        self.failures += 1;
        let document = Document::of(scenario);
        let path = self.out.join(name);
        let written = self.write(&path, &document, ui);
        let reports = self.failures <= REPORTS_MAX;
        let smaller = if reports && written {
            self.shrink(&path, &document, failure, ui)
        } else {
            None
        };
        let whole = path.display().to_string();
        let (shown, report) = match &smaller {
            Some((path, shrunk, failure)) => {
                let path = path.display().to_string();
                let report = tell::report(failure, shrunk, &path, self.bugs, ui);
                (path, report)
            }
            None => {
                let report = tell::report(failure, &document, &whole, self.bugs, ui);
                (whole.clone(), report)
            }
        };
        if reports {
            ui.say(format_args!("{}", report.render()))?;
        } else {
            let what = report.identities.join(", ");
            ui.say(format_args!("{shown}: {what}"))?;
        }
        if let Some((_, shrunk, _)) = &smaller {
            let (from, to) = (document.scenario.steps.len(), shrunk.scenario.steps.len());
            ui.say(format_args!(
                "  shrunk from {from} steps to {to}; the whole scenario: {whole}\n"
            ))?;
        }
        ui.emit(&Record::Failure(Box::new(json::Case {
            whole: smaller.is_some().then_some(whole),
            case: None,
            position,
            failure: json::Failure::from(report),
        })))
    }

    /// Writes a scenario down; prints what cannot be written. Returns whether it was.
    fn write(&mut self, path: &Path, document: &Document, ui: &mut Ui) -> bool {
        let text = document.print();
        let written = fs::create_dir_all(self.out)
            .map_err(Error::unwritable(self.out))
            .and_then(|()| save::replace(path, text.as_bytes()).map_err(Error::unwritable(path)));
        let Err(error) = written else { return true };
        self.exit = self.exit.max(ui.fail(&error));
        ui.note(format_args!("this is what it should hold:\n{text}"));
        false
    }

    /// Makes a scenario smaller that was written down, and writes the smaller one beside it.
    fn shrink(
        &mut self,
        path: &Path,
        document: &Document,
        failure: &Failure,
        ui: &mut Ui,
    ) -> Option<(PathBuf, Document, Box<Failure>)> {
        let keep = blkproof::shrink::identity(failure)?;
        let whole = &document.scenario;
        let mut watch = |_: blkproof::shrink::Progress<'_>| ControlFlow::Continue(());
        let (judge, interrupt) = (&mut self.judge, &self.interrupt);
        let shrunk = shrink::smaller(judge, interrupt, whole, failure, keep, RUNS_MAX, &mut watch);
        if shrunk.scenario == *whole {
            return None;
        }
        let path = shrink::beside(path);
        let document = Document::of(shrunk.scenario);
        self.write(&path, &document, ui)
            .then_some((path, document, shrunk.failure))
    }

    /// Ends the keeping; returns how the program ends.
    pub(crate) fn finish(&self, ui: &mut Ui) -> Exit {
        if self.is_full() {
            ui.note(format_args!("ended early: {FAILURES_MAX} failed"));
        }
        self.exit
    }
}

/// Makes the name of a scenario file of what it is about.
pub(crate) fn file_name(about: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut name: String = about
        .split(|c| !plain(c))
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    name.push_str(".blk");
    name
}
