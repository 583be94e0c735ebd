//! Every injected error that met the subject's data path shows in some reply, event or
//! job error.
//!
//! Checked: when a request or a job ends.

pub(super) const SENTENCE: &str = "Every injected error that met the subject's data path shows in some reply, event \
    or job error.";

pub(super) const WHEN: &str = "When a request or a job ends.";

use super::Property;
use crate::errno::Errno;
use crate::fault::Firing;
use crate::model::{About, Fact, Judgement, Reach, Violation, is_exempt};
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

/// Judges a guest request that succeeded by the faults it met.
pub(crate) fn guest(
    disk: &ImageName,
    fired: &[Firing],
    met: &[(Errno, Reach)],
    out: &mut Judgement,
) {
    if met.is_empty() {
        return;
    }
    let about = About::Disk(disk.clone());
    let mut met = met.iter();
    for firing in fired.iter().filter(|firing| firing.errno.is_some()) {
        let mine = met.clone().next().map(|(errno, _)| *errno) == firing.errno;
        if mine {
            met.next();
            if !is_exempt(firing) {
                hidden(&about, firing, out);
            }
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
