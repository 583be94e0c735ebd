//! What a scenario says of a report, compared with the report.

use super::judgement::Fact;
use crate::event::JobEvent;
use crate::name::{BitmapName, ImageName, JobName};
use crate::status::{BitmapStatus, JobEnd, JobStatus, Status};
use crate::step::{BitmapPattern, EventPattern, JobPattern};
use crate::units::{ByteRange, Length};

/// One field in which a report differs from a pattern: its name, what was expected, what was seen.
pub type Difference = (&'static str, Fact, Fact);

fn differ<T: PartialEq>(
    out: &mut Vec<Difference>,
    name: &'static str,
    expected: Option<T>,
    seen: T,
    fact: impl Fn(T) -> Fact,
) {
    if let Some(expected) = expected
        && expected != seen
    {
        out.push((name, fact(expected), fact(seen)));
    }
}

/// Returns how many bytes the ranges have together.
fn total(ranges: &[ByteRange]) -> Length {
    Length(ranges.iter().map(|range| range.len).sum())
}

impl BitmapPattern {
    /// Returns every field in which `seen` differs.
    #[must_use]
    pub fn mismatches(&self, seen: &BitmapStatus) -> Vec<Difference> {
        let mut out = Vec::new();
        differ(&mut out, "count", self.count, seen.count, Fact::Bytes);
        differ(
            &mut out,
            "granularity",
            self.granularity,
            seen.granularity,
            Fact::Bytes,
        );
        differ(
            &mut out,
            "recording",
            self.recording,
            seen.recording,
            Fact::Flag,
        );
        differ(&mut out, "busy", self.busy, seen.busy, Fact::Flag);
        differ(
            &mut out,
            "persistent",
            self.persistent,
            seen.persistent,
            Fact::Flag,
        );
        differ(
            &mut out,
            "inconsistent",
            self.inconsistent,
            seen.inconsistent,
            Fact::Flag,
        );
        match (self.successor, &seen.successor) {
            (Some(expected), None) => {
                out.push(("successor", Fact::Bytes(expected), Fact::Nothing));
            }
            (expected, Some(ranges)) => {
                differ(&mut out, "successor", expected, total(ranges), Fact::Bytes);
            }
            (None, None) => {}
        }
        out
    }
}

impl JobPattern {
    /// Returns every field in which `seen` differs.
    #[must_use]
    pub fn mismatches(&self, seen: &JobStatus) -> Vec<Difference> {
        let mut out = Vec::new();
        differ(&mut out, "state", self.state, seen.state, Fact::State);
        differ(&mut out, "len", self.len, seen.len, Fact::Bytes);
        differ(&mut out, "offset", self.offset, seen.offset, Fact::Bytes);
        differ(
            &mut out,
            "io-status",
            self.io_status,
            seen.io_status,
            Fact::IoStatus,
        );
        let error = match seen.end {
            None | Some(JobEnd::Success) => None,
            Some(JobEnd::Failed(errno)) => Some(errno),
            Some(JobEnd::Cancelled) => Some(crate::Errno::ECANCELED),
        };
        differ(&mut out, "error", self.error, error, |error| {
            error.map_or(Fact::Nothing, Fact::Errno)
        });
        out
    }
}

impl EventPattern {
    /// Tells whether `seen` is such an event.
    #[must_use]
    pub fn matches(&self, seen: &JobEvent) -> bool {
        let agrees = |expected: Option<Length>, seen: Length| expected.is_none_or(|is| is == seen);
        match (self, seen) {
            (
                Self::Completed { len, offset, error },
                JobEvent::Completed {
                    len: seen_len,
                    offset: seen_offset,
                    error: seen_error,
                    ..
                },
            ) => agrees(*len, *seen_len) && agrees(*offset, *seen_offset) && error == seen_error,
            (
                Self::Cancelled { len, offset },
                JobEvent::Cancelled {
                    len: seen_len,
                    offset: seen_offset,
                    ..
                },
            ) => agrees(*len, *seen_len) && agrees(*offset, *seen_offset),
            (
                Self::Error { side, action },
                JobEvent::Error {
                    side: seen_side,
                    action: seen_action,
                    ..
                },
            ) => side == seen_side && action == seen_action,
            (Self::Pending, JobEvent::Pending { .. }) => true,
            _ => false,
        }
    }
}

impl Status {
    /// Returns the report of this bitmap, if there is one.
    #[must_use]
    pub fn bitmap(&self, node: &ImageName, name: &BitmapName) -> Option<&BitmapStatus> {
        self.bitmaps
            .iter()
            .find(|bitmap| bitmap.node == *node && bitmap.name == *name)
    }

    /// Returns the report of this job, if there is one.
    #[must_use]
    pub fn job(&self, name: &JobName) -> Option<&JobStatus> {
        self.jobs.iter().find(|job| job.job == *name)
    }
}
