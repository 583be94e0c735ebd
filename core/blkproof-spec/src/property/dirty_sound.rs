//! Every granule that has to be dirty is reported dirty.
//!
//! Checked: whenever a bitmap is reported.

pub(super) const SENTENCE: &str = "Every granule that has to be dirty is reported dirty.";

pub(super) const WHEN: &str = "Whenever a bitmap is reported.";
