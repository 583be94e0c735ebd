//! After a job that reported success its target holds the frozen contents where it had to
//! copy and is untouched elsewhere; with a base below it, the whole chain equals the
//! frozen contents.
//!
//! Checked: when a job reports success, and at the end.

pub(super) const SENTENCE: &str = "After a job that reported success its target holds the frozen contents where it \
    had to copy and is untouched elsewhere; with a base below it, the whole chain \
    equals the frozen contents.";

pub(super) const WHEN: &str = "When a job reports success, and at the end.";
