//! A backup job: what it was asked for and how far it is.

use blkproof_spec::step::{BitmapMode, ErrorPolicy, Sync};
use blkproof_spec::{
    BitmapName, Errno, ErrorAction, IoStatus, JobEnd, JobName, JobState, JobStatus, Length, Side,
};

use crate::bitmap::Bitmap;
use crate::copier::Copier;
use crate::node::NodeId;
use crate::rate::Rate;

/// A job's identity. Unlike a name it is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct JobSerial(pub(crate) u32);

/// A backup job.
///
/// From its creation to its end its filter lies above the source, and its bitmap is frozen. Source
/// and target are open only for that time.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) serial: JobSerial,
    pub(crate) name: JobName,
    pub(crate) source: NodeId,
    pub(crate) target: NodeId,
    pub(crate) sync: Sync,
    pub(crate) bitmap: Option<(BitmapName, BitmapMode)>,
    pub(crate) on_source_error: ErrorPolicy,
    pub(crate) on_target_error: ErrorPolicy,
    pub(crate) auto_finalize: bool,
    pub(crate) auto_dismiss: bool,
    /// The transaction in which it stands or falls with others.
    pub(crate) group: Option<u32>,
    pub(crate) copier: Copier,
    pub(crate) rate: Rate,
    pub(crate) state: JobState,
    /// A user, or an error, wants it paused. It is when nothing of it is on its way any more.
    pub(crate) pause: bool,
    /// It was an error.
    pub(crate) stopped: bool,
    /// How many resumes it takes, where a seeded bug counts them.
    pub(crate) pauses: u32,
    /// It sleeps on, by a seeded bug.
    pub(crate) asleep: bool,
    /// How many errors it ignored on end, in the step at hand, without having copied anything.
    pub(crate) fruitless: u32,
    /// How much it had copied at the last error that it ignored.
    pub(crate) ignored_at: Length,
    pub(crate) io_status: IoStatus,
    /// It has copied everything, and its target holds that durably.
    pub(crate) flushed: bool,
    /// It is about to end, and its target holds durably what it copied.
    pub(crate) durable: bool,
    pub(crate) end: Option<JobEnd>,
    /// Bitmaps that were added to its filter. They vanish with it.
    pub(crate) filter_bitmaps: Vec<Bitmap>,
}

impl Job {
    /// Tells whether it has done all it had to and only waits, for its group or to be finalized.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, JobState::Waiting | JobState::Pending)
    }

    /// Returns what it does about an error.
    pub(crate) fn action(&self, side: Side, errno: Errno) -> ErrorAction {
        let policy = match side {
            Side::Read => self.on_source_error,
            Side::Write => self.on_target_error,
        };
        match policy {
            ErrorPolicy::Report => ErrorAction::Report,
            ErrorPolicy::Ignore => ErrorAction::Ignore,
            ErrorPolicy::Stop => ErrorAction::Stop,
            ErrorPolicy::Enospc | ErrorPolicy::Auto => {
                if errno == Errno::ENOSPC {
                    ErrorAction::Stop
                } else {
                    ErrorAction::Report
                }
            }
        }
    }

    /// Takes note of an error that it ignores.
    pub(crate) fn ignore(&mut self) {
        let offset = self.offset();
        if offset != self.ignored_at {
            self.fruitless = 0;
        }
        self.fruitless += 1;
        self.ignored_at = offset;
    }

    pub(crate) fn len(&self) -> Length {
        Length(self.copier.len())
    }

    pub(crate) fn offset(&self) -> Length {
        Length(self.copier.offset())
    }

    pub(crate) fn status(&self) -> JobStatus {
        JobStatus {
            job: self.name.clone(),
            state: self.state,
            len: self.len(),
            offset: self.offset(),
            speed: self.rate.speed(),
            io_status: self.io_status,
            end: self.end,
        }
    }
}
