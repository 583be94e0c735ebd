//! The same scenario gives the same trace.
//!
//! Checked: when a scenario is run twice.

pub(super) const SENTENCE: &str = "The same scenario gives the same trace.";

pub(super) const WHEN: &str = "When a scenario is run twice.";

use super::Property;
use crate::model::{About, Fact, Violation};

impl Violation {
    /// Returns the violation of a subject whose traces of the same scenario differ.
    #[must_use]
    pub fn not_deterministic(first: &str, second: &str) -> Self {
        Self::new(
            Property::Deterministic,
            About::Step,
            "trace",
            Fact::Message(first.into()),
            Fact::Message(second.into()),
        )
    }
}
