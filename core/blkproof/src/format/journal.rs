//! What is under way, written down: for libraries that may take the whole process with them.

use core::fmt;
use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use blkproof_spec::StepNumber;

use super::outcome::{Counts, Disturbance, Failure, Finding, Property};
use super::scenario::Scenario;
use super::text;
use crate::text::Diagnostics;

/// What the first line says while a scenario is under way, in front of the number of the step.
const UNDER_WAY: &str = "# under way, at step ";

/// What it says otherwise.
const NOTHING: &str = "# nothing is under way";

/// How long the first line is, so that it can be written again in its place.
const FIRST_LINE: usize = 40;

/// A file that says which scenario a [`Judge`](super::Judge) is at, and at which step of it.
///
/// A library that aborts its process, or overflows its stack, cannot be judged to the end by
/// anybody in that process. What it was at stands in the journal, for whoever comes next:
///
/// ```
/// use blkproof::format::{Journal, Property, text};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("under-way.format");
/// let scenario = text::parse(b"blkproof-format 1\nimage 1M\nwrite 0 64k stamp\n")?;
///
/// let mut journal = Journal::create(&path)?;
/// journal.begin(&scenario)?;
/// journal.enter(1)?;
/// drop(journal); // The process is gone.
///
/// let left = Journal::left(&path)?.expect("a scenario was under way");
/// assert_eq!(left.scenario, scenario);
/// let failure = left.failure("its process ended: signal: 6 (SIGABRT)");
/// assert_eq!(failure.identity().to_string(), "no-crash at write after nothing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The file is a scenario itself, to be replayed as it stands. It survives the end of a process,
/// not that of the machine: nothing is synced.
#[derive(Debug)]
pub struct Journal {
    file: File,
    /// How much of the file may hold something.
    len: usize,
    text: String,
}

/// What was under way when a process ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Left {
    /// The scenario.
    pub scenario: Scenario,
    /// The number of the step; 0 before the first one, and one more than there are behind the last.
    pub step: u32,
}

impl Journal {
    /// Makes a journal, in which nothing is under way. What the file held is gone.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut journal = Self {
            file: File::create(path)?,
            len: FIRST_LINE,
            text: String::new(),
        };
        journal.end()?;
        Ok(journal)
    }

    /// Writes down that a scenario begins.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn begin(&mut self, scenario: &Scenario) -> io::Result<()> {
        self.text = first_line(&format!("{UNDER_WAY}0"));
        self.text.push_str(&text::print(scenario));
        let len = self.text.len();
        // Empty lines take the place of what the one before left; nothing is ever cut off, so that
        // one write takes the file from one state to the next.
        let left = self.len.saturating_sub(len);
        self.text.extend(core::iter::repeat_n('\n', left));
        self.len = len;
        self.put()
    }

    /// Writes down at which step of the scenario a run is.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn enter(&mut self, step: u32) -> io::Result<()> {
        self.text = first_line(&format!("{UNDER_WAY}{step}"));
        self.put()
    }

    /// Writes down that the scenario came to its end.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn end(&mut self) -> io::Result<()> {
        self.text = first_line(NOTHING);
        self.put()
    }

    fn put(&mut self) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(self.text.as_bytes())
    }

    /// Returns what was under way when whoever wrote a journal ended; `None` where nothing was, or
    /// there is no such file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, or is no journal.
    pub fn left(path: &Path) -> Result<Option<Left>, JournalError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let path = path.to_owned();
                return Err(JournalError::Unreadable { path, source });
            }
        };
        let other = || JournalError::Other(path.to_owned());
        let first = bytes.get(..FIRST_LINE).ok_or_else(other)?;
        let first = String::from_utf8_lossy(first);
        if first.trim_end() == NOTHING {
            return Ok(None);
        }
        let step = first.trim_end().strip_prefix(UNDER_WAY);
        let step = step.and_then(|step| step.parse().ok()).ok_or_else(other)?;
        let scenario = text::parse(&bytes).map_err(|errors| JournalError::Broken {
            path: path.to_owned(),
            errors,
        })?;
        Ok(Some(Left { scenario, step }))
    }
}

fn first_line(text: &str) -> String {
    let width = FIRST_LINE - 1;
    format!("{text:width$}\n")
}

impl Left {
    /// Returns that its process ended, as a failure of the scenario: `seen` says how it ended.
    #[must_use]
    pub fn failure(&self, seen: &str) -> Failure {
        unanswered(
            &self.scenario,
            self.step,
            Property::NoCrash,
            seen.to_owned(),
        )
    }
}

/// Returns the failure of a scenario that never came to its end, with the step that was under way.
pub(super) fn unanswered(
    scenario: &Scenario,
    number: u32,
    property: Property,
    seen: String,
) -> Failure {
    let index = usize::try_from(number)
        .ok()
        .and_then(|at| at.checked_sub(1));
    let at = index.map(|index| scenario.steps.get(index));
    let answers = at.map(|_| (StepNumber(number), "no answer".to_owned()));
    Failure {
        step: at.flatten().map(|_| StepNumber(number)),
        step_kind: match at {
            None => "opening",
            Some(Some(step)) => step.action.keyword(),
            Some(None) => "end",
        },
        after: Disturbance::Nothing,
        findings: vec![Finding {
            property,
            seen,
            wrong: Vec::new(),
        }],
        answers: answers.into_iter().collect(),
        counts: Counts::default(),
    }
}

/// Why a journal could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// The file could not be read.
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no journal.
    Other(PathBuf),
    /// The scenario in it cannot be read.
    Broken {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        errors: Diagnostics,
    },
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => {
                write!(f, "cannot read {}: {source}", path.display())
            }
            Self::Other(path) => write!(f, "{} is no journal", path.display()),
            Self::Broken { path, errors } => {
                write!(f, "the scenario in {} is broken: {errors}", path.display())
            }
        }
    }
}

impl core::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Other(_) => None,
            Self::Broken { errors, .. } => Some(errors),
        }
    }
}
