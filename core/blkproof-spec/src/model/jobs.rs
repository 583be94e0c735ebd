//! Backup jobs, and the contents they froze.

use super::bitmaps::Owner;
use super::images::{Contents, ImageId};
use super::ranges::RangeSet;
use super::saved::Saved;
use crate::errno::Errno;
use crate::event::{ErrorAction, Side};
use crate::fault::Firing;
use crate::name::{BitmapName, JobName};
use crate::status::{IoStatus, JobEnd, JobState};
use crate::step::{BitmapMode, ErrorPolicy, StepNumber, Sync};
use crate::units::ByteRange;

/// What a disk held when a job, or its transaction, was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) job: JobName,
    pub(crate) disk: ImageId,
    pub(crate) size: u64,
    /// What has no value is zero.
    pub(crate) contents: Contents,
    pub(crate) moment: u64,
    pub(crate) step: StepNumber,
    /// Whether the job is one of several of a transaction.
    pub(crate) shared: bool,
    /// Whether an error stopped the job.
    pub(crate) stopped: bool,
}

/// An image that restores a point in time.
#[derive(Clone, Debug)]
pub(crate) struct RestorePoint {
    pub(crate) image: ImageId,
    pub(crate) point: usize,
    pub(crate) alive: bool,
}

/// Why a job is paused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pause {
    None,
    User,
    Error,
}

/// The errors that faults caused on a job's behalf and that it has not reported yet.
#[derive(Clone, Default, Debug)]
pub(crate) struct Errors {
    /// Each error once, with the side that may have met it and the last step in which it was met.
    met: Vec<(Side, Errno, StepNumber)>,
    /// Those of the error that it reported last.
    reported: Vec<Errno>,
    /// Faults that only this job can have met, and that must show; at most
    /// [`Errors::OWED_MAX`] are kept.
    owed: Vec<Firing>,
    /// Each error once by which it may end.
    fatal: Vec<Errno>,
    /// Its target could not be flushed.
    unflushed: bool,
}

impl Errors {
    const OWED_MAX: usize = 16;

    /// Takes in an error that the job may have met.
    pub(crate) fn meet(&mut self, side: Side, errno: Errno, step: StepNumber) {
        let known = self
            .met
            .iter_mut()
            .find(|(known_side, known, _)| (*known_side, *known) == (side, errno));
        match known {
            Some((.., last)) => *last = step,
            None => self.met.push((side, errno, step)),
        }
    }

    /// Takes in that the job may end by an error.
    pub(crate) fn end_by(&mut self, errno: Errno) {
        if !self.fatal.contains(&errno) {
            self.fatal.push(errno);
        }
    }

    /// Tells whether the job may end by this error.
    pub(crate) fn may_end_by(&self, errno: Errno) -> bool {
        self.fatal.contains(&errno)
    }

    /// Takes in that the job's target may have failed to be flushed.
    pub(crate) fn fail_flush(&mut self) {
        self.unflushed = true;
    }

    /// Tells whether the job may have failed although it copied everything.
    pub(crate) fn failed_flush(&self) -> bool {
        self.unflushed
    }

    /// Takes in a fault that only this job can have met.
    pub(crate) fn owe(&mut self, firing: &Firing) {
        if self.owed.len() < Self::OWED_MAX {
            self.owed.push(firing.clone());
        }
    }

    pub(crate) fn owed(&self) -> &[Firing] {
        &self.owed
    }

    /// Returns the errors that it may have met on this side.
    pub(crate) fn of(&self, side: Side) -> impl Iterator<Item = Errno> + '_ {
        self.met
            .iter()
            .filter(move |(known, ..)| *known == side)
            .map(|(_, errno, _)| *errno)
    }

    /// Takes in that the job reported an error of this side.
    ///
    /// What it met in earlier steps belonged to the pass that is over. What it met in this one may
    /// belong to the pass that follows, so it may still explain a later report.
    pub(crate) fn report(&mut self, side: Side, step: StepNumber) {
        let mut reported = std::mem::take(&mut self.reported);
        reported.clear();
        reported.extend(self.of(side));
        self.reported = reported;
        self.met.retain(|(.., last)| *last == step);
        self.owed.clear();
    }

    /// Returns all of them.
    pub(crate) fn all(&self) -> Vec<Errno> {
        let met = self.met.iter().map(|(_, errno, _)| *errno);
        met.chain(self.reported.iter().copied()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.met.is_empty() && self.reported.is_empty()
    }

    /// Tells whether a job may end with this error.
    pub(crate) fn explain(&self, errno: Errno) -> bool {
        self.met.iter().any(|(_, known, _)| *known == errno) || self.reported.contains(&errno)
    }
}

/// One backup job.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Job {
    pub(crate) name: JobName,
    pub(crate) source: ImageId,
    pub(crate) target: ImageId,
    /// The target is a node that further jobs may name.
    pub(crate) target_is_node: bool,
    pub(crate) sync: Sync,
    pub(crate) bitmap: Option<(Owner, BitmapName)>,
    pub(crate) mode: BitmapMode,
    /// The job's cluster size in bytes.
    pub(crate) cluster: u64,
    /// The job clusters that it has to copy.
    pub(crate) must: RangeSet,
    /// The job clusters that it may copy besides.
    pub(crate) extra: RangeSet,
    /// The index of what it froze.
    pub(crate) point: usize,
    /// Whether its target will be a restore point.
    pub(crate) restores: bool,
    /// Where the guest wrote since it froze its source.
    pub(crate) touched: RangeSet,
    /// What it saved of that, if it copies nothing by itself.
    pub(crate) saved: Saved,
    /// The clusters of it that requests which succeeded must have seen copied.
    pub(crate) guarded: RangeSet,
    /// A request had it copy something, well or not.
    pub(crate) asked: bool,
    /// How much it can have copied, where it is known how much it had and it did not work since.
    pub(crate) most: Option<u64>,
    /// `None` until it was seen to be created.
    pub(crate) state: Option<JobState>,
    pub(crate) len: Option<u64>,
    pub(crate) offset: u64,
    pub(crate) speed: u64,
    pub(crate) pause: Pause,
    pub(crate) io_status: IoStatus,
    /// Errors of both kinds stopped it: the report says which one counts.
    pub(crate) io_status_open: bool,
    pub(crate) on_source_error: ErrorPolicy,
    pub(crate) on_target_error: ErrorPolicy,
    pub(crate) auto_finalize: bool,
    pub(crate) auto_dismiss: bool,
    /// The transaction whose jobs end as one.
    pub(crate) group: Option<u32>,
    pub(crate) cancelled: bool,
    /// The event that it waits to be finalized was seen.
    pub(crate) pending_said: bool,
    pub(crate) end: Option<JobEnd>,
    pub(crate) errors: Errors,
}

impl Job {
    /// Tells whether it still has its filter, its bitmap and its target.
    pub(crate) fn is_active(&self) -> bool {
        self.end.is_none()
    }

    /// Tells whether its length cannot change any more.
    pub(crate) fn is_over(&self) -> bool {
        use JobState::{Concluded, Pending, Waiting};
        let ended = self.end == Some(JobEnd::Success);
        matches!(self.state, Some(Waiting | Pending)) || (self.state == Some(Concluded) && ended)
    }

    /// Tells whether it may still have to copy something of `range`.
    pub(crate) fn may_copy(&self, range: ByteRange) -> bool {
        let done = matches!(self.state, Some(JobState::Waiting | JobState::Pending));
        let all = self.extra.is_empty() && self.len.is_some_and(|len| len == self.offset);
        let copied = done || (all && self.len == Some(self.must.total()));
        let range = range.outward(self.cluster);
        self.is_active() && !copied && (self.must.overlaps(range) || self.extra.overlaps(range))
    }

    /// Tells whether nothing is on its way of what it copies by itself, and nothing begins.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.sync == Sync::None || self.state == Some(JobState::Paused)
    }

    /// Returns how many bytes it has to copy: at least, at most.
    pub(crate) fn length(&self) -> (u64, u64) {
        let least = self.must.total();
        (least, least + self.extra.total())
    }

    pub(crate) fn policy(&self, side: Side) -> ErrorPolicy {
        match side {
            Side::Read => self.on_source_error,
            Side::Write => self.on_target_error,
        }
    }
}

impl ErrorPolicy {
    /// Returns what a job does under this policy about `errno`.
    #[must_use]
    pub fn action(self, errno: Errno) -> ErrorAction {
        match (self, errno) {
            (Self::Ignore, _) => ErrorAction::Ignore,
            (Self::Stop, _) | (Self::Enospc | Self::Auto, Errno::ENOSPC) => ErrorAction::Stop,
            (Self::Report | Self::Enospc | Self::Auto, _) => ErrorAction::Report,
        }
    }
}
