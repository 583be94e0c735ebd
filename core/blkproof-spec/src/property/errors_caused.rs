//! Every failed reply, job error and pause is explained by an illegal command or by a
//! fault that fired on its behalf, with the same errno on the same side.
//!
//! Checked: at every step.

pub(super) const SENTENCE: &str = "Every failed reply, job error and pause is explained by an \
    illegal command or by a fault that fired on its behalf, with the same errno on the same side.";

pub(super) const WHEN: &str = "At every step.";

use super::Property;
use crate::errno::Errno;
use crate::event::{ErrorAction, Side};
use crate::model::{About, Fact, Judgement, Violation};

/// Judges an error by the errors that faults caused on its behalf.
pub(crate) fn check(
    about: About,
    aspect: &'static str,
    seen: Errno,
    caused: &[Errno],
    out: &mut Judgement,
) {
    out.exercise(Property::ErrorsCaused);
    if !caused.contains(&seen) {
        out.violations.push(Violation::new(
            Property::ErrorsCaused,
            about,
            aspect,
            Fact::Errnos(caused.to_vec()),
            Fact::Errno(seen),
        ));
    }
}

/// Reports a failure that nothing can have caused.
pub(crate) fn spurious(about: About, aspect: &'static str, seen: Fact, out: &mut Judgement) {
    out.exercise(Property::ErrorsCaused);
    out.violations.push(Violation::new(
        Property::ErrorsCaused,
        about,
        aspect,
        Fact::Nothing,
        seen,
    ));
}

/// Judges what a job does about an error of one side.
pub(crate) fn policy(
    about: About,
    side: Side,
    seen: ErrorAction,
    allowed: &[ErrorAction],
    out: &mut Judgement,
) {
    out.exercise(Property::ErrorsCaused);
    if allowed.contains(&seen) {
        return;
    }
    let expected = match allowed.first() {
        Some(action) => Fact::Policy(side, *action),
        None => Fact::Nothing,
    };
    out.violations.push(Violation::new(
        Property::ErrorsCaused,
        about,
        "error",
        expected,
        Fact::Policy(side, seen),
    ));
}
