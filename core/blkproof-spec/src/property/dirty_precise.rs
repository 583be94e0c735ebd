//! No granule is reported dirty that nothing dirtied.
//!
//! Checked: whenever a bitmap is reported.

pub(super) const SENTENCE: &str = "No granule is reported dirty that nothing dirtied.";

pub(super) const WHEN: &str = "Whenever a bitmap is reported.";
