//! What a scenario looks at, and what it must find there.

use crate::errno::Errno;
use crate::event::{ErrorAction, Side};
use crate::name::{BitmapName, ImageName, JobName};
use crate::status::{IoStatus, JobState};
use crate::step::At;
use crate::units::{ByteRange, Length};

/// Something that must be as said.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Check {
    /// The image, read through its chain, equals the reference, sizes included.
    Image {
        /// The image.
        image: ImageName,
        /// What it must equal.
        equals: Reference,
    },
    /// The SHA-256 of what the guest sees of a disk, or of an image through its chain.
    Digest {
        /// The disk or image.
        image: ImageName,
        /// The digest.
        sha256: [u8; 32],
    },
    /// An image itself, without what lies below it, has just these bytes allocated, as data or as
    /// zeroes.
    Allocated {
        /// The image.
        image: ImageName,
        /// The bytes, in ascending order, merged.
        ranges: Vec<ByteRange>,
    },
    /// The bitmap is reported, and what is given here is reported so.
    Bitmap {
        /// The disk. A node and its device report the same bitmaps here: those of the source.
        at: At,
        /// The bitmap.
        name: BitmapName,
        /// What is expected of it.
        report: BitmapPattern,
    },
    /// No bitmap of this name is reported.
    NoBitmap {
        /// The disk.
        at: At,
        /// The bitmap.
        name: BitmapName,
    },
    /// The job is reported, and what is given here is reported so.
    Job {
        /// The job.
        job: JobName,
        /// What is expected of it.
        report: JobPattern,
    },
    /// No job is reported.
    NoJobs,
    /// The next event of this job that is neither a status change nor consumed by an earlier check
    /// is this one.
    Event {
        /// The job.
        job: JobName,
        /// What is expected of it.
        event: EventPattern,
    },
    /// No event but status changes is left that no check consumed.
    NoEvents,
}

/// What an image is compared with.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Reference {
    /// What the disk or image of this name holds now.
    Now(ImageName),
    /// What the disk held at the point in time of this job.
    Point {
        /// The disk.
        disk: ImageName,
        /// The job.
        job: JobName,
    },
}

/// What a check says of a bitmap. An absent field says nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct BitmapPattern {
    /// Dirty bits times granularity, in bytes.
    pub count: Option<Length>,
    /// Bytes per bit.
    pub granularity: Option<Length>,
    /// Whether it, or its successor, records writes.
    pub recording: Option<bool>,
    /// Whether a job holds it.
    pub busy: Option<bool>,
    /// Whether it is stored in the image.
    pub persistent: Option<bool>,
    /// Whether it was not stored properly.
    pub inconsistent: Option<bool>,
    /// What its anonymous successor counts, in bytes.
    pub successor: Option<Length>,
}

/// What a check says of a job. An absent field says nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct JobPattern {
    /// Its state.
    pub state: Option<JobState>,
    /// The bytes it has to copy.
    pub len: Option<Length>,
    /// The bytes it has copied.
    pub offset: Option<Length>,
    /// Its I/O status.
    pub io_status: Option<IoStatus>,
    /// The error it ended with; `Some(None)` is none.
    pub error: Option<Option<Errno>>,
}

/// What a check says of an event. An absent field says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EventPattern {
    /// `BLOCK_JOB_COMPLETED`.
    Completed {
        /// The bytes it had to copy.
        len: Option<Length>,
        /// The bytes it copied.
        offset: Option<Length>,
        /// The error it ended with; `None` is success.
        error: Option<Errno>,
    },
    /// `BLOCK_JOB_CANCELLED`.
    Cancelled {
        /// The bytes it had to copy.
        len: Option<Length>,
        /// The bytes it copied.
        offset: Option<Length>,
    },
    /// `BLOCK_JOB_ERROR`.
    Error {
        /// The side that failed.
        side: Side,
        /// What the job does about it.
        action: ErrorAction,
    },
    /// `BLOCK_JOB_PENDING`.
    Pending,
}
