//! Every injected error that met the subject's data path shows in some reply, event or
//! job error.
//!
//! Checked: when a request or a job ends.

pub(super) const SENTENCE: &str = "Every injected error that met the subject's data path shows in \
    some reply, event or job error.";

pub(super) const WHEN: &str = "When a request or a job ends.";

use super::Property;
use crate::fault::Firing;
use crate::model::{About, Fact, Judgement, Violation, is_exempt};

fn hidden(firing: &Firing, seen: &'static str, out: &mut Judgement) {
    out.violations.push(Violation::new(
        Property::FaultSurfaces,
        About::Fault(Box::new(firing.clone())),
        "answer",
        firing.errno.map_or(Fact::Otherwise, Fact::Errno),
        Fact::Text(seen),
    ));
}

/// Judges a guest request that succeeded by the faults among `fired` that it met.
pub(crate) fn guest(fired: &[Firing], met: impl Fn(&Firing) -> bool, out: &mut Judgement) {
    for firing in fired.iter().filter(|firing| firing.errno.is_some()) {
        if !is_exempt(firing) && met(firing) {
            hidden(firing, "success", out);
        }
    }
}

/// Judges a job that ended well by the faults that only it can have met and did not report.
pub(crate) fn job(owed: &[Firing], out: &mut Judgement) {
    for firing in owed {
        hidden(firing, "a job that says nothing of it", out);
    }
}
