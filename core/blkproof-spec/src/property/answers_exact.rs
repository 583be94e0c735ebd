//! Without faults on its way, every reply, event, count, length, offset, status and error
//! equals the model's.
//!
//! Checked: at every step.

pub(super) const SENTENCE: &str = "Without faults on its way, every reply, event, count, length, offset, status and \
    error equals the model's.";

pub(super) const WHEN: &str = "At every step.";
