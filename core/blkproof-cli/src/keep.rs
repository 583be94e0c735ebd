//! Scenarios that fail: each is written down first, then reported.

use std::fs;
use std::path::Path;

use blkproof::Failure;
use blkproof::text::Document;
use blkproof_spec::Scenario;

use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::save;
use crate::tell;
use crate::ui::Ui;

/// After so many failures it is enough: more of them say nothing new.
const FAILURES_MAX: u64 = 100;

/// How many failures are reported in full; of the others, a line says where they are.
const REPORTS_MAX: u64 = 3;

/// Keeps scenarios that fail in a folder.
#[derive(Debug)]
pub(crate) struct Keeper<'a> {
    out: &'a Path,
    failures: u64,
    exit: Exit,
}

impl<'a> Keeper<'a> {
    /// Returns a keeper that writes to the folder `out`, which is made when it is needed.
    pub(crate) fn new(out: &'a Path) -> Self {
        Self {
            out,
            failures: 0,
            exit: Exit::Held,
        }
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
        let text = document.print();
        let written = fs::create_dir_all(self.out)
            .map_err(Error::unwritable(self.out))
            .and_then(|()| save::replace(&path, text.as_bytes()).map_err(Error::unwritable(&path)));
        if let Err(error) = written {
            self.exit = self.exit.max(ui.fail(&error));
            ui.note(format_args!("this is what it should hold:\n{text}"));
        }
        let path = path.display().to_string();
        let report = tell::report(failure, &document, &path, ui);
        if self.failures <= REPORTS_MAX {
            ui.say(format_args!("{}", report.render()))?;
        } else {
            let what = report.identities.join(", ");
            ui.say(format_args!("{path}: {what}"))?;
        }
        ui.emit(&Record::Failure(Box::new(json::Case {
            whole: None,
            case: None,
            position,
            failure: json::Failure::from(report),
        })))
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
