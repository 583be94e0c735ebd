//! A read returns, sector by sector, a value that the guest may see there.
//!
//! Checked: at every guest read, and over every disk at the end.

pub(super) const SENTENCE: &str =
    "A read returns, sector by sector, a value that the guest may see there.";

pub(super) const WHEN: &str = "At every guest read, and over every disk at the end.";

use super::{Property, refused_not_wrong};
use crate::model::{Judgement, Violation};

/// Reports what a guest read, or would read, got wrong.
pub(crate) fn check(found: Violation, faulted: bool, out: &mut Judgement) {
    out.exercise(Property::GuestReadsWrites);
    if found.mismatches.is_empty() {
        return;
    }
    refused_not_wrong::check(&found, faulted, out);
    out.violations.push(found);
}
