//! An illegal command is refused for the documented reason and changes nothing.
//!
//! Checked: at every step that is refused.

pub(super) const SENTENCE: &str =
    "An illegal command is refused for the documented reason and changes nothing.";

pub(super) const WHEN: &str = "At every step that is refused.";
