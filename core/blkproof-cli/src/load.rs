//! Scenario files, read and parsed; what is wrong with one is said, and the others still count.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use blkproof::text::{Diagnostics, Document, MAX_TEXT};

use crate::error::Error;
use crate::exit::Exit;
use crate::find;
use crate::json::{self, Record};
use crate::ui::Ui;

/// A scenario file.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) text: Vec<u8>,
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
        let files = match find::scenarios(path) {
            Ok(files) => files,
            Err(error) => {
                worst = worst.max(ui.fail(&error));
                continue;
            }
        };
        for file in files {
            let exit = match load(&file, ui)? {
                Ok(loaded) => each(loaded, ui)?,
                Err(exit) => exit,
            };
            worst = worst.max(exit);
        }
    }
    Ok(worst)
}

/// Reads and parses a file; says what is wrong with it.
fn load(path: &Path, ui: &mut Ui) -> Result<Result<Loaded, Exit>, Error> {
    let text = match read(path).map_err(Error::unreadable(path)) {
        Ok(text) => text,
        Err(error) => return Ok(Err(ui.fail(&error))),
    };
    match Document::parse(&text) {
        Ok(document) => Ok(Ok(Loaded {
            path: path.to_owned(),
            text,
            document,
        })),
        Err(diagnostics) => {
            report(path, &text, &diagnostics, ui)?;
            Ok(Err(Exit::Input))
        }
    }
}

/// Reads a file as far as the parser reads one, so that an endless one ends too.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(MAX_TEXT)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut text = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut text)?;
    Ok(text)
}

fn report(path: &Path, text: &[u8], broken: &Diagnostics, ui: &mut Ui) -> Result<(), Error> {
    let shown = path.display().to_string();
    ui.note(broken.render(&shown, text).trim_end());
    let problems = broken.list.iter().map(|found| json::Problem {
        line: found.line,
        column: found.column,
        found: &found.found,
        expected: &found.expected,
        help: found.help.as_deref(),
    });
    ui.emit(&Record::Broken(json::Broken {
        path: &shown,
        problems: problems.collect(),
        more: broken.more,
    }))
}
