//! After a restart a persistent bitmap has everything dirty that has to be, or it is marked
//! inconsistent and refused. It is never silently short.
//!
//! Checked: when bitmaps are reported after a restart, clean or not, and when one that is
//! inconsistent is asked for.

pub(super) const SENTENCE: &str = "After a restart a persistent bitmap has everything dirty that \
    has to be, or it is marked inconsistent and refused; it is never silently short.";

pub(super) const WHEN: &str = "When bitmaps are reported after a restart, clean or not, and when \
    one that is inconsistent is asked for.";

use super::Property;
use crate::model::{About, Fact, Judgement, Violation};

/// Reports that a bitmap came back short, as `found` says.
pub(crate) fn short(found: &Violation, out: &mut Judgement) {
    out.violations.push(Violation {
        property: Property::BitmapHonest,
        ..found.clone()
    });
}

/// Reports a bitmap that cannot be known and is shown as if it were.
pub(crate) fn shown(about: &About, out: &mut Judgement) {
    out.violations.push(Violation::new(
        Property::BitmapHonest,
        about.clone(),
        "inconsistent",
        Fact::Flag(true),
        Fact::Flag(false),
    ));
}

/// Reports a command that was not refused although it takes a bitmap that cannot be known.
pub(crate) fn trusted(reply: crate::reply::Reply, out: &mut Judgement) {
    let refusal = crate::reply::Reply::Refused(crate::reply::Refusal::BitmapInconsistent);
    out.violations.push(Violation::new(
        Property::BitmapHonest,
        About::Step,
        "reply",
        Fact::Reply(refusal),
        Fact::Reply(reply),
    ));
}
