//! No step panics, hangs or exceeds its bound of work without a reason.
//!
//! Checked: at every step.

pub(super) const SENTENCE: &str =
    "No step panics, hangs or exceeds its bound of work without a reason.";

pub(super) const WHEN: &str = "At every step.";

use super::Property;
use crate::model::{About, Fact, Judgement, Violation};
use crate::reply::Reply;

/// Reports a step that did not come to its end without a reason to wait.
pub(crate) fn hang(about: About, out: &mut Judgement) {
    out.violations.push(Violation::new(
        Property::NoCrash,
        about,
        "reply",
        Fact::Reply(Reply::Done),
        Fact::Reply(Reply::Pending),
    ));
}

impl Violation {
    /// Returns the violation of a subject that panicked, died or could not be read, in its own
    /// words.
    #[must_use]
    pub fn crash(words: &str) -> Self {
        Self::new(
            Property::NoCrash,
            About::Step,
            "subject",
            Fact::Text("an answer"),
            Fact::Message(words.into()),
        )
    }
}
