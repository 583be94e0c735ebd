//! Once all faults are lifted and all jobs ended, a fresh full backup completes and
//! restores exactly; nothing stays stuck, busy or leaked.
//!
//! Checked: at the end.

pub(super) const SENTENCE: &str = "Once all faults are lifted and all jobs ended, a fresh full backup completes and \
    restores exactly; nothing stays stuck, busy or leaked.";

pub(super) const WHEN: &str = "At the end.";
