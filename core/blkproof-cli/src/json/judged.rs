//! What judging a tool comes to, as programs read it.

use serde::Serialize;

/// A request of a tool that was struck.
#[derive(Debug, Serialize)]
pub(crate) struct Struck<'a> {
    /// Which request, as `--only` takes it.
    pub(crate) position: &'a str,
    /// `failed`, `survived`, `swallowed` or `hung`.
    pub(crate) outcome: &'static str,
    /// How the tool ended; nothing where a signal ended it.
    pub(crate) exit_code: Option<i32>,
    /// Whether the target holds what the source holds.
    pub(crate) equal: bool,
    /// The first byte that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) differs_at: Option<u64>,
}

/// What judging a tool comes to.
#[derive(Debug, Serialize)]
pub(crate) struct ToolJudged {
    pub(crate) positions: u64,
    pub(crate) failed: u64,
    pub(crate) survived: u64,
    pub(crate) swallowed: u64,
    pub(crate) hung: u64,
    /// Whether every position was tried.
    pub(crate) complete: bool,
}
