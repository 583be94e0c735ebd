//! A refused transaction changes nothing observable, and a group of jobs succeeds or
//! fails as one.
//!
//! Checked: at every transaction, and when a job of a group ends.

pub(super) const SENTENCE: &str = "A refused transaction changes nothing observable, and a group \
    of jobs succeeds or fails as one.";

pub(super) const WHEN: &str = "At every transaction, and when a job of a group ends.";

use super::Property;
use crate::model::{About, Fact, Judgement, Violation};
use crate::name::JobName;
use crate::status::JobEnd;

/// Reports what was found changed after a transaction that was refused.
pub(crate) fn changed(found: &Violation, out: &mut Judgement) {
    out.violations.push(Violation {
        property: Property::TransactionAtomic,
        ..found.clone()
    });
}

/// Judges how a job of a group ended by how another one did.
pub(crate) fn ends(job: &JobName, seen: JobEnd, other: JobEnd, out: &mut Judgement) {
    out.exercise(Property::TransactionAtomic);
    let well = |end| end == JobEnd::Success;
    if well(seen) != well(other) {
        let expected = if well(other) {
            other
        } else {
            JobEnd::Cancelled
        };
        out.violations.push(Violation::new(
            Property::TransactionAtomic,
            About::Job(job.clone()),
            "end",
            Fact::End(Some(expected)),
            Fact::End(Some(seen)),
        ));
    }
}

/// Reports a job of a group that goes on although another one ended like this.
pub(crate) fn goes_on(job: &JobName, other: JobEnd, out: &mut Judgement) {
    let expected = match other {
        JobEnd::Success => JobEnd::Success,
        JobEnd::Failed(_) | JobEnd::Cancelled => JobEnd::Cancelled,
    };
    out.violations.push(Violation::new(
        Property::TransactionAtomic,
        About::Job(job.clone()),
        "end",
        Fact::End(Some(expected)),
        Fact::End(None),
    ));
}
