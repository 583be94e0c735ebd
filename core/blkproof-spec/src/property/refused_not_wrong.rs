//! A fault may make a command fail, never succeed wrongly; what a subject must get over, a delay or
//! an error under a policy that does not end the job, may not even do that.
//!
//! Checked: whenever contents are compared after a fault fired, and when a job or a request fails.
//!
//! The budget, within which a refusal is a bug too: requests that are delayed or suspended, and
//! errors of the policies `ignore`, `stop`, and, for a full device, `enospc` and `auto`. A target
//! that cannot be flushed, or written below its format, where a flush writes too, may end a job
//! whatever its policies: what it copied is not safe then. That everything is in full health once
//! the faults are lifted is for `progress`.

pub(super) const SENTENCE: &str = "A fault may make a command fail, never succeed wrongly; what a \
    subject must get over, a delay or an error under a policy that does not end the job, may not \
    even do that.";

pub(super) const WHEN: &str = "Whenever contents are compared after a fault fired, and when a job \
    or a request fails.";

use super::Property;
use crate::errno::Errno;
use crate::model::{About, Fact, Judgement, Violation};

/// Reports a failure though every fault that can have led to it had to be got over.
pub(crate) fn refused(about: About, aspect: &'static str, seen: Errno, out: &mut Judgement) {
    out.violations.push(Violation::new(
        Property::RefusedNotWrong,
        about,
        aspect,
        Fact::Text("no failure: all that it met has to be got over"),
        Fact::Errno(seen),
    ));
}

/// Reports wrong contents once more where a fault fired before.
pub(crate) fn check(found: &Violation, faulted: bool, out: &mut Judgement) {
    if faulted {
        out.violations.push(Violation {
            property: Property::RefusedNotWrong,
            ..found.clone()
        });
    }
}
