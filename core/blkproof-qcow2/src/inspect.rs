//! A second look at images, which shares no code with the driver.
//!
//! [`inspect`] walks header, tables and refcounts of one image and tells what is wrong.
//! [`Contents`] reads what a guest would see through a chain of images. Both parse the format on
//! their own, so that an error of the driver in writing is not hidden by the same error in
//! reading, and both are bounded in time and memory, whatever an image claims.

mod parse;

mod table;

mod uses;

mod bitmaps;

mod sweep;

mod contents;

mod parts;

use core::fmt;

use blkproof_device::Visible;
use blkproof_spec::Length;

use crate::error::Qcow2Error;
use crate::header::BackingName;
use parse::Parsed;
use sweep::Sweep;
use uses::Gather;

pub use bitmaps::{FoundBitmap, bitmaps};
pub use contents::{Contents, Extent, Found, Layer};
pub use parts::{Part, parts};

/// How much an inspection may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of tables that are read; a table that many entries point to counts each time.
    pub table_bytes: u64,
    /// Runs of host clusters that are remembered, at 32 bytes each.
    pub runs: u64,
    /// Problems that are told; the others are only counted.
    pub problems: u64,
}

impl Default for Limits {
    /// 1 GiB of tables, 4 million runs (128 MiB), 100 problems.
    fn default() -> Self {
        Self {
            table_bytes: 1 << 30,
            runs: 4 << 20,
            problems: 100,
        }
    }
}

/// What an inspection found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The size that a guest sees.
    pub size: Length,
    /// The cluster size.
    pub cluster: Length,
    /// What the header says about a backing file.
    pub backing: Option<BackingName>,
    /// What is wrong, as far as the limits allow.
    pub problems: Vec<Problem>,
    /// How many problems there are in all.
    pub problem_count: u64,
    /// Host clusters whose refcount is higher than their use.
    pub leaks: u64,
    /// Host clusters that hold data.
    pub data_clusters: u64,
    /// Guest clusters that are explicit zeroes.
    pub zero_clusters: u64,
    /// Guest clusters that are compressed.
    pub compressed_clusters: u64,
}

impl Report {
    /// Tells whether nothing is wrong. Leaks are lost space, not something wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }
}

/// What a host cluster is used for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Use {
    /// The header.
    Header,
    /// The refcount table.
    RefcountTable,
    /// A refcount block.
    RefcountBlock,
    /// An L1 table, the active one or a snapshot's.
    L1,
    /// An L2 table.
    L2,
    /// Data of the guest.
    Data,
    /// Compressed data of the guest.
    Compressed,
    /// The table of internal snapshots.
    Snapshots,
    /// The directory, a table or a cluster of persistent bitmaps.
    Bitmaps,
}

/// Something wrong with an image. Positions are bytes in the file, clusters are indices of host
/// clusters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The header's incompatible features say that the refcounts may be out of date.
    MarkedDirty,
    /// The header's incompatible features say that the image is corrupt.
    MarkedCorrupt,
    /// Something does not start where a cluster starts.
    Misaligned {
        /// What.
        what: Use,
        /// Where an entry says that it starts.
        offset: u64,
    },
    /// Something lies behind the end of the file.
    OutOfBounds {
        /// What.
        what: Use,
        /// Where an entry says that it starts.
        offset: u64,
    },
    /// A cluster has two uses that exclude each other.
    UsedTwice {
        /// The cluster.
        cluster: u64,
        /// One use.
        first: Use,
        /// Another.
        second: Use,
    },
    /// A cluster's refcount is lower than its use.
    RefcountTooLow {
        /// The cluster.
        cluster: u64,
        /// The refcount.
        refcount: u64,
        /// How often it is used.
        uses: u64,
    },
    /// An entry says that its cluster's refcount is one and it is not, or the other way round.
    CopiedFlag {
        /// What the entry points to.
        what: Use,
        /// The cluster.
        cluster: u64,
        /// The refcount.
        refcount: u64,
    },
    /// An entry of a version 2 image has the bit of zero clusters.
    ZeroInVersion2 {
        /// Where the entry lies.
        offset: u64,
    },
    /// An entry of the bitmap directory, or of a bitmap's table, has a value that it cannot have.
    Bitmap {
        /// The number of the bitmap in the directory.
        number: u64,
        /// The field, by its name in the format's document.
        field: &'static str,
        /// What was found.
        value: u64,
    },
    /// The snapshot table or the bitmap directory cannot be read as one.
    Unreadable {
        /// What.
        what: Use,
        /// Where it lies.
        offset: u64,
    },
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Header => "header",
            Self::RefcountTable => "refcount table",
            Self::RefcountBlock => "refcount block",
            Self::L1 => "L1 table",
            Self::L2 => "L2 table",
            Self::Data => "data",
            Self::Compressed => "compressed data",
            Self::Snapshots => "snapshot table",
            Self::Bitmaps => "bitmaps",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MarkedDirty => f.write_str("the header says that refcounts may be out of date"),
            Self::MarkedCorrupt => f.write_str("the header says that the image is corrupt"),
            Self::Misaligned { what, offset } => {
                write!(f, "{what} at {offset:#x} does not start at a cluster")
            }
            Self::OutOfBounds { what, offset } => {
                write!(f, "{what} at {offset:#x} lies behind the end of the file")
            }
            Self::UsedTwice {
                cluster,
                first,
                second,
            } => write!(
                f,
                "host cluster {cluster} is used for {first} and for {second}"
            ),
            Self::RefcountTooLow {
                cluster,
                refcount,
                uses,
            } => write!(
                f,
                "host cluster {cluster} has refcount {refcount} and {uses} uses"
            ),
            Self::CopiedFlag {
                what,
                cluster,
                refcount,
            } => write!(
                f,
                "the flag of the entry for {what} at host cluster {cluster} does not fit \
                 refcount {refcount}"
            ),
            Self::ZeroInVersion2 { offset } => {
                write!(f, "the entry at {offset:#x} is a zero cluster in version 2")
            }
            Self::Bitmap {
                number,
                field,
                value,
            } => write!(f, "bitmap {number} of the directory has {field} {value:#x}"),
            Self::Unreadable { what, offset } => {
                write!(f, "the {what} at {offset:#x} cannot be read as such")
            }
        }
    }
}

/// Why an inspection came to no end.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InspectError {
    /// The device failed, or the header is not one of an image that can be inspected.
    Image(Qcow2Error),
    /// Contents were to be read where this is wrong.
    Problem(Problem),
    /// The image has more tables, or more scattered ones, than the limits allow.
    TooLarge,
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(_) => f.write_str("the image cannot be inspected"),
            Self::Problem(problem) => problem.fmt(f),
            Self::TooLarge => f.write_str("the image's tables exceed the limits of the inspection"),
        }
    }
}

impl core::error::Error for InspectError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Image(error) => Some(error),
            Self::Problem(_) | Self::TooLarge => None,
        }
    }
}

impl From<Qcow2Error> for InspectError {
    fn from(error: Qcow2Error) -> Self {
        Self::Image(error)
    }
}

impl From<blkproof_device::IoError> for InspectError {
    fn from(error: blkproof_device::IoError) -> Self {
        Self::Image(error.into())
    }
}

/// Inspects the structure of the image that `device` holds.
///
/// # Errors
///
/// If the device fails, if the header is not one of an image, or if the limits do not suffice.
pub fn inspect<D: Visible + ?Sized>(
    device: &mut D,
    limits: &Limits,
) -> Result<Report, InspectError> {
    let parsed = Parsed::read(device)?;
    let mut report = Report {
        size: Length(parsed.size),
        cluster: Length(1 << parsed.cluster_bits),
        backing: parsed.backing.clone(),
        problems: Vec::new(),
        problem_count: 0,
        leaks: 0,
        data_clusters: 0,
        zero_clusters: 0,
        compressed_clusters: 0,
    };
    let mut notes = Notes {
        report: &mut report,
        limit: limits.problems,
    };
    let gather = Gather::new(device, &parsed, limits);
    let (blocks, uses, budget) = gather.run(&mut notes)?;
    Sweep::new(device, &parsed, &blocks, &uses, budget).run(&mut notes)?;
    Ok(report)
}

/// Where findings go.
struct Notes<'a> {
    report: &'a mut Report,
    limit: u64,
}

impl Notes<'_> {
    fn problem(&mut self, problem: Problem) {
        self.report.problem_count += 1;
        if (self.report.problems.len() as u64) < self.limit {
            self.report.problems.push(problem);
        }
    }
}
