//! Scenario files, read and parsed; what is wrong with one is said, and the others still count.

use std::path::{Path, PathBuf};

use blkproof::corpus::{self, CorpusError};
use blkproof::text::{Diagnostics, Document};
use blkproof_spec::StatedOutcome;

use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::ui::Ui;

/// A scenario file.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) document: Document,
}

/// Hands every scenario file below `paths` to `each`, in order. What cannot be read or parsed is
/// reported and left out. Returns the worst outcome.
pub(crate) fn each(
    paths: &[PathBuf],
    ui: &mut Ui,
    mut each: impl FnMut(Loaded, &mut Ui) -> Result<Exit, Error>,
) -> Result<Exit, Error> {
    let mut worst = Exit::Held;
    for path in paths {
        let files = match corpus::files(path) {
            Ok(files) => files,
            Err(error) => {
                worst = worst.max(ui.fail(&error.into()));
                continue;
            }
        };
        for file in files {
            let exit = match load(file, ui)? {
                Ok(loaded) => each(loaded, ui)?,
                Err(exit) => exit,
            };
            worst = worst.max(exit);
        }
    }
    Ok(worst)
}

/// Reads and parses one file, which is no folder; says what is wrong with it.
pub(crate) fn one(path: &Path, ui: &mut Ui) -> Result<Result<Loaded, Exit>, Error> {
    load(path.to_owned(), ui)
}

/// Returns the scenarios below `paths` that can be swept, and the worst outcome of reading them. A
/// scenario of a folder that states a failure fails at every position and proves nothing: it is
/// left out, and that is said. One that is named itself is swept.
pub(crate) fn swept(paths: &[PathBuf], ui: &mut Ui) -> Result<(Vec<Loaded>, Exit), Error> {
    let mut files = Vec::new();
    let worst = each(paths, ui, |file, ui| {
        let fails = file.document.scenario.outcome != StatedOutcome::Pass;
        if fails && !paths.contains(&file.path) {
            let path = file.path.display();
            ui.note(format_args!("{path} states that it fails: left out"));
        } else {
            files.push(file);
        }
        Ok(Exit::Held)
    })?;
    Ok((files, worst))
}

/// Reads and parses a file; says what is wrong with it.
fn load(path: PathBuf, ui: &mut Ui) -> Result<Result<Loaded, Exit>, Error> {
    match corpus::load(&path) {
        Ok(document) => Ok(Ok(Loaded { path, document })),
        Err(CorpusError::Broken {
            path,
            diagnostics,
            rendered,
        }) => {
            ui.note(rendered.trim_end());
            emit(&path, &diagnostics, ui)?;
            Ok(Err(Exit::Input))
        }
        Err(error) => Ok(Err(ui.fail(&error.into()))),
    }
}

fn emit(path: &Path, broken: &Diagnostics, ui: &mut Ui) -> Result<(), Error> {
    let problems = broken.list.iter().map(|found| json::Problem {
        line: found.line,
        column: found.column,
        found: &found.found,
        expected: &found.expected,
        help: found.help.as_deref(),
    });
    ui.emit(&Record::Broken(json::Broken {
        path: &path.display().to_string(),
        problems: problems.collect(),
        more: broken.more,
    }))
}
