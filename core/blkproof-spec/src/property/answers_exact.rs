//! Without faults on its way, every reply, event, count, length, offset, status and error
//! equals the model's.
//!
//! Checked: at every step.

pub(super) const SENTENCE: &str = "Without faults on its way, every reply, event, count, length, \
    offset, status and error equals the model's.";

pub(super) const WHEN: &str = "At every step.";

use super::{Property, errors_caused};
use crate::model::{About, Fact, Judgement, Violation};
use crate::name::JobName;
use crate::reply::Reply;

/// Reports an aspect that is not as the model has it.
pub(crate) fn check(
    about: About,
    aspect: &'static str,
    expected: Fact,
    seen: Fact,
    out: &mut Judgement,
) {
    out.exercise(Property::AnswersExact);
    if expected != seen {
        out.violations.push(Violation::new(
            Property::AnswersExact,
            about,
            aspect,
            expected,
            seen,
        ));
    }
}

/// Judges how much a job says that it copied, in bytes, by what it must and can have copied.
pub(crate) fn offset(job: &JobName, (least, most): (u64, u64), seen: u64, out: &mut Judgement) {
    if (least..=most).contains(&seen) {
        return;
    }
    let expected = if least == most {
        Fact::Bytes(least.into())
    } else {
        Fact::Between(least.into(), most.into())
    };
    let about = About::Job(job.clone());
    check(about, "offset", expected, Fact::Bytes(seen.into()), out);
}

/// Reports a value that is not the model's; facts are made only where the two differ.
pub(crate) fn same<T: PartialEq>(
    about: &About,
    aspect: &'static str,
    expected: T,
    seen: T,
    fact: impl Fn(T) -> Fact,
    out: &mut Judgement,
) {
    out.exercise(Property::AnswersExact);
    if expected != seen {
        check(about.clone(), aspect, fact(expected), fact(seen), out);
    }
}

/// Reports an answer that nothing explains.
pub(crate) fn reply(about: About, expected: Fact, seen: Reply, out: &mut Judgement) {
    out.exercise(Property::AnswersExact);
    if expected == Fact::Reply(seen) {
        return;
    }
    if matches!(seen, Reply::Refused(_) | Reply::Failed(_)) {
        errors_caused::spurious(about.clone(), "reply", Fact::Reply(seen), out);
    }
    check(about, "reply", expected, Fact::Reply(seen), out);
}
