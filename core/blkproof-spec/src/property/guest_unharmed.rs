//! A backup, a bitmap command, a transaction never changes what the guest reads, and
//! fails no guest request but one that touches what is still to be copied.
//!
//! Checked: at every failed guest request, over what was written during a job when it
//! ends, and over every disk at the end.

pub(super) const SENTENCE: &str = "A backup, a bitmap command, a transaction never changes what \
    the guest reads, and fails no guest request but one that touches what is still to be copied.";

pub(super) const WHEN: &str = "At every failed guest request, over what was written during a job \
    when it ends, and over every disk at the end.";

use super::Property;
use crate::errno::Errno;
use crate::model::{About, Fact, Judgement, Violation};
use crate::reply::Reply;
use crate::step::GuestOp;

/// Judges a guest request that failed because of a fault on a job's target alone.
pub(crate) fn failed(about: About, op: &GuestOp, copying: bool, errno: Errno, out: &mut Judgement) {
    out.exercise(Property::GuestUnharmed);
    if !op.is_write() || !copying {
        out.violations.push(Violation::new(
            Property::GuestUnharmed,
            about,
            "reply",
            Fact::Reply(Reply::Done),
            Fact::Reply(Reply::Failed(errno)),
        ));
    }
}
