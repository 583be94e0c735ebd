//! No granule is reported dirty that nothing dirtied.
//!
//! Checked: whenever a bitmap is reported.

pub(super) const SENTENCE: &str = "No granule is reported dirty that nothing dirtied.";

pub(super) const WHEN: &str = "Whenever a bitmap is reported.";

use super::Property;
use crate::model::{About, Fact, Judgement, Violation};
use crate::units::ByteRange;

/// Reports granules that are dirty and that nothing can have dirtied.
pub(crate) fn check(about: &About, surplus: Vec<ByteRange>, out: &mut Judgement) {
    out.exercise(Property::DirtyPrecise);
    if !surplus.is_empty() {
        out.violations.push(Violation::new(
            Property::DirtyPrecise,
            about.clone(),
            "clean granules",
            Fact::Ranges(surplus),
            Fact::Text("dirty"),
        ));
    }
}

/// Reports a count that is too large for the granules that may be dirty.
pub(crate) fn count(about: &About, most: u64, seen: u64, out: &mut Judgement) {
    out.exercise(Property::DirtyPrecise);
    if seen > most {
        out.violations.push(Violation::new(
            Property::DirtyPrecise,
            about.clone(),
            "count",
            Fact::Bytes(most.into()),
            Fact::Bytes(seen.into()),
        ));
    }
}
