//! A job's states move along allowed edges, it ends once and with the one event that
//! fits, its progress equals its length at success, and nothing of it stays behind.
//!
//! Checked: at every step that reports events or jobs.

pub(super) const SENTENCE: &str = "A job's states move along allowed edges, it ends once and with \
    the one event that fits, its progress equals its length at success, and nothing of it stays \
    behind.";

pub(super) const WHEN: &str = "At every step that reports events or jobs.";

use super::Property;
use crate::model::{About, Fact, Judgement, Violation};
use crate::name::JobName;
use crate::status::JobState;

/// Tells whether a job may go from one state to another; `None` is before it was created.
pub(crate) fn is_edge(from: Option<JobState>, to: JobState) -> bool {
    use JobState::{Aborting, Concluded, Created, Null, Paused, Pending, Running, Waiting};
    match from {
        None => to == Created,
        Some(Created) => matches!(to, Running | Aborting | Null),
        Some(Running) => matches!(to, Paused | Waiting | Aborting),
        Some(Paused) => to == Running,
        Some(Waiting) => matches!(to, Pending | Aborting),
        Some(Pending) => matches!(to, Aborting | Concluded),
        Some(Aborting) => matches!(to, Aborting | Concluded),
        Some(Concluded) => to == Null,
        Some(Null) => false,
    }
}

/// Judges a change of state.
pub(crate) fn edge(job: &JobName, from: Option<JobState>, to: JobState, out: &mut Judgement) {
    out.exercise(Property::JobLifecycle);
    if !is_edge(from, to) {
        let expected = from.map_or(Fact::Nothing, Fact::State);
        violated(job, "state", expected, Fact::State(to), out);
    }
}

/// Reports an aspect of a job's life that is not as it has to be.
pub(crate) fn violated(
    job: &JobName,
    aspect: &'static str,
    expected: Fact,
    seen: Fact,
    out: &mut Judgement,
) {
    out.violations.push(Violation::new(
        Property::JobLifecycle,
        About::Job(job.clone()),
        aspect,
        expected,
        seen,
    ));
}
