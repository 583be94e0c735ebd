//! A subject does not refuse as unsupported what it claims to be able to do, and does nothing that
//! it does not claim.
//!
//! Checked: at every step.

pub(super) const SENTENCE: &str = "A subject does not refuse as unsupported what it claims to be \
    able to do, and does nothing that it does not claim.";

pub(super) const WHEN: &str = "At every step.";

use super::Property;
use crate::capabilities::Capabilities;
use crate::model::{About, Fact, Judgement, Violation};
use crate::reply::{Refusal, Reply};
use crate::step::Action;

/// Reports a step that was done though the subject does not claim it. Returns whether it was: then
/// there is nothing else to be said of it.
pub(crate) fn unclaimed(
    can: &Capabilities,
    step: &Action,
    reply: Reply,
    out: &mut Judgement,
) -> bool {
    // Rules are the store's: a subject without layers above its formats is told of them too.
    if reply != Reply::Done || matches!(step, Action::Install(_)) {
        return false;
    }
    out.exercise(Property::ClaimsTrue);
    let Some(name) = can.lacking(step) else {
        return false;
    };
    let expected = format!("refused(unsupported), since it does not claim `{name}`");
    report(expected, reply, out);
    true
}

/// Says of a step that was refused as unsupported, and should not have been, that the subject
/// claims it; `before` violations were found before this step.
pub(crate) fn claimed(step: &Action, reply: Reply, before: usize, out: &mut Judgement) {
    let unsupported = Reply::Refused(Refusal::Unsupported);
    let found = &out.violations[before..];
    let blamed = |violation: &Violation| violation.seen == Fact::Reply(unsupported);
    if reply == unsupported
        && found.iter().any(blamed)
        && let Some(name) = Capabilities::NOTHING.lacking(step)
    {
        out.violations.truncate(before);
        let expected = format!("another answer, since it claims `{name}`");
        report(expected, reply, out);
    }
}

fn report(expected: String, reply: Reply, out: &mut Judgement) {
    out.violations.push(Violation::new(
        Property::ClaimsTrue,
        About::Step,
        "reply",
        Fact::Message(expected.into()),
        Fact::Reply(reply),
    ));
}
