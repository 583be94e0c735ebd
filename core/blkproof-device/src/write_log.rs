//! Write logs in the format of Linux' `dm-log-writes` and of QEMU's `blklogwrites`.
//!
//! ```text
//! sector 0   magic, version, number of entries; 8 bytes each. Sector size; 4 bytes.
//! then       for each entry a sector: position, length, both in sectors, flags, length of a
//!            mark's text; 8 bytes each, a mark's text behind them. Behind it lie its data in
//!            whole sectors, but of a discard.
//! ```
//!
//! Numbers are little-endian. Bits 0 to 4 of the flags say that what was logged before is durable
//! by now (flush), that the entry itself is (FUA), that it is a discard, that it is a mark, and
//! that it is metadata, which means nothing here. Zeroes are data like any other; where the log is
//! sparse, they take no space in it.
//!
//! The format has no word for sizes: its devices do not grow. What is exported here says so in
//! marks, `blkproof resize N`, which other tools skip.

mod error;
mod export;
mod read;
mod write;

use blkproof_spec::{ByteRange, Length};

use crate::record::Operation;

pub use error::{LogError, LogProblem};
pub use export::{ExportError, export};
pub use read::Reader;
pub use write::Writer;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
/// The bytes of the superblock.
const SUPER: usize = 28;
/// The bytes of an entry, without a mark's text.
const ENTRY: usize = 32;

const FLUSH: u64 = 1;
const FUA: u64 = 1 << 1;
const DISCARD: u64 = 1 << 2;
const MARK: u64 = 1 << 3;
const METADATA: u64 = 1 << 4;

/// The sector sizes of logs: powers of two that a superblock fits into, up to QEMU's bound.
const SECTORS: core::ops::Range<u64> = 512..1 << 24;

/// How a mark begins that says that a device has another size.
const RESIZE: &str = "blkproof resize ";

/// One entry of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// Where it begins in the log, in bytes.
    pub offset: u64,
    /// What was logged before it was made durable before it was done.
    pub flush: bool,
    /// It was durable itself when it was done.
    pub fua: bool,
    /// What was done.
    pub what: Logged,
}

/// What an entry of a log says was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Logged {
    /// Nothing more.
    Nothing,
    /// These data were written there.
    Data(u64, Vec<u8>),
    /// Zeroes were written there.
    Zeroes(ByteRange),
    /// This was given up.
    Discard(ByteRange),
    /// Somebody left a note.
    Mark(String),
}

impl Entry {
    /// Returns the range of the device that it changes.
    #[must_use]
    pub fn range(&self) -> ByteRange {
        match &self.what {
            Logged::Nothing | Logged::Mark(_) => ByteRange::default(),
            Logged::Data(start, data) => ByteRange::new(*start, data.len() as u64),
            Logged::Zeroes(range) | Logged::Discard(range) => *range,
        }
    }

    /// Returns the size that the device has from this entry on, if it says so.
    #[must_use]
    pub fn resize(&self) -> Option<Length> {
        let Logged::Mark(text) = &self.what else {
            return None;
        };
        let size = text.strip_prefix(RESIZE)?.parse().ok()?;
        (size <= i64::MAX.unsigned_abs()).then_some(Length(size))
    }

    /// Returns the operations that it stands for, in their order.
    #[must_use]
    pub fn into_operations(self) -> Vec<Operation> {
        let mut operations = Vec::new();
        if self.flush {
            operations.push(Operation::Flush);
        }
        let (fua, resize) = (self.fua, self.resize());
        match self.what {
            Logged::Nothing => {}
            Logged::Data(start, data) => operations.push(Operation::Write { start, data, fua }),
            Logged::Zeroes(range) => {
                let unmap = false;
                operations.push(Operation::WriteZeroes { range, unmap });
            }
            Logged::Discard(range) => operations.push(Operation::Discard(range)),
            Logged::Mark(_) => operations.extend(resize.map(Operation::Resize)),
        }
        operations
    }
}
