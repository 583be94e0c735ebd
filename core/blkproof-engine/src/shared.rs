//! A device with several owners: a disk that is at once the backing file of something else, or an
//! image that is read and written through layers and stores bitmaps below them.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blkproof_device::{BlockDevice, BlockStatus, Durability, IoResult, Load, Parcel};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Length, Offset};

/// A handle to a device that other handles use too.
pub(crate) struct Shared<T = Box<dyn BlockDevice>>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    pub(crate) fn new(device: T) -> Self {
        Self(Arc::new(Mutex::new(device)))
    }

    /// Returns the device, for as long as nobody else is to use it.
    pub(crate) fn device(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: BlockDevice> BlockDevice for Shared<T> {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        self.device().read_at(offset, buf)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        self.device().write_at(offset, data, durability)
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        self.device().write_compressed(offset, data)
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        self.device().write_zeroes(range, unmap)
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.device().discard(range)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.device().flush()
    }

    fn size(&self) -> Length {
        self.device().size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        self.device().set_size(size)
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        self.device().block_status(range)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.device().event(event)
    }

    fn read_parcel(&mut self, range: ByteRange, parcel: &mut Parcel) -> IoResult<()> {
        self.device().read_parcel(range, parcel)
    }

    fn write_load(
        &mut self,
        offset: Offset,
        load: Load<'_>,
        durability: Durability,
    ) -> IoResult<()> {
        self.device().write_load(offset, load, durability)
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&*self.device()).finish()
    }
}
