//! Folders of scenario files, replayed in order, each against the outcome that it states.

use core::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::inspect::Inspector;
use crate::outcome::Outcome;
use crate::run::Runner;
use crate::subject::Subject;
use crate::text::{Diagnostics, Document, MAX_TEXT};

/// What scenario files end in.
pub const EXTENSION: &str = "blk";

/// Why a corpus could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum CorpusError {
    /// A file or folder could not be read.
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder holds no scenario.
    Empty(PathBuf),
    /// A file is no scenario.
    Broken {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        diagnostics: Diagnostics,
        /// The same with excerpts of the file.
        rendered: String,
    },
}

impl fmt::Display for CorpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, .. } => write!(f, "cannot read {}", path.display()),
            Self::Empty(path) => {
                write!(
                    f,
                    "the folder {} holds no scenario (*.{EXTENSION})",
                    path.display()
                )
            }
            Self::Broken { path, .. } => write!(f, "{} is no scenario", path.display()),
        }
    }
}

impl core::error::Error for CorpusError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Empty(_) => None,
            Self::Broken { diagnostics, .. } => Some(diagnostics),
        }
    }
}

/// Returns the scenario files that `path` stands for: itself, or those below it, sorted.
///
/// # Errors
///
/// Where something below it cannot be read, or it is a folder without scenarios.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, CorpusError> {
    let metadata = fs::metadata(path).map_err(|source| unreadable(path, source))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|source| unreadable(&folder, source))? {
            let entry = entry.map_err(|source| unreadable(&folder, source))?;
            let path = entry.path();
            let kind = entry
                .file_type()
                .map_err(|source| unreadable(&path, source))?;
            // Folders behind symbolic links are left alone: they could lead in circles.
            if kind.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == EXTENSION)
            {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        return Err(CorpusError::Empty(path.to_owned()));
    }
    found.sort();
    Ok(found)
}

/// Reads a scenario file.
///
/// # Errors
///
/// Where it cannot be read, or is no scenario.
pub fn load(path: &Path) -> Result<Document, CorpusError> {
    let text = read(path).map_err(|source| unreadable(path, source))?;
    Document::parse(&text).map_err(|diagnostics| CorpusError::Broken {
        path: path.to_owned(),
        rendered: diagnostics.render(&path.display().to_string(), &text),
        diagnostics,
    })
}

/// Reads a file as far as the parser reads one, so that an endless one ends too.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut text)?;
    Ok(text)
}

fn unreadable(path: &Path, source: io::Error) -> CorpusError {
    CorpusError::Unreadable {
        path: path.to_owned(),
        source,
    }
}

/// A scenario replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Replayed {
    /// What came of it.
    pub outcome: Outcome,
    /// Whether that is what the scenario states.
    pub as_stated: bool,
}

/// Replays a scenario in memory, against the outcome that it states.
pub fn replay(
    document: &Document,
    runner: &mut Runner,
    subject: &mut dyn Subject,
    inspector: Option<&mut dyn Inspector>,
) -> Replayed {
    let outcome = runner.run(&document.scenario, subject, inspector);
    Replayed {
        as_stated: outcome.meets(&document.scenario.outcome),
        outcome,
    }
}
