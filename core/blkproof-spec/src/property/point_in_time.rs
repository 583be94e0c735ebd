//! Guest writes after a job, or its transaction, was accepted never show in its target.
//!
//! Checked: whenever a job's target is compared.

pub(super) const SENTENCE: &str = "Guest writes after a job, or its transaction, was accepted \
    never show in its target.";

pub(super) const WHEN: &str = "Whenever a job's target is compared.";

use super::{Property, one_moment};
use crate::content::WriteNumber;
use crate::model::{Fact, Held, Judgement, Mismatch, Violation};
use crate::step::StepNumber;

/// Reports mismatches that hold what was written after the point in time, of which `is_now` tells
/// by the disk's contents where no stamp does.
pub(crate) fn check(
    found: &Violation,
    frozen_at: StepNumber,
    shared: bool,
    is_now: impl Fn(&Mismatch) -> bool,
    out: &mut Judgement,
) {
    let later: Vec<_> = found
        .mismatches
        .iter()
        .filter(|mismatch| match mismatch.held {
            Held::Stamp(stamp) => stamp.write > WriteNumber(frozen_at.0),
            Held::Fill(_) => is_now(mismatch),
            Held::Other => false,
        })
        .cloned()
        .collect();
    if later.is_empty() {
        return;
    }
    let violation = Violation {
        mismatches: later,
        has_more: found.has_more,
        ..Violation::new(
            Property::PointInTime,
            found.about.clone(),
            "contents",
            Fact::Contents,
            Fact::Contents,
        )
    };
    if shared {
        one_moment::check(&violation, out);
    }
    out.violations.push(violation);
}
