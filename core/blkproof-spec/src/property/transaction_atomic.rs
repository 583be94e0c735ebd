//! A refused transaction changes nothing observable, and a group of jobs succeeds or
//! fails as one.
//!
//! Checked: at every transaction, and when a job of a group ends.

pub(super) const SENTENCE: &str = "A refused transaction changes nothing observable, and a group of jobs succeeds or \
    fails as one.";

pub(super) const WHEN: &str = "At every transaction, and when a job of a group ends.";
