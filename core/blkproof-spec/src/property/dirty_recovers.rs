//! A job gives its bitmap back as its outcome and mode say: everything dirty before or
//! written meanwhile after a failure, just what was written meanwhile after success.
//!
//! Checked: when a job that held a bitmap ends.

pub(super) const SENTENCE: &str = "A job gives its bitmap back as its outcome and mode say: \
    everything dirty before or written meanwhile after a failure, just what was written meanwhile \
    after success.";

pub(super) const WHEN: &str = "When a job that held a bitmap ends.";

use super::Property;
use crate::model::{Judgement, Violation};

/// Reports what is wrong with a bitmap right after a job gave it back.
pub(crate) fn changed(found: &Violation, out: &mut Judgement) {
    out.violations.push(Violation {
        property: Property::DirtyRecovers,
        ..found.clone()
    });
}
