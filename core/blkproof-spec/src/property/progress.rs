//! Once all faults are lifted and all jobs ended, a fresh full backup completes and
//! restores exactly; nothing stays stuck, busy or leaked.
//!
//! Checked: at the end.

pub(super) const SENTENCE: &str = "Once all faults are lifted and all jobs ended, a fresh full \
    backup completes and restores exactly; nothing stays stuck, busy or leaked.";

pub(super) const WHEN: &str = "At the end.";

use super::Property;
use crate::model::{About, Fact, Judgement, Violation};
use crate::reply::Reply;

/// Judges a step of the clean-up: it must be done or, for a job that is gone already, refused.
pub(crate) fn step(about: About, done: bool, seen: Reply, out: &mut Judgement) {
    out.exercise(Property::Progress);
    if !done {
        out.violations.push(Violation::new(
            Property::Progress,
            about,
            "reply",
            Fact::Reply(Reply::Done),
            Fact::Reply(seen),
        ));
    }
}

/// Reports something that does not come to an end.
pub(crate) fn stuck(about: About, out: &mut Judgement) {
    out.violations.push(Violation::new(
        Property::Progress,
        about,
        "end",
        Fact::Text("an end"),
        Fact::Text("none, after every command that could bring it"),
    ));
}
