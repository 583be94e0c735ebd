//! Guest writes after a job, or its transaction, was accepted never show in its target.
//!
//! Checked: whenever a job's target is compared.

pub(super) const SENTENCE: &str = "Guest writes after a job, or its transaction, was accepted never show in its \
    target.";

pub(super) const WHEN: &str = "Whenever a job's target is compared.";
