//! What a subject reports of its bitmaps and jobs.

use crate::errno::Errno;
use crate::name::{BitmapName, ImageName, JobName};
use crate::units::{ByteRange, Length};

/// A report of all bitmaps and jobs. Subjects fill it anew each time; buffers are reused.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Status {
    /// The named bitmaps, in any order.
    pub bitmaps: Vec<BitmapStatus>,
    /// The jobs that are not dismissed, in any order.
    pub jobs: Vec<JobStatus>,
}

/// A report of one named bitmap (an entry of QEMU's `dirty-bitmaps`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BitmapStatus {
    /// The node it belongs to.
    pub node: ImageName,
    /// Its name.
    pub name: BitmapName,
    /// Dirty bits times granularity, in bytes; while busy, what the frozen bitmap holds.
    pub count: Length,
    /// Bytes per bit.
    pub granularity: Length,
    /// Whether it, or its successor, records writes.
    pub recording: bool,
    /// Whether a job holds it.
    pub busy: bool,
    /// Whether it is stored in the image when that is closed.
    pub persistent: bool,
    /// Whether it was not stored properly and cannot be used.
    pub inconsistent: bool,
    /// Its dirty bytes in whole granules (the last one not clipped to the size), ascending and
    /// merged, where the subject can tell.
    pub dirty: Option<Vec<ByteRange>>,
    /// The same of its successor, where there is one and the subject can tell.
    pub successor: Option<Vec<ByteRange>>,
}

/// A report of one job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobStatus {
    /// Its id.
    pub job: JobName,
    /// Its state.
    pub state: JobState,
    /// The bytes it has to copy.
    pub len: Length,
    /// The bytes it has copied.
    pub offset: Length,
    /// Its speed limit, bytes per second; 0 is none.
    pub speed: u64,
    /// Whether it failed on I/O and waits for a resume.
    pub io_status: IoStatus,
    /// How it ended, if it did.
    pub end: Option<JobEnd>,
}

/// How a job ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum JobEnd {
    /// It did all it had to.
    Success,
    /// It failed.
    Failed(Errno),
    /// It was cancelled, by command or by its group.
    Cancelled,
}

/// The state of a job (QEMU's `JobStatus`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum JobState {
    /// It exists and has not started.
    Created,
    /// It works.
    Running,
    /// It is paused, by a user or by an error.
    Paused,
    /// It has done its work and waits for its group.
    Waiting,
    /// It waits to be finalized.
    Pending,
    /// It undoes what it did.
    Aborting,
    /// It is over and waits to be dismissed.
    Concluded,
    /// It is gone.
    Null,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Created,
        Self::Running,
        Self::Paused,
        Self::Waiting,
        Self::Pending,
        Self::Aborting,
        Self::Concluded,
        Self::Null,
    ];

    /// Returns QEMU's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Aborting => "aborting",
            Self::Concluded => "concluded",
            Self::Null => "null",
        }
    }
}

/// Whether a job's I/O failed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum IoStatus {
    /// It did not.
    #[default]
    Ok,
    /// It failed, and not for lack of space.
    Failed,
    /// It failed for lack of space.
    Nospace,
}
