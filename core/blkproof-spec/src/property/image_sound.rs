//! Images are structurally valid when they are closed and after a loss of power: no cluster is used
//! twice, no reference count is too low.
//!
//! Checked: over every image that an inspector can look into, after each loss of power and at the
//! end.

pub(super) const SENTENCE: &str = "Images are structurally valid when they are closed and after a \
    loss of power: no cluster is used twice, no reference count is too low.";

pub(super) const WHEN: &str = "Over every image that an inspector can look into, after each loss \
    of power and at the end.";

use super::Property;
use crate::model::{About, Fact, ImageReport, Judgement, Violation};
use crate::name::ImageName;

/// Judges what an inspector found in an image: damage is never allowed, leaks only after a fault.
pub(crate) fn check(image: &ImageName, report: ImageReport, faulted: bool, out: &mut Judgement) {
    out.exercise(Property::ImageSound);
    let mut judge = |aspect, seen| {
        if seen > 0 {
            out.violations.push(Violation::new(
                Property::ImageSound,
                About::Image(image.clone()),
                aspect,
                Fact::Number(0),
                Fact::Number(seen),
            ));
        }
    };
    judge("corruptions", report.corruptions);
    if !faulted {
        judge("leaked clusters", report.leaks);
    }
}
