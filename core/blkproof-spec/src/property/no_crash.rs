//! No step panics, hangs or exceeds its bound of work without a reason.
//!
//! Checked: at every step.

pub(super) const SENTENCE: &str =
    "No step panics, hangs or exceeds its bound of work without a reason.";

pub(super) const WHEN: &str = "At every step.";
