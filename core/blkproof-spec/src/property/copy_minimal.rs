//! An incremental, bitmap or top backup copies no cluster that is neither dirty nor
//! forced by rounding.
//!
//! Checked: when a job's length is reported, and over the target's allocation when it succeeded, or
//! copied nothing by itself and was cancelled.

pub(super) const SENTENCE: &str = "An incremental, bitmap or top backup copies no cluster that is \
    neither dirty nor forced by rounding.";

pub(super) const WHEN: &str = "When a job's length is reported, and over the target's allocation \
    when it succeeded, or copied nothing by itself and was cancelled.";

use super::{Property, answers_exact};
use crate::model::{About, Fact, Judgement, Violation};
use crate::name::{ImageName, JobName};
use crate::units::ByteRange;

/// Judges a job's length by what it has to copy, at least and at most, in bytes.
pub(crate) fn length(job: &JobName, (least, most): (u64, u64), seen: u64, out: &mut Judgement) {
    out.exercise(Property::CopyMinimal);
    if (least..=most).contains(&seen) {
        return;
    }
    let expected = || {
        if least == most {
            Fact::Bytes(least.into())
        } else {
            Fact::Between(least.into(), most.into())
        }
    };
    let about = About::Job(job.clone());
    let seen_fact = Fact::Bytes(seen.into());
    if seen > most {
        out.violations.push(Violation::new(
            Property::CopyMinimal,
            about.clone(),
            "length",
            expected(),
            seen_fact.clone(),
        ));
    }
    answers_exact::check(about, "length", expected(), seen_fact, out);
}

/// Reports clusters of a target that are allocated and were not to be copied.
pub(crate) fn allocation(image: &ImageName, surplus: Vec<ByteRange>, out: &mut Judgement) {
    if !surplus.is_empty() {
        out.violations.push(Violation::new(
            Property::CopyMinimal,
            About::Image(image.clone()),
            "unallocated clusters",
            Fact::Ranges(surplus),
            Fact::Text("allocated"),
        ));
    }
}
