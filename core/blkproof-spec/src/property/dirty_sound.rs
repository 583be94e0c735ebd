//! Every granule that has to be dirty is reported dirty.
//!
//! Checked: whenever a bitmap is reported.

pub(super) const SENTENCE: &str = "Every granule that has to be dirty is reported dirty.";

pub(super) const WHEN: &str = "Whenever a bitmap is reported.";

use super::Property;
use crate::model::{About, Fact, Judgement, Violation};
use crate::units::ByteRange;

/// Reports granules that have to be dirty and are not.
pub(crate) fn check(about: &About, missing: Vec<ByteRange>, out: &mut Judgement) {
    out.exercise(Property::DirtySound);
    if !missing.is_empty() {
        out.violations.push(Violation::new(
            Property::DirtySound,
            about.clone(),
            "dirty granules",
            Fact::Ranges(missing),
            Fact::Text("clean"),
        ));
    }
}

/// Reports a count that is too small for the granules that have to be dirty.
pub(crate) fn count(about: &About, least: u64, seen: u64, out: &mut Judgement) {
    out.exercise(Property::DirtySound);
    if seen < least {
        out.violations.push(Violation::new(
            Property::DirtySound,
            about.clone(),
            "count",
            Fact::Bytes(least.into()),
            Fact::Bytes(seen.into()),
        ));
    }
}
