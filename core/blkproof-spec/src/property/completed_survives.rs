//! A backup whose success was reported before power was lost still restores exactly.
//!
//! Checked: over every live restore point after each loss of power, and at every look at one from
//! then on; and over the target's device, where it has a volatile cache, when success is reported.

pub(super) const SENTENCE: &str =
    "A backup whose success was reported before power was lost still restores exactly.";

pub(super) const WHEN: &str = "Over every live restore point after each loss of power, and at \
    every look at one from then on; over the target's device, where it has a volatile cache, when \
    success is reported.";

use super::Property;
use crate::model::{About, Fact, Judgement, Violation};
use crate::name::ImageName;
use crate::units::ByteRange;

/// Reports wrong contents of a restore point that was complete when power was lost.
pub(crate) fn check(found: &Violation, outlived: bool, out: &mut Judgement) {
    if outlived && !found.mismatches.is_empty() {
        out.violations.push(Violation {
            property: Property::CompletedSurvives,
            ..found.clone()
        });
    }
}

/// Reports a restore point whose images cannot be found after a loss of power.
pub(crate) fn lost(image: &ImageName, out: &mut Judgement) {
    out.violations.push(Violation::new(
        Property::CompletedSurvives,
        About::Image(image.clone()),
        "chain",
        Fact::Text("every image of it"),
        Fact::Text("an image missing"),
    ));
}

/// Reports bytes of a target that were not durable when its job said that it had succeeded.
pub(crate) fn volatile(target: &ImageName, bytes: Vec<ByteRange>, out: &mut Judgement) {
    out.violations.push(Violation::new(
        Property::CompletedSurvives,
        About::Image(target.clone()),
        "bytes that were written and not flushed when the job reported success",
        Fact::Nothing,
        Fact::Ranges(bytes),
    ));
}
