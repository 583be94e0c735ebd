//! After a loss of power, a sector that was flushed since its last write reads as then; one that
//! was not holds what was durable or something written since; a size or a backing file that was
//! reported is there.
//!
//! Checked: over every disk after each loss of power, and at every look at one from then on.

pub(super) const SENTENCE: &str = "After a loss of power, a sector that was flushed since its last \
    write reads as then; one that was not holds what was durable or something written since; a \
    size or a backing file that was reported is there.";

pub(super) const WHEN: &str =
    "Over every disk after each loss of power, and at every look at one from then on.";

use super::Property;
use crate::model::{About, Fact, Judgement, Violation};
use crate::name::ImageName;
use crate::units::Length;

/// Reports wrong contents of a disk of which power was lost.
pub(crate) fn check(found: &Violation, losses: u32, out: &mut Judgement) {
    if losses > 0 {
        out.exercise(Property::FlushedSurvives);
    }
    if losses > 0 && !found.mismatches.is_empty() {
        out.violations.push(Violation {
            property: Property::FlushedSurvives,
            ..found.clone()
        });
    }
}

/// Reports a disk that a loss of power left smaller than it was reported to be.
pub(crate) fn smaller(disk: &ImageName, size: Length, out: &mut Judgement) {
    out.violations.push(Violation::new(
        Property::FlushedSurvives,
        About::Disk(disk.clone()),
        "size",
        Fact::Bytes(size),
        Fact::Text("less"),
    ));
}

/// Reports an image that a loss of power left on another backing file than was reported.
pub(crate) fn rebased_in_vain(
    image: &ImageName,
    expected: Option<&ImageName>,
    seen: Option<&ImageName>,
    out: &mut Judgement,
) {
    let fact = |name: Option<&ImageName>| match name {
        Some(name) => Fact::Message(name.as_str().into()),
        None => Fact::Nothing,
    };
    out.violations.push(Violation::new(
        Property::FlushedSurvives,
        About::Image(image.clone()),
        "backing file",
        fact(expected),
        fact(seen),
    ));
}
