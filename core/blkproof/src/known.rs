//! Known findings: what is masked, so that a campaign looks behind it.
//!
//! A bug that is known and not repaired yet fails nearly every scenario, and hides all others. A
//! file names such findings, one a line, as reports name them; lines that begin with `#` say why:
//!
//! ```text
//! # Our issue 12: a write that ends within a block leaves that block clean.
//! restore-exact at check
//! # Our issue 15.
//! no-crash at backup: index out of bounds
//! fault-surfaces
//! ```
//!
//! First the property (or `expectation`, `subject`); then, behind `at`, the kind of the step, where
//! only that one is meant; then, behind a colon, a part of what the report says of it, such as the
//! text of a panic or the name of an image; or several parts in their order, with ` ... ` for
//! whatever stands between them.
//!
//! What is masked is counted ([`Sightings`]) and takes nothing away from what else fails in the
//! same step. A scenario that shows nothing but known findings is judged once more without the step
//! that showed them ([`behind`]). A finding that no longer shows is told
//! ([`Sightings::unseen`]): its line can go.
//!
//! The list knows only names: another level that has findings of its own reads its files with its
//! own [`Words`], and asks [`Known::position`].

use core::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use blkproof_spec::{Property, Scenario};

use crate::outcome::{Failure, Finding, NotJudged, Outcome};
use crate::shrink::{failing, links::Links, without};

/// How often a scenario is judged once more, behind a known finding.
const BEHIND_MAX: u32 = 8;

/// The longest file that is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// The words that a list of known findings may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Words<'a> {
    /// What can be found: names of properties, and the like.
    pub whats: &'a [&'a str],
    /// Where it can be found: kinds of steps, and the like.
    pub kinds: &'a [&'a str],
}

impl<'a> Words<'a> {
    /// Makes the words of a level that has findings of its own.
    #[must_use]
    pub const fn new(whats: &'a [&'a str], kinds: &'a [&'a str]) -> Self {
        Self { whats, kinds }
    }
}

/// The kinds of steps, and the moments that are none.
const KINDS: [&str; 43] = [
    "preparing",
    "opening",
    "cleanup",
    "end",
    "write",
    "write-zeroes",
    "discard",
    "read",
    "flush",
    "start",
    "settle",
    "resize",
    "bitmap add",
    "bitmap remove",
    "bitmap clear",
    "bitmap enable",
    "bitmap disable",
    "bitmap merge",
    "create",
    "rebase",
    "remove",
    "backup",
    "job pause",
    "job resume",
    "job cancel",
    "job complete",
    "job finalize",
    "job dismiss",
    "job set-speed",
    "advance",
    "advance-request",
    "finish",
    "transaction",
    "tick",
    "fault",
    "lift",
    "lift-all",
    "wait-for",
    "resume",
    "restart",
    "kill",
    "power-cut",
    "check",
];

/// A known finding.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct KnownFinding {
    /// The line of the list that names it, counted from 1.
    pub line: u32,
    /// What does not hold: a property's name, `expectation` or `subject`.
    pub what: Box<str>,
    /// The kind of the step; any, where there is none.
    pub kind: Option<Box<str>>,
    /// A part of what is said of it; anything, where there is none. For ` ... ` stands anything.
    pub part: Option<Box<str>>,
}

impl KnownFinding {
    /// Tells whether it is about what is said.
    fn covers(&self, said: &str) -> bool {
        let Some(part) = self.part.as_deref() else {
            return true;
        };
        let mut rest = said;
        part.split(" ... ")
            .all(|piece| match rest.split_once(piece) {
                Some((_, behind)) => {
                    rest = behind;
                    true
                }
                None => false,
            })
    }
}

impl fmt::Display for KnownFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(kind) = &self.kind {
            write!(f, " at {kind}")?;
        }
        match &self.part {
            Some(part) => write!(f, ": {part}"),
            None => Ok(()),
        }
    }
}

/// A list of known findings.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Known {
    findings: Vec<KnownFinding>,
}

impl Known {
    /// Reads a list from its text.
    ///
    /// # Errors
    ///
    /// Where a line names nothing that can be found, with the line and what was expected.
    ///
    /// ```
    /// use blkproof::known::Known;
    ///
    /// let known = Known::parse("# Our issue 12.\nrestore-exact at check\n")?;
    /// assert_eq!(known.findings()[0].to_string(), "restore-exact at check");
    ///
    /// let error = Known::parse("restore-exat at check").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "line 1: nothing is called `restore-exat`; did you mean `restore-exact`?"
    /// );
    /// # Ok::<(), blkproof::known::KnownError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, KnownError> {
        let properties = Property::ALL.iter().map(|property| property.name());
        let whats: Vec<&str> = properties.chain(["expectation", "subject"]).collect();
        Self::parse_with(text, Words::new(&whats, &KINDS))
    }

    /// Reads a list of another level, with the words of that one.
    ///
    /// # Errors
    ///
    /// As with [`Known::parse`].
    pub fn parse_with(text: &str, words: Words<'_>) -> Result<Self, KnownError> {
        let mut findings = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let finding = finding(line, text, words);
            findings.push(finding.map_err(|message| KnownError::Line { line, message })?);
        }
        Ok(Self { findings })
    }

    /// Reads a list from a file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, and as with [`Known::parse`].
    pub fn load(path: &Path) -> Result<Self, KnownError> {
        let unreadable = |source| KnownError::Unreadable {
            path: path.to_owned(),
            source,
        };
        Self::parse(&read(path).map_err(unreadable)?)
    }

    /// Returns what is known, in the order of the lines.
    #[must_use]
    pub fn findings(&self) -> &[KnownFinding] {
        &self.findings
    }

    /// Adds what another list knows, behind what this one does.
    pub fn extend(&mut self, other: Self) {
        self.findings.extend(other.findings);
    }

    /// Returns the position in the list of the first entry that means this: `what` does not hold at
    /// a step of this `kind`, and `said` is what is said of it.
    #[must_use]
    pub fn position(&self, what: &str, kind: &str, said: &str) -> Option<usize> {
        self.findings.iter().position(|known| {
            *known.what == *what
                && known.kind.as_deref().is_none_or(|known| known == kind)
                && known.covers(said)
        })
    }

    /// Has `judge` judge a scenario; where nothing but known findings shows, once more behind those
    /// ([`behind`]), a few times. Returns the scenario that was judged last with what came of it:
    /// its failure has nothing that is known.
    pub fn look_behind(
        &self,
        mut scenario: Scenario,
        sightings: &mut Sightings,
        judge: &mut dyn FnMut(&Scenario) -> Outcome,
    ) -> (Scenario, Outcome) {
        let mut times = 0;
        loop {
            let outcome = judge(&scenario);
            if self.findings.is_empty() {
                return (scenario, outcome);
            }
            let further = match &outcome {
                Outcome::Failed(failure) if times < BEHIND_MAX => behind(&scenario, failure),
                _ => None,
            };
            let outcome = self.mask(outcome, sightings);
            match further {
                Some(further) if matches!(outcome, Outcome::NotJudged(NotJudged::Known, _)) => {
                    scenario = further;
                    times += 1;
                }
                _ => return (scenario, outcome),
            }
        }
    }

    /// Takes what is known out of an outcome, and counts it. A failure of which nothing is left
    /// counts for nothing ([`NotJudged::Known`]).
    #[must_use]
    pub fn mask(&self, outcome: Outcome, sightings: &mut Sightings) -> Outcome {
        let Outcome::Failed(mut failure) = outcome else {
            return outcome;
        };
        if self.findings.is_empty() {
            return Outcome::Failed(failure);
        }
        let kind = failure.step_kind;
        failure.findings.retain(|finding| {
            let known = self.position(finding.name(), kind, &said(finding));
            known.inspect(|index| sightings.note(*index)).is_none()
        });
        if failure.findings.is_empty() {
            return Outcome::NotJudged(NotJudged::Known, failure.counts);
        }
        Outcome::Failed(failure)
    }
}

/// Returns the scenario without the step that failed and what cannot be without that one, to look
/// behind a known finding. `None` where the failure is of no step.
#[must_use]
pub fn behind(scenario: &Scenario, failure: &Failure) -> Option<Scenario> {
    let step = failing(failure, scenario)?;
    let links = Links::of(scenario, &failure.replies);
    let left = without(scenario, &links, None, links.step(step)?);
    (left.steps.len() < scenario.steps.len()).then_some(left)
}

/// How often known findings were seen.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Sightings {
    /// By position in the list; what lies behind the end was never seen.
    counts: Vec<u64>,
}

impl Sightings {
    /// Counts the finding at this position of the list.
    pub fn note(&mut self, position: usize) {
        if self.counts.len() <= position {
            self.counts.resize(position + 1, 0);
        }
        self.counts[position] += 1;
    }

    /// Adds what was seen elsewhere, of the same list.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, other) in self.counts.iter_mut().zip(&other.counts) {
            *count += other;
        }
    }

    /// Returns how often the finding at this position was seen.
    #[must_use]
    pub fn of(&self, position: usize) -> u64 {
        self.counts.get(position).copied().unwrap_or_default()
    }

    /// Returns what is known and was never seen.
    pub fn unseen<'a>(&'a self, known: &'a Known) -> impl Iterator<Item = &'a KnownFinding> {
        let all = known.findings.iter().enumerate();
        all.filter(|(index, _)| self.of(*index) == 0)
            .map(|(_, finding)| finding)
    }
}

/// Why a list of known findings could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum KnownError {
    /// The file could not be read.
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line names nothing that can be found.
    Line {
        /// Which one, counted from 1.
        line: u32,
        /// What is wrong with it, and what was expected.
        message: String,
    },
}

impl fmt::Display for KnownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => {
                write!(f, "cannot read {}: {source}", path.display())
            }
            Self::Line { line, message } => write!(f, "line {line}: {message}"),
        }
    }
}

impl core::error::Error for KnownError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Line { .. } => None,
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > BYTES_MAX {
        let message = format!("it is longer than {BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// Reads a line.
fn finding(line: u32, text: &str, words: Words<'_>) -> Result<KnownFinding, String> {
    let (identity, part) = match text.split_once(':') {
        Some((identity, part)) => (identity.trim(), Some(part.trim())),
        None => (text, None),
    };
    let (what, kind) = match identity.split_once(" at ") {
        Some((what, kind)) => (what.trim(), Some(kind.trim())),
        None => (identity, None),
    };
    if part == Some("") {
        return Err("expected a part of what reports say behind the colon".to_owned());
    }
    of_words("nothing", what, words.whats)?;
    if let Some(kind) = kind {
        of_words("no step", kind, words.kinds)?;
    }
    Ok(KnownFinding {
        line,
        what: what.into(),
        kind: kind.map(Into::into),
        part: part.map(Into::into),
    })
}

/// Makes sure that `word` is one of those that can be meant.
fn of_words(none: &str, word: &str, words: &[&str]) -> Result<(), String> {
    if words.contains(&word) {
        return Ok(());
    }
    let distance = |known: &&&str| strsim::osa_distance(known, word);
    let nearest = words.iter().min_by_key(distance);
    let nearest = nearest.filter(|nearest| distance(nearest) <= 1 + word.len() / 3);
    Err(match nearest {
        Some(nearest) => format!("{none} is called `{word}`; did you mean `{nearest}`?"),
        None => format!("{none} is called `{word}`"),
    })
}

/// Returns what is said of a finding, in the words of the report.
fn said(finding: &Finding) -> String {
    match finding {
        Finding::Violation(found) => {
            let (about, aspect) = (&found.about, found.aspect);
            let (expected, seen) = (&found.expected, &found.seen);
            format!("{about}, {aspect}: expected {expected}, saw {seen}")
        }
        Finding::Expectation {
            aspect,
            expected,
            seen,
        } => format!("the step, {aspect}: expected {expected}, saw {seen}"),
        Finding::Unsound { image, complaints } => {
            let seen = complaints.join("; ");
            format!("image {image}, structure: expected a sound image, saw {seen}")
        }
        Finding::Panic { message } => {
            format!("the subject, answer: expected an answer, saw {message}")
        }
        Finding::Subject { doing, message } => {
            format!("the subject, {doing}: expected success, saw {message}")
        }
    }
}

#[cfg(test)]
mod tests;
