//! An incremental, bitmap or top backup copies no cluster that is neither dirty nor
//! forced by rounding.
//!
//! Checked: when a job's length is reported, and over the target's allocation when it
//! succeeded.

pub(super) const SENTENCE: &str = "An incremental, bitmap or top backup copies no cluster that is neither dirty nor \
    forced by rounding.";

pub(super) const WHEN: &str = "When a job's length is reported, and over the target's allocation when it \
    succeeded.";
