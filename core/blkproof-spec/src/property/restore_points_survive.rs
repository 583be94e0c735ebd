//! Every live restore point still restores after every later step.
//!
//! Checked: over every live restore point at the end.

pub(super) const SENTENCE: &str = "Every live restore point still restores after every later step.";

pub(super) const WHEN: &str = "Over every live restore point at the end.";
