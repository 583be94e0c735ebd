//! A job that stops on an error is paused with the documented status, keeps its bitmap
//! busy and its point in time protected, and ends after a resume as if nothing had
//! happened.
//!
//! Checked: while a job is paused by an error, and whenever the target of one that was is compared.

pub(super) const SENTENCE: &str = "A job that stops on an error is paused with the documented \
    status, keeps its bitmap busy and its point in time protected, and ends after a resume as if \
    nothing had happened.";

pub(super) const WHEN: &str = "While a job is paused by an error, and whenever the target of one \
    that was is compared.";

use super::Property;
use crate::model::{About, Fact, Judgement, Violation};
use crate::name::JobName;
use crate::status::{IoStatus, JobState, JobStatus};

/// Judges the report of a job that an error stopped with this status.
pub(crate) fn status(seen: &JobStatus, io_status: IoStatus, out: &mut Judgement) {
    out.exercise(Property::PauseExact);
    let mut judge = |aspect, expected, found| {
        if expected != found {
            out.violations.push(Violation::new(
                Property::PauseExact,
                About::Job(seen.job.clone()),
                aspect,
                expected,
                found,
            ));
        }
    };
    judge(
        "state",
        Fact::State(JobState::Paused),
        Fact::State(seen.state),
    );
    judge(
        "io-status",
        Fact::IoStatus(io_status),
        Fact::IoStatus(seen.io_status),
    );
}

/// Reports wrong contents of the target of a job that an error stopped.
pub(crate) fn contents(found: &Violation, stopped: bool, out: &mut Judgement) {
    if stopped && !found.mismatches.is_empty() {
        out.violations.push(Violation {
            property: Property::PauseExact,
            ..found.clone()
        });
    }
}

/// Reports what is wrong with the bitmap of a job that an error stopped.
pub(crate) fn changed(job: &JobName, found: &Violation, out: &mut Judgement) {
    out.violations.push(Violation {
        property: Property::PauseExact,
        about: About::Job(job.clone()),
        ..found.clone()
    });
}
