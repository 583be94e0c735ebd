//! Every injected error that met the subject's data path shows in some reply, event or
//! job error.
//!
//! Checked: when a request or a job ends.

pub(super) const SENTENCE: &str = "Every injected error that met the subject's data path shows in some reply, event \
    or job error.";

pub(super) const WHEN: &str = "When a request or a job ends.";
