//! The same scenario gives the same trace.
//!
//! Checked: when a scenario is run twice.

pub(super) const SENTENCE: &str = "The same scenario gives the same trace.";

pub(super) const WHEN: &str = "When a scenario is run twice.";
