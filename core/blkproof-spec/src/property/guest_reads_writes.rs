//! A read returns, sector by sector, a value that the guest may see there.
//!
//! Checked: at every guest read, and over every disk at the end.

pub(super) const SENTENCE: &str =
    "A read returns, sector by sector, a value that the guest may see there.";

pub(super) const WHEN: &str = "At every guest read, and over every disk at the end.";
