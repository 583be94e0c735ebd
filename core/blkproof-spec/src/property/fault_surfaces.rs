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
use crate::name::{ImageName, JobName};

fn hidden(about: &About, firing: &Firing, out: &mut Judgement) {
    out.violations.push(Violation::new(
        Property::FaultSurfaces,
        About::Fault(Box::new(firing.clone())),
        "answer",
        firing.errno.map_or(Fact::Otherwise, Fact::Errno),
        match about {
            About::Job(_) => Fact::Text("a job that says nothing of it"),
            _ => Fact::Text("success"),
        },
    ));
}

/// Judges a guest request that succeeded by the faults among `fired` that it met.
pub(crate) fn guest(
    disk: &ImageName,
    fired: &[Firing],
    met: impl Fn(&Firing) -> bool,
    out: &mut Judgement,
) {
    let about = About::Disk(disk.clone());
    for firing in fired.iter().filter(|firing| firing.errno.is_some()) {
        if !is_exempt(firing) && met(firing) {
            hidden(&about, firing, out);
        }
    }
}

/// Judges a job that ended well by the faults that only it can have met and did not report.
pub(crate) fn job(job: &JobName, owed: &[Firing], out: &mut Judgement) {
    let about = About::Job(job.clone());
    for firing in owed {
        hidden(&about, firing, out);
    }
}
