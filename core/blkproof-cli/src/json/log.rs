//! What `blkproof log` prints for programs.

use serde::Serialize;

/// A scenario of which a write log was made.
#[derive(Debug, Serialize)]
pub(crate) struct LogExported<'a> {
    pub(crate) path: &'a str,
    pub(crate) image: &'a str,
    pub(crate) log: &'a str,
    pub(crate) entries: u64,
    pub(crate) sector: u64,
}

/// A state that a cut in the midst of a write log left, and that is not as it must be.
#[derive(Debug, Serialize)]
pub(crate) struct LogBroken<'a> {
    pub(crate) path: &'a str,
    /// The entry in whose midst power was cut, from 1.
    pub(crate) entry: u64,
    /// Where it begins in the log.
    pub(crate) offset: u64,
    /// The cut, as in a scenario.
    pub(crate) cut: &'a str,
    pub(crate) problems: &'a [String],
    /// The file that holds what is left.
    pub(crate) image: &'a str,
}

/// A write log of which every loss of power was tried.
#[derive(Debug, Serialize)]
pub(crate) struct LogSwept<'a> {
    pub(crate) path: &'a str,
    pub(crate) entries: u64,
    /// The operations in whose midst power was cut.
    pub(crate) positions: u64,
    /// Those before there was an image.
    pub(crate) before: u64,
    /// The cuts: at each position one for each policy.
    pub(crate) cuts: u64,
    /// How many different states they left.
    pub(crate) states: u64,
    pub(crate) held: u64,
    pub(crate) failed: u64,
    /// Whether no cut was left out.
    pub(crate) complete: bool,
}
