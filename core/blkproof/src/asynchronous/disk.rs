//! A device whose requests are futures.

use core::future::{Future, poll_fn};
use core::task::Poll;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blkproof_device::{BlockDevice, BlockStatus, Durability, IoResult};
use blkproof_spec::{ByteRange, Length, Offset};

/// A disk of an engine with an async interface. Clones are handles to the same disk.
///
/// A request happens when its future is polled for the second time. At the first time it gives way,
/// so that others that were begun together with it can begin too.
#[derive(Clone, Debug)]
pub struct AsyncDisk(Arc<Mutex<Box<dyn BlockDevice>>>);

impl AsyncDisk {
    /// Takes the device that a subject was given, or opened.
    #[must_use]
    pub fn new(device: Box<dyn BlockDevice>) -> Self {
        Self(Arc::new(Mutex::new(device)))
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.lock().size().0
    }

    /// Reads `buf.len()` bytes at `offset`; see [`BlockDevice::read_at`].
    ///
    /// # Errors
    ///
    /// Those of the device.
    pub async fn read_at(&self, offset: u64, buf: &mut [u8]) -> IoResult<()> {
        give_way().await;
        self.lock().read_at(Offset(offset), buf)
    }

    /// Writes `data` at `offset`; see [`BlockDevice::write_at`].
    ///
    /// # Errors
    ///
    /// Those of the device.
    pub async fn write_at(&self, offset: u64, data: &[u8], durability: Durability) -> IoResult<()> {
        give_way().await;
        self.lock().write_at(Offset(offset), data, durability)
    }

    /// Makes `range` read as zeroes; see [`BlockDevice::write_zeroes`].
    ///
    /// # Errors
    ///
    /// Those of the device.
    pub async fn write_zeroes(&self, range: ByteRange, unmap: bool) -> IoResult<()> {
        give_way().await;
        self.lock().write_zeroes(range, unmap)
    }

    /// Gives up `range`, or part of it, or nothing; see [`BlockDevice::discard`].
    ///
    /// # Errors
    ///
    /// Those of the device.
    pub async fn discard(&self, range: ByteRange) -> IoResult<()> {
        give_way().await;
        self.lock().discard(range)
    }

    /// Makes everything acknowledged so far durable; see [`BlockDevice::flush`].
    ///
    /// # Errors
    ///
    /// Those of the device.
    pub async fn flush(&self) -> IoResult<()> {
        give_way().await;
        self.lock().flush()
    }

    /// Changes the size, in bytes; see [`BlockDevice::set_size`].
    ///
    /// # Errors
    ///
    /// Those of the device.
    pub async fn set_size(&self, size: u64) -> IoResult<()> {
        give_way().await;
        self.lock().set_size(Length(size))
    }

    /// Tells what the first bytes of `range` are; see [`BlockDevice::block_status`].
    ///
    /// # Errors
    ///
    /// Those of the device.
    pub async fn block_status(&self, range: ByteRange) -> IoResult<BlockStatus> {
        give_way().await;
        self.lock().block_status(range)
    }

    /// A panic in a device leaves it as any error does.
    fn lock(&self) -> MutexGuard<'_, Box<dyn BlockDevice>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Comes to its end when it is polled for the second time.
fn give_way() -> impl Future<Output = ()> + Send {
    let mut first = true;
    poll_fn(move |context| {
        if core::mem::take(&mut first) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
}
