//! What shrinking and explaining come to, as programs read it.

use serde::Serialize;

use super::Failure;

/// A scenario that was made smaller.
#[derive(Debug, Serialize)]
pub(crate) struct Shrunk<'a> {
    /// The file that was given; the smaller scenario is the `file` of the failure.
    pub(crate) path: &'a str,
    /// The identity that was kept.
    pub(crate) identity: String,
    pub(crate) steps_before: usize,
    pub(crate) steps_after: usize,
    /// How many candidates were run.
    pub(crate) runs: u64,
    /// Whether nothing is left to try.
    pub(crate) complete: bool,
    #[serde(flatten)]
    pub(crate) failure: Failure,
}

/// A failure whose parts were weighed.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    /// The identity by which the failure was known again.
    pub(crate) identity: String,
    /// How many runs that took.
    pub(crate) runs: u64,
    /// The fault rules of the setup, and the steps up to the failure.
    pub(crate) parts: Vec<Part>,
    #[serde(flatten)]
    pub(crate) failure: Failure,
}

/// A step or fault rule that was weighed.
#[derive(Debug, Serialize)]
pub(crate) struct Part {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    pub(crate) what: String,
    /// Whether it installs a fault.
    pub(crate) fault: bool,
    /// `within` the budget of what has to be got over, `by-policy`, or `beyond` it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<&'static str>,
    /// `fails`, `needed`, `irrelevant` or `not-weighed`.
    pub(crate) weight: &'static str,
    /// What happens without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instead: Option<String>,
}
