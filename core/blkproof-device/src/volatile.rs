//! The volatile cache of a device: what was written to it and is not durable yet.
//!
//! The device below holds what a reader sees. Beside it the cache keeps, for each operation since
//! the last flush, what the operation put down and what stood there before, so that a loss of power
//! can take any of them back. Nothing of this is asked for where a device has no cache, and reads
//! never come here.
//!
//! A cut in the midst of an operation unwinds the caller: it is at this very moment that nothing of
//! it goes on, and nothing that it would still have done or said may be seen.

mod fate;
mod log;

use std::panic::resume_unwind;

use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno, IoType, Length, Offset};

use crate::block_device::{BlockDevice, BlockStatus, Durability, IoResult};
use crate::desk::Desk;
use crate::record::Operation;

pub(crate) use fate::{Fate, Fates};
pub(crate) use log::Volatile;

/// What a caller is unwound with in whose midst the power is cut, or its process killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PowerLoss;

/// An operation that is not durable yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    /// Its number among all operations of the store that change something or make it durable.
    pub number: u64,
    /// Its kind; `None` is a change of size.
    pub kind: Option<IoType>,
    /// The bytes that it changed.
    pub range: ByteRange,
}

/// A device with its cache, for the duration of one request.
pub(crate) struct Cached<'a, D: ?Sized> {
    pub(crate) disk: &'a mut D,
    pub(crate) cache: &'a mut Volatile,
    pub(crate) desk: &'a Desk,
    /// How many losses of power there had been when the caller opened the device.
    pub(crate) opened: u64,
}

impl<D: BlockDevice + ?Sized> Cached<'_, D> {
    /// Tells whether the power is on and the caller is not one of before the last loss of it.
    fn check(&self) -> IoResult<()> {
        if self.desk.meter().is_off() || self.opened != self.desk.meter().losses() {
            return Err(Errno::EIO.into());
        }
        Ok(())
    }

    /// Counts an operation, and says its number.
    fn begin(&self, what: impl FnOnce() -> Operation) -> u64 {
        let number = self.desk.meter().count();
        self.desk.record(self.cache.image(), what);
        number
    }

    /// Unwinds the caller if it is at this operation that the power is cut.
    fn end(&self, number: u64) {
        if self.desk.meter().strikes(number) {
            self.desk.record_strike();
            resume_unwind(Box::new(PowerLoss));
        }
    }

    /// Carries out an operation that changes `range`, or the size.
    fn change(
        &mut self,
        kind: Option<IoType>,
        range: ByteRange,
        data: &[u8],
        what: impl FnOnce() -> Operation,
        act: impl FnOnce(&mut D) -> IoResult<()>,
    ) -> IoResult<u64> {
        self.check()?;
        let number = self.begin(what);
        let mark = self.cache.begin(self.disk, number, kind, range)?;
        match act(self.disk) {
            Ok(()) => self.cache.commit(self.disk, mark, data)?,
            Err(error) => {
                self.cache.commit_failed(self.disk, mark, data);
                return Err(error);
            }
        }
        Ok(number)
    }
}

impl<D: BlockDevice + ?Sized> BlockDevice for Cached<'_, D> {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        self.disk.read_at(offset, buf)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        let range = ByteRange::checked(offset.0, data.len() as u64).ok_or(Errno::EFBIG)?;
        let what = || Operation::Write {
            start: range.start,
            data: data.to_vec(),
            fua: durability == Durability::Now,
        };
        let number = self.change(Some(IoType::Write), range, data, what, |disk| {
            disk.write_at(offset, data, Durability::Later)
        })?;
        self.end(number);
        if durability == Durability::Now {
            self.cache.make_durable(number);
        }
        Ok(())
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        self.disk.write_compressed(offset, data)
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        let what = || Operation::WriteZeroes { range, unmap };
        let number = self.change(Some(IoType::WriteZeroes), range, &[], what, |disk| {
            disk.write_zeroes(range, unmap)
        })?;
        self.end(number);
        Ok(())
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        let what = || Operation::Discard(range);
        let number = self.change(Some(IoType::Discard), range, &[], what, |disk| {
            disk.discard(range)
        })?;
        self.end(number);
        Ok(())
    }

    fn flush(&mut self) -> IoResult<()> {
        self.check()?;
        let number = self.begin(|| Operation::Flush);
        self.end(number);
        self.disk.flush()?;
        self.cache.clear();
        Ok(())
    }

    fn size(&self) -> Length {
        self.disk.size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        let cut = ByteRange::between(size.0, self.disk.size().0);
        let what = || Operation::Resize(size);
        let number = self.change(None, cut, &[], what, |disk| disk.set_size(size))?;
        self.end(number);
        Ok(())
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        self.disk.block_status(range)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.disk.event(event)
    }
}

impl<D: ?Sized> core::fmt::Debug for Cached<'_, D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}
