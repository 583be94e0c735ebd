//! After a loss of power, a sector that was flushed since its last write reads as then; one that
//! was not holds what was durable or something written since.
//!
//! Checked: over every disk after each loss of power, and at every look at one from then on.

pub(super) const SENTENCE: &str = "After a loss of power, a sector that was flushed since its last \
    write reads as then; one that was not holds what was durable or something written since.";

pub(super) const WHEN: &str =
    "Over every disk after each loss of power, and at every look at one from then on.";

use super::Property;
use crate::model::{Judgement, Violation};

/// Reports wrong contents of a disk of which power was lost.
pub(crate) fn check(found: &Violation, losses: u32, out: &mut Judgement) {
    if losses > 0 && !found.mismatches.is_empty() {
        out.violations.push(Violation {
            property: Property::FlushedSurvives,
            ..found.clone()
        });
    }
}
