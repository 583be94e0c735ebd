//! A read returns, sector by sector, a value that the guest may see there.
//!
//! Checked: at every guest read, and over every disk at the end.

pub(super) const SENTENCE: &str =
    "A read returns, sector by sector, a value that the guest may see there.";

pub(super) const WHEN: &str = "At every guest read, and over every disk at the end.";

use super::{Property, refused_not_wrong};
use crate::model::{About, Fact, Judgement, Mismatch, Violation};

/// Reports what a guest read got wrong.
pub(crate) fn check(about: About, found: Vec<Mismatch>, faulted: bool, out: &mut Judgement) {
    if found.is_empty() {
        return;
    }
    let violation = Violation {
        mismatches: found,
        ..Violation::new(
            Property::GuestReadsWrites,
            about,
            "contents",
            Fact::Contents,
            Fact::Contents,
        )
    };
    refused_not_wrong::check(&violation, faulted, out);
    out.violations.push(violation);
}
