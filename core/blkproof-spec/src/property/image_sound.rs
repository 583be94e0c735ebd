//! Closed images are structurally valid: no cluster is used twice, no reference count is
//! too low.
//!
//! Checked: over every image that an inspector can look into, at the end.

pub(super) const SENTENCE: &str = "Closed images are structurally valid: no cluster is used twice, no reference count \
    is too low.";

pub(super) const WHEN: &str = "Over every image that an inspector can look into, at the end.";
