//! The seam to one device.

use core::fmt;

use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno, Length, Millis, Offset, Tag};

use crate::parcel::{Load, Parcel};

/// What a request to a device ends with.
pub type IoResult<T> = Result<T, IoError>;

/// Why a request did not succeed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IoError {
    /// It failed.
    Failed(Errno),
    /// It has not happened yet: the caller unwinds, as after an error, without reporting one, and
    /// makes the same request again when the wait is over.
    Wait(Wait),
}

/// What a request waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wait {
    /// The breakpoint of this tag is resumed.
    Tag(Tag),
    /// Virtual time reaches this moment, counted from the start of the scenario.
    Until(Millis),
}

impl From<Errno> for IoError {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(errno) => match errno.text() {
                Some(text) => f.write_str(text),
                None => write!(f, "error {errno}"),
            },
            Self::Wait(Wait::Tag(tag)) => write!(f, "suspended under tag '{tag}'"),
            Self::Wait(Wait::Until(time)) => write!(f, "delayed until {time} ms"),
        }
    }
}

impl core::error::Error for IoError {}

/// Whether a write must be durable when it is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// It is durable after the next flush.
    Later,
    /// It is durable when it is acknowledged (FUA).
    Now,
}

/// What stands at the start of a queried range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockStatus {
    /// How many bytes the answer holds for: at least one, at most the range asked for. An answer
    /// may be shorter than it could be.
    pub len: Length,
    /// What these bytes are.
    pub kind: StatusKind,
}

/// What a range of bytes is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusKind {
    /// Data that has to be read.
    Data,
    /// Allocated, and reads as zeroes.
    Zero,
    /// Not allocated in this layer: reads from the backing file, or as zeroes where there is none.
    Hole,
}

/// A block device.
///
/// Requests happen one after the other, each at once, unless it says that it waits. A device that
/// is an image file grows when it is written behind its end and reads as zeroes there, as files do
/// below QEMU's block layer; a device that is a format has the fixed size of its image, and a
/// request that crosses its end fails with `EIO` and changes nothing.
pub trait BlockDevice: fmt::Debug + Send {
    /// Reads `buf.len()` bytes at `offset`. On an error `buf` holds anything.
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()>;

    /// Writes `data` at `offset`. On an error any part of it may have been written.
    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()>;

    /// Writes one whole cluster of the format, compressed. A range that is none fails with
    /// `EINVAL`, a device that cannot compress with `ENOTSUP`. Layers treat it as a write.
    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()>;

    /// Makes `range` read as zeroes; `unmap` allows it to give up the space.
    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()>;

    /// Gives up `range`, or part of it, or nothing; what is given up reads as zeroes.
    fn discard(&mut self, range: ByteRange) -> IoResult<()>;

    /// Makes everything acknowledged so far durable.
    fn flush(&mut self) -> IoResult<()>;

    /// Returns the size in bytes.
    fn size(&self) -> Length;

    /// Changes the size. New bytes read as zeroes; bytes cut off are gone.
    fn set_size(&mut self, size: Length) -> IoResult<()>;

    /// Tells what the first bytes of `range`, which is not empty, are.
    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus>;

    /// Raises a `blkdebug` event. Layers act on it or hand it down. An error is a wait: the caller
    /// unwinds, and comes here again with the same request later.
    fn event(&mut self, event: Event) -> IoResult<()>;

    /// Reads `range` as [`read_at`](Self::read_at) does, to the end of `parcel`. A device whose
    /// bytes lie in pages shares these instead of copying them. On an error the parcel holds
    /// anything.
    fn read_parcel(&mut self, range: ByteRange, parcel: &mut Parcel) -> IoResult<()> {
        let len = usize::try_from(range.len).map_err(|_| Errno::ENOMEM)?;
        self.read_at(Offset(range.start), parcel.add_room(len))
    }

    /// Writes `load` as [`write_at`](Self::write_at) does. A device that holds its bytes in pages
    /// takes over whole pages instead of copying them.
    fn write_load(
        &mut self,
        offset: Offset,
        load: Load<'_>,
        durability: Durability,
    ) -> IoResult<()> {
        self.write_at(offset, load.flat(&mut Vec::new()), durability)
    }
}

impl<D: BlockDevice + ?Sized> BlockDevice for Box<D> {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        (**self).read_at(offset, buf)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        (**self).write_at(offset, data, durability)
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        (**self).write_compressed(offset, data)
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        (**self).write_zeroes(range, unmap)
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        (**self).discard(range)
    }

    fn flush(&mut self) -> IoResult<()> {
        (**self).flush()
    }

    fn size(&self) -> Length {
        (**self).size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        (**self).set_size(size)
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        (**self).block_status(range)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        (**self).event(event)
    }

    fn read_parcel(&mut self, range: ByteRange, parcel: &mut Parcel) -> IoResult<()> {
        (**self).read_parcel(range, parcel)
    }

    fn write_load(
        &mut self,
        offset: Offset,
        load: Load<'_>,
        durability: Durability,
    ) -> IoResult<()> {
        (**self).write_load(offset, load, durability)
    }
}
