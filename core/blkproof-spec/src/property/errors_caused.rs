//! Every failed reply, job error and pause is explained by an illegal command or by a
//! fault that fired on its behalf, with the same errno on the same side.
//!
//! Checked: at every step.

pub(super) const SENTENCE: &str = "Every failed reply, job error and pause is explained by an illegal command or by a \
    fault that fired on its behalf, with the same errno on the same side.";

pub(super) const WHEN: &str = "At every step.";
