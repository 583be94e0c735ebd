//! What is wrong with a log, and where.

use core::fmt;

use crate::block_device::IoError;

/// What is wrong with a log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LogError {
    /// Where in the log, in bytes.
    pub offset: u64,
    /// In which entry, from 1; `None` is the superblock.
    pub entry: Option<u64>,
    /// What is wrong there.
    pub problem: LogProblem,
}

/// What can be wrong with a log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LogProblem {
    /// The log cannot be read.
    Io(IoError),
    /// It does not begin as a log does.
    Magic(u64),
    /// It has a version that is not known.
    Version(u64),
    /// Its sectors have a size that none can have.
    SectorSize(u64),
    /// It has more entries than fit.
    Entries {
        /// So many it says that there are.
        count: u64,
        /// So many fit at most.
        most: u64,
    },
    /// The log ends in the midst of something.
    Truncated {
        /// Here it would end, in bytes; `None` is behind every end.
        needed: Option<u64>,
        /// Here it ends.
        len: u64,
    },
    /// The entry has flags that nobody knows.
    Flags(u64),
    /// The entry changes what lies behind the end of every device.
    TooFar {
        /// From this sector on.
        sector: u64,
        /// So many sectors.
        sectors: u64,
    },
    /// The entry has more data than are read at once.
    TooLarge {
        /// So many bytes.
        len: u64,
        /// So many are.
        most: u64,
    },
    /// The text of the mark is longer than its sector.
    MarkTooLong(u64),
    /// The text of the mark is no UTF-8.
    MarkNotText,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "entry {entry} at offset {}: ", self.offset)?,
            None => write!(f, "superblock: ")?,
        }
        write!(f, "{}", self.problem)
    }
}

impl fmt::Display for LogProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::Magic(found) => write!(
                f,
                "expected the magic number {:#x} of a write log, found {found:#x}",
                super::MAGIC
            ),
            Self::Version(found) => {
                write!(f, "expected version {}, found {found}", super::VERSION)
            }
            Self::SectorSize(found) => write!(
                f,
                "expected a sector size that is a power of two from {} to {}, found {found}",
                super::SECTORS.start,
                super::SECTORS.end / 2
            ),
            Self::Entries { count, most } => {
                write!(f, "says that there are {count} entries; at most {most} fit")
            }
            Self::Truncated { needed, len } => match needed {
                Some(needed) => write!(f, "needs {needed} bytes of the log, which has {len}"),
                None => write!(f, "needs more bytes than a log can have; it has {len}"),
            },
            Self::Flags(flags) => write!(f, "unknown flags {flags:#x}"),
            Self::TooFar { sector, sectors } => write!(
                f,
                "{sectors} sectors from sector {sector} on lie behind the end of every device"
            ),
            Self::TooLarge { len, most } => {
                write!(f, "has {len} bytes of data; at most {most} are read")
            }
            Self::MarkTooLong(len) => {
                write!(f, "a mark of {len} bytes is longer than its sector")
            }
            Self::MarkNotText => f.write_str("the text of a mark is not UTF-8"),
        }
    }
}

impl core::error::Error for LogError {}
