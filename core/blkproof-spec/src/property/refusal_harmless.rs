//! An illegal command is refused for the documented reason and changes nothing.
//!
//! Checked: at every step that is refused.

pub(super) const SENTENCE: &str =
    "An illegal command is refused for the documented reason and changes nothing.";

pub(super) const WHEN: &str = "At every step that is refused.";

use super::Property;
use crate::model::Refusals;
use crate::model::{About, Fact, Judgement, Violation};
use crate::reply::Reply;

/// Judges the answer to a command that has to be refused.
pub(crate) fn check(why: &Refusals, seen: Reply, out: &mut Judgement) {
    out.exercise(Property::RefusalHarmless);
    let allowed = match seen {
        Reply::Refused(refusal) => why.allow(refusal),
        Reply::Done => why.or_done,
        Reply::Failed(_) | Reply::Pending | Reply::Cut => false,
    };
    if allowed {
        return;
    }
    let expected = why
        .any_of
        .iter()
        .map(|refusal| Reply::Refused(*refusal))
        .collect();
    out.violations.push(Violation::new(
        Property::RefusalHarmless,
        About::Step,
        "reply",
        Fact::OneOf(expected),
        Fact::Reply(seen),
    ));
}

/// Reports what was found changed after a command that was refused.
pub(crate) fn changed(found: &Violation, out: &mut Judgement) {
    out.violations.push(Violation {
        property: Property::RefusalHarmless,
        ..found.clone()
    });
}
