//! A backup, a bitmap command, a transaction never changes what the guest reads, and
//! fails no guest request but one that touches what is still to be copied.
//!
//! Checked: at every failed guest request, over what was written during a job when it
//! ends, and over every disk at the end.

pub(super) const SENTENCE: &str = "A backup, a bitmap command, a transaction never changes what the guest reads, and \
    fails no guest request but one that touches what is still to be copied.";

pub(super) const WHEN: &str = "At every failed guest request, over what was written during a job when it ends, \
    and over every disk at the end.";
