//! What is wrong with a configuration file, and where.

use core::fmt;

/// The largest file that is read, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// What is wrong with a configuration file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct IniError {
    /// The line, counted from 1.
    pub line: u64,
    /// The column in characters, counted from 1.
    pub column: u64,
    /// What is wrong there.
    pub problem: IniProblem,
}

/// What can be wrong with a configuration file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum IniProblem {
    /// The file is larger than 1 MiB.
    TooLarge,
    /// Something stands where something else must.
    Unexpected {
        /// What stands there.
        found: Box<str>,
        /// What must stand there.
        expected: &'static str,
    },
    /// A value stands before the first group.
    NoGroup,
    /// There is no such group.
    UnknownGroup {
        /// Its name.
        found: Box<str>,
        /// The nearest known name.
        nearest: Option<&'static str>,
    },
    /// There is no such key in this group.
    UnknownKey {
        /// The group.
        group: Box<str>,
        /// The key.
        found: Box<str>,
        /// The nearest known key.
        nearest: Option<&'static str>,
    },
    /// A value is not one that its key can have.
    BadValue {
        /// The value.
        found: Box<str>,
        /// What it can be.
        expected: &'static str,
        /// The nearest value that it can be.
        nearest: Option<&'static str>,
    },
    /// Two groups of a kind have the same id.
    DuplicateId {
        /// The groups.
        group: Box<str>,
        /// The id.
        found: Box<str>,
    },
    /// A rule says no event.
    MissingEvent {
        /// The rule's group.
        group: Box<str>,
    },
}

/// Refuses a file that is too large to be one of rules.
pub(super) fn bounded(input: &[u8]) -> Result<(), IniError> {
    if input.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(IniError {
        line: 1,
        column: 1,
        problem: IniProblem::TooLarge,
    })
}

/// Returns the known word that a typing error may have made `found` of.
pub(super) fn nearest(
    found: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    // Comparing takes time with the product of the lengths.
    if found.len() > 64 {
        return None;
    }
    known
        .map(|word| (strsim::damerau_levenshtein(found, word), word))
        .filter(|(distance, word)| *distance <= word.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

impl fmt::Display for IniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.problem
        )
    }
}

impl fmt::Display for IniProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the file is larger than 1 MiB"),
            Self::Unexpected { found, expected } if found.is_empty() => {
                write!(f, "expected {expected}, found the end of the line")
            }
            Self::Unexpected { found, expected } => {
                write!(f, "expected {expected}, found {:?}", Short(found))
            }
            Self::NoGroup => f.write_str("a value stands before the first group"),
            Self::UnknownGroup { found, nearest } => {
                write!(f, "there is no group {:?}", Short(found))?;
                suggest(f, *nearest)
            }
            Self::UnknownKey {
                group,
                found,
                nearest,
            } => {
                write!(f, "group '{group}' has no key {:?}", Short(found))?;
                suggest(f, *nearest)
            }
            Self::BadValue {
                found,
                expected,
                nearest,
            } => {
                write!(f, "expected {expected}, found {:?}", Short(found))?;
                suggest(f, *nearest)
            }
            Self::DuplicateId { group, found } => {
                write!(f, "another {group} rule has the id {:?}", Short(found))
            }
            Self::MissingEvent { group } => write!(f, "this {group} rule has no event"),
        }
    }
}

fn suggest(f: &mut fmt::Formatter<'_>, nearest: Option<&str>) -> fmt::Result {
    match nearest {
        Some(word) => write!(f, "; did you mean '{word}'?"),
        None => Ok(()),
    }
}

/// A text that is cut where it is too long to be shown.
struct Short<'a>(&'a str);

impl fmt::Debug for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 60;
        match self.0.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

impl core::error::Error for IniError {}
