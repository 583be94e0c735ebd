//! The device below the format, with what has to be known to keep writes in order.

use blkproof_device::{BlockDevice, Durability, IoResult, Load};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Offset};

/// The device that holds the image.
///
/// It remembers whether anything may have been written since it was last flushed, so that a barrier
/// costs nothing where there is nothing to order. At first something may: whoever had the image
/// open before may have been killed, and what it left is taken for true from now on.
#[derive(Debug)]
pub(crate) struct ImageFile<D> {
    device: D,
    unflushed: bool,
}

impl<D: BlockDevice> ImageFile<D> {
    pub(crate) fn new(device: D) -> Self {
        Self {
            device,
            unflushed: true,
        }
    }

    pub(crate) fn device(&self) -> &D {
        &self.device
    }

    pub(crate) fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    pub(crate) fn into_device(self) -> D {
        self.device
    }

    pub(crate) fn event(&mut self, event: Event) -> IoResult<()> {
        self.device.event(event)
    }

    pub(crate) fn read(&mut self, offset: u64, buf: &mut [u8]) -> IoResult<()> {
        self.device.read_at(Offset(offset), buf)
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> IoResult<()> {
        self.unflushed = true;
        self.device
            .write_at(Offset(offset), data, Durability::Later)
    }

    pub(crate) fn write_load(&mut self, offset: u64, load: Load<'_>) -> IoResult<()> {
        self.unflushed = true;
        self.device
            .write_load(Offset(offset), load, Durability::Later)
    }

    pub(crate) fn write_zeroes(&mut self, range: ByteRange) -> IoResult<()> {
        self.unflushed = true;
        self.device.write_zeroes(range, true)
    }

    pub(crate) fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.unflushed = true;
        self.device.discard(range)
    }

    pub(crate) fn size(&self) -> u64 {
        self.device.size().0
    }

    /// Makes what was written so far durable before anything that is written later.
    pub(crate) fn barrier(&mut self) -> IoResult<()> {
        if self.unflushed {
            self.flush()?;
        }
        Ok(())
    }

    /// Makes what was written so far durable.
    pub(crate) fn flush(&mut self) -> IoResult<()> {
        self.device.flush()?;
        self.unflushed = false;
        Ok(())
    }
}
