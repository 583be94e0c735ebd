//! What `blkproof corpus` tells programs.

use serde::Serialize;

/// A scenario file that was checked.
#[derive(Debug, Serialize)]
pub(crate) struct Checked<'a> {
    pub(crate) path: &'a str,
    pub(crate) canonical: bool,
    /// Another file that is the same scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) same_as: Option<&'a str>,
}

/// A scenario file, and whether it reaches what shorter ones do not.
#[derive(Debug, Serialize)]
pub(crate) struct Minimised<'a> {
    pub(crate) path: &'a str,
    pub(crate) needed: bool,
    pub(crate) removed: bool,
}

/// An input of a fuzzer that became a scenario file.
#[derive(Debug, Serialize)]
pub(crate) struct Imported<'a> {
    pub(crate) input: &'a str,
    pub(crate) path: &'a str,
    /// `held`, `failed` or `not-judged`; of one that failed, a record of type `failure` follows.
    pub(crate) outcome: &'static str,
}

/// A scenario file that became an input for a fuzzer.
#[derive(Debug, Serialize)]
pub(crate) struct Exported<'a> {
    pub(crate) path: &'a str,
    pub(crate) input: &'a str,
}

/// A case of a campaign.
#[derive(Debug, Serialize)]
pub(crate) struct MadeUp<'a> {
    pub(crate) number: u64,
    /// Its text.
    pub(crate) scenario: &'a str,
}
