//! The events that jobs emit, by their QMP meaning.

use crate::errno::Errno;
use crate::name::JobName;
use crate::status::JobState;
use crate::units::Length;

/// An event of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobEvent {
    /// `JOB_STATUS_CHANGE`.
    Status {
        /// The job.
        job: JobName,
        /// The state it entered.
        state: JobState,
    },
    /// `BLOCK_JOB_COMPLETED`: it ended by itself, well or with an error.
    Completed {
        /// The job.
        job: JobName,
        /// The bytes it had to copy.
        len: Length,
        /// The bytes it copied.
        offset: Length,
        /// Its speed limit, bytes per second.
        speed: u64,
        /// The error it ended with.
        error: Option<Errno>,
    },
    /// `BLOCK_JOB_CANCELLED`.
    Cancelled {
        /// The job.
        job: JobName,
        /// The bytes it had to copy.
        len: Length,
        /// The bytes it copied.
        offset: Length,
        /// Its speed limit, bytes per second.
        speed: u64,
    },
    /// `BLOCK_JOB_ERROR`.
    Error {
        /// The job.
        job: JobName,
        /// The side that failed.
        side: Side,
        /// What the job does about it.
        action: ErrorAction,
    },
    /// `BLOCK_JOB_PENDING`: it waits to be finalized.
    Pending {
        /// The job.
        job: JobName,
    },
}

impl JobEvent {
    /// Returns the job it speaks of.
    #[must_use]
    pub fn job(&self) -> &JobName {
        match self {
            Self::Status { job, .. }
            | Self::Completed { job, .. }
            | Self::Cancelled { job, .. }
            | Self::Error { job, .. }
            | Self::Pending { job } => job,
        }
    }
}

/// The side of a job that failed: QEMU's `operation`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The source: `read`.
    Read,
    /// The target: `write`.
    Write,
}

/// What a job does about an error.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ErrorAction {
    /// It fails.
    Report,
    /// It tries again.
    Ignore,
    /// It pauses.
    Stop,
}
