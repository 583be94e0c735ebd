//! What a library asks of its devices, counted and held to their alignment.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use blkproof_device::{BlockDevice, BlockStatus, Durability, IoResult, PowerLoss};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno, Length, Offset};

use super::seam::Image;

/// How many requests to devices one step may take. Small images have fewer clusters.
const REQUESTS_MAX: u64 = 200_000;

/// A caller is unwound with this whose requests do not end.
struct Endless;

/// How a call of a library ended that did not return.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Unwound {
    /// The power was cut in its midst, or its process killed.
    Lost,
    /// Its requests to devices did not end.
    Endless,
    /// It panicked.
    Panic(String),
}

/// What is known of the requests of the call under way.
#[derive(Debug, Default)]
pub(super) struct Watch {
    left: AtomicU64,
    /// The call under way may be unwound; once it was, its devices only fail.
    armed: AtomicBool,
    unaligned: AtomicBool,
}

impl Watch {
    /// Calls a library.
    pub(super) fn call<T>(&self, call: impl FnOnce() -> T) -> Result<T, Unwound> {
        self.left.store(REQUESTS_MAX, Ordering::Relaxed);
        self.armed.store(true, Ordering::Relaxed);
        let result = catch_unwind(AssertUnwindSafe(call));
        self.armed.store(false, Ordering::Relaxed);
        result.map_err(|payload| {
            if payload.is::<PowerLoss>() {
                return Unwound::Lost;
            }
            if payload.is::<Endless>() {
                return Unwound::Endless;
            }
            let text = payload.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            Unwound::Panic(text.unwrap_or_else(|| "a panic without a message".to_owned()))
        })
    }

    /// Gives an image up, whatever that does.
    pub(super) fn abandon(&self, image: Option<Box<dyn Image>>) {
        self.left.store(REQUESTS_MAX, Ordering::Relaxed);
        self.armed.store(false, Ordering::Relaxed);
        // A process that is gone cannot panic any more.
        let _ = catch_unwind(AssertUnwindSafe(|| image.map(|image| image.abandon())));
    }

    /// Tells whether a request had not the alignment of its device, and forgets it.
    pub(super) fn take_unaligned(&self) -> bool {
        self.unaligned.swap(false, Ordering::Relaxed)
    }

    fn count(&self) -> IoResult<()> {
        let left = self.left.load(Ordering::Relaxed);
        if let Some(left) = left.checked_sub(1) {
            self.left.store(left, Ordering::Relaxed);
            return Ok(());
        }
        // Once: what is dropped on the way asks again, and must not unwind anew.
        if self.armed.swap(false, Ordering::Relaxed) {
            resume_unwind(Box::new(Endless));
        }
        Err(Errno::EIO.into())
    }
}

/// A device that counts, and notes requests without the alignment that it asks for.
pub(super) struct Watched {
    pub(super) device: Box<dyn BlockDevice>,
    pub(super) watch: Arc<Watch>,
    pub(super) align: u64,
}

impl Watched {
    fn check(&self, start: u64, len: u64) -> IoResult<()> {
        if !start.is_multiple_of(self.align) || !len.is_multiple_of(self.align) {
            self.watch.unaligned.store(true, Ordering::Relaxed);
        }
        self.watch.count()
    }
}

impl BlockDevice for Watched {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        self.check(offset.0, buf.len() as u64)?;
        self.device.read_at(offset, buf)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        self.check(offset.0, data.len() as u64)?;
        self.device.write_at(offset, data, durability)
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        self.check(offset.0, data.len() as u64)?;
        self.device.write_compressed(offset, data)
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        self.check(range.start, range.len)?;
        self.device.write_zeroes(range, unmap)
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.check(range.start, range.len)?;
        self.device.discard(range)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.watch.count()?;
        self.device.flush()
    }

    fn size(&self) -> Length {
        self.device.size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        self.watch.count()?;
        self.device.set_size(size)
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        self.watch.count()?;
        self.device.block_status(range)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.device.event(event)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.device.fmt(f)
    }
}
