//! Requests: read, and checked against what the protocol allows.

use blkproof_spec::{ByteRange, Errno};

use super::wire::{self, MAX_PAYLOAD, command, flag};

/// How long a request is without its data.
pub(crate) const HEAD: usize = 28;

/// What a client sends before any data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) flags: u16,
    pub(crate) command: u16,
    pub(crate) cookie: u64,
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

/// A request that the protocol allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// What the client calls it.
    pub cookie: u64,
    /// What it asks for.
    pub operation: Operation,
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Data is read.
    Read(ByteRange),
    /// The data that came with it is written; durably, if so.
    Write(ByteRange, bool),
    /// Data is given up.
    Trim(ByteRange, bool),
    /// Zeroes are written.
    WriteZeroes {
        /// Where.
        range: ByteRange,
        /// Whether they must be durable.
        fua: bool,
        /// Whether the space may be given up.
        unmap: bool,
    },
    /// What was acknowledged is made durable.
    Flush,
    /// Data will be read soon.
    Cache(ByteRange),
    /// What stands in a range is told; in one run, if so.
    BlockStatus(ByteRange, bool),
    /// The export gets a new size.
    Resize(u64),
}

/// What a connection knows of its export.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) size: u64,
    /// The largest size that the export had since the connection began.
    pub(crate) peak: u64,
    pub(crate) read_only: bool,
    pub(crate) structured: bool,
    pub(crate) has_contexts: bool,
}

impl Head {
    /// Reads a request's head; `None` is none.
    pub(crate) fn read(bytes: &[u8; HEAD]) -> Option<Self> {
        let take = |at: usize, len: usize| {
            bytes[at..at + len]
                .iter()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let short = |at| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let long =
            |at| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        (long(0) == wire::REQUEST_MAGIC).then(|| Self {
            flags: short(4),
            command: short(6),
            cookie: take(8, 8),
            offset: take(16, 8),
            len: long(24),
        })
    }

    /// Returns how much data follows.
    pub(crate) fn data_len(&self) -> u32 {
        if self.command == command::WRITE {
            self.len
        } else {
            0
        }
    }

    /// Tells whether the client wants to end the connection.
    pub(crate) fn is_disconnect(&self) -> bool {
        self.command == command::DISCONNECT
    }

    /// Checks the request, and says what it asks for.
    pub(crate) fn operation(&self, known: &Known) -> Result<Operation, Errno> {
        let allowed = match self.command {
            command::READ if known.structured => flag::DF,
            command::WRITE_ZEROES => flag::NO_HOLE | flag::FAST_ZERO,
            command::BLOCK_STATUS => flag::REQ_ONE,
            command::READ..=command::RESIZE => 0,
            _ => return Err(Errno::EINVAL),
        };
        if self.flags & !(allowed | flag::FUA) != 0 {
            return Err(Errno::EINVAL);
        }
        let fua = self.flags & flag::FUA != 0;
        let operation = match self.command {
            command::READ => Operation::Read(self.inside(known, Errno::EINVAL)?),
            command::WRITE => Operation::Write(self.inside(known, Errno::ENOSPC)?, fua),
            command::TRIM => Operation::Trim(self.inside(known, Errno::EINVAL)?, fua),
            command::WRITE_ZEROES => Operation::WriteZeroes {
                range: self.inside(known, Errno::ENOSPC)?,
                fua,
                unmap: self.flags & flag::NO_HOLE == 0,
            },
            command::CACHE => Operation::Cache(self.inside(known, Errno::EINVAL)?),
            command::BLOCK_STATUS => {
                let range = self.inside(known, Errno::EINVAL)?;
                if range.is_empty() || !known.has_contexts {
                    return Err(Errno::EINVAL);
                }
                Operation::BlockStatus(range, self.flags & flag::REQ_ONE != 0)
            }
            command::RESIZE => Operation::Resize(self.offset),
            command::FLUSH if self.offset == 0 && self.len == 0 => Operation::Flush,
            _ => return Err(Errno::EINVAL),
        };
        if known.read_only && operation.changes() {
            return Err(Errno::EPERM);
        }
        self.fits(known)?;
        Ok(operation)
    }

    /// Checks that the data fits; its end may be refused first.
    fn fits(&self, known: &Known) -> Result<(), Errno> {
        match self.command {
            command::READ if self.len > MAX_PAYLOAD && known.structured => Err(EOVERFLOW),
            command::READ | command::WRITE if self.len > MAX_PAYLOAD => Err(Errno::EINVAL),
            _ => Ok(()),
        }
    }

    /// Returns the bytes that the request is about, all of which the export must have. One that had
    /// them once has no space for them any more, as the extension for resizing wants it.
    fn inside(&self, known: &Known, outside: Errno) -> Result<ByteRange, Errno> {
        let range = ByteRange::checked(self.offset, self.len.into()).ok_or(outside)?;
        match range.end() {
            end if end <= known.size => Ok(range),
            end if end <= known.peak => Err(Errno::ENOSPC),
            _ => Err(outside),
        }
    }
}

/// Value too large.
const EOVERFLOW: Errno = Errno(75);

impl Operation {
    /// Tells whether it may change the export.
    fn changes(&self) -> bool {
        matches!(
            self,
            Self::Write(..) | Self::Trim(..) | Self::WriteZeroes { .. } | Self::Resize(_)
        )
    }
}

#[cfg(test)]
mod tests;
