//! After a job that reported success its target holds the frozen contents where it had to
//! copy and is untouched elsewhere; with a base below it, the whole chain equals the
//! frozen contents.
//!
//! Checked: when a job reports success, when one that copies nothing by itself is cancelled, and at
//! the end.

pub(super) const SENTENCE: &str = "After a job that reported success its target holds the frozen \
    contents where it had to copy and is untouched elsewhere; with a base below it, the whole \
    chain equals the frozen contents.";

pub(super) const WHEN: &str = "When a job reports success, when one that copies nothing by \
    itself is cancelled, and at the end.";

use super::{Property, point_in_time, refused_not_wrong};
use crate::model::{Judgement, Mismatch, Violation};
use crate::step::StepNumber;

/// Reports wrong contents of a target or of what was frozen for it, and every other property that
/// they break.
pub(crate) fn check(
    found: Violation,
    frozen: Option<(StepNumber, bool)>,
    is_now: impl Fn(&Mismatch) -> bool,
    faulted: bool,
    out: &mut Judgement,
) {
    if found.mismatches.is_empty() {
        return;
    }
    if let Some((step, shared)) = frozen {
        point_in_time::check(&found, step, shared, is_now, out);
    }
    refused_not_wrong::check(&found, faulted, out);
    if found.property != Property::RestoreExact && frozen.is_some() {
        out.violations.push(Violation {
            property: Property::RestoreExact,
            ..found.clone()
        });
    }
    out.violations.push(found);
}
