//! Open devices: what a store hands out.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, IoType, Length, Offset};

use crate::block_device::{BlockDevice, BlockStatus, Durability, IoResult};
use crate::desk::Desk;
use crate::layer::{Io, Layer, Request};
use crate::trace::{Counters, Traced};

/// A device that its handles share, or, with `()`, the fault layer above a format.
pub(crate) struct Shared<D> {
    desk: Desk,
    /// The events that the layer wants to see, as bits, so that the others need no lock.
    events: AtomicU64,
    slot: Mutex<Slot<D>>,
}

/// A device with its fault layer.
pub(crate) struct Slot<D> {
    pub(crate) disk: D,
    pub(crate) counters: Counters,
    /// Whether requests have to go through the layer.
    busy: bool,
    layer: Option<Box<Layer>>,
}

impl<D> Shared<D> {
    pub(crate) fn new(disk: D, layer: Option<Box<Layer>>, desk: &Desk) -> Arc<Self> {
        let shared = Self {
            desk: desk.clone(),
            events: AtomicU64::new(0),
            slot: Mutex::new(Slot {
                disk,
                counters: Counters::default(),
                busy: false,
                layer: None,
            }),
        };
        shared.with_layer(|slot| *slot = layer);
        Arc::new(shared)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Slot<D>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the layer, and notes what has to go through it from now on.
    pub(crate) fn with_layer<R>(&self, change: impl FnOnce(&mut Option<Box<Layer>>) -> R) -> R {
        let mut slot = self.lock();
        let result = change(&mut slot.layer);
        let layer = slot.layer.as_deref();
        let events = layer.map_or(0, Layer::events);
        let busy = layer.is_some_and(|layer| !layer.is_idle());
        self.events.store(events, Ordering::Relaxed);
        slot.busy = busy;
        result
    }

    /// Returns a copy on another desk, made of a copy of the device.
    pub(crate) fn fork(&self, desk: &Desk, copy: impl FnOnce(&D) -> D) -> Arc<Self> {
        let slot = self.lock();
        let fork = Self::new(copy(&slot.disk), slot.layer.clone(), desk);
        fork.lock().counters = slot.counters;
        fork
    }

    /// Raises the event that `blkdebug` raises when it is opened.
    pub(crate) fn opened(&self) {
        if self.wants(Event::None)
            && let Some(layer) = &mut self.lock().layer
        {
            layer.opened(&self.desk);
        }
    }

    /// Tells whether the layer may act on an event.
    fn wants(&self, event: Event) -> bool {
        self.events.load(Ordering::Relaxed) & 1 << event as u64 != 0
    }

    /// Raises an event on the layer.
    pub(crate) fn event(&self, event: Event) -> IoResult<()> {
        if !self.wants(event) || self.desk.is_quiet() {
            return Ok(());
        }
        match &mut self.lock().layer {
            Some(layer) => layer.event(event, &self.desk),
            None => Ok(()),
        }
    }
}

/// An open device behind its fault layer.
pub(crate) struct Handle<D>(pub(crate) Arc<Shared<D>>);

/// Passes a request to a device, through its layer where that has something to say.
macro_rules! pass {
    ($shared:expr, $kind:ident, $range:expr, $io:expr, |$disk:ident| $plain:expr) => {{
        let mut slot = $shared.lock();
        let slot = &mut *slot;
        slot.counters.count(IoType::$kind);
        let $disk = &mut slot.disk;
        if !slot.busy || $shared.desk.is_quiet() {
            return $plain;
        }
        match &mut slot.layer {
            Some(layer) if !layer.ignores(&Request::new(IoType::$kind, $range)) => {
                layer.request($disk, $range, $io, &$shared.desk)
            }
            _ => $plain,
        }
    }};
}

impl<D: BlockDevice> BlockDevice for Handle<D> {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        pass!(self.0, Read, span(offset, buf), Io::Read(buf), |disk| disk
            .read_at(offset, buf))
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        let io = Io::Write(data, durability);
        pass!(self.0, Write, span(offset, data), io, |disk| disk
            .write_at(offset, data, durability))
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        let io = Io::Compressed(data);
        pass!(self.0, Write, span(offset, data), io, |disk| disk
            .write_compressed(offset, data))
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        let io = Io::WriteZeroes { unmap };
        pass!(self.0, WriteZeroes, range, io, |disk| disk
            .write_zeroes(range, unmap))
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        pass!(self.0, Discard, range, Io::Discard, |disk| disk
            .discard(range))
    }

    fn flush(&mut self) -> IoResult<()> {
        let range = ByteRange::default();
        pass!(self.0, Flush, range, Io::Flush, |disk| disk.flush())
    }

    fn size(&self) -> Length {
        self.0.lock().disk.size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        let mut slot = self.0.lock();
        let result = slot.disk.set_size(size);
        if let Some(layer) = &mut slot.layer {
            layer.resized(Traced::Resize(size), &result, &self.0.desk);
        }
        result
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        let mut slot = self.0.lock();
        let slot = &mut *slot;
        slot.counters.count(IoType::BlockStatus);
        match &mut slot.layer {
            Some(layer) if slot.busy && !self.0.desk.is_quiet() => {
                status(layer, &mut slot.disk, range, &self.0.desk)
            }
            _ => slot.disk.block_status(range),
        }
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.0.event(event)
    }
}

/// Returns the bytes of a request; a request that no device can have has none behind the last.
fn span(offset: Offset, bytes: &[u8]) -> ByteRange {
    let len = (bytes.len() as u64).min(u64::MAX - offset.0);
    ByteRange::new(offset.0, len)
}

fn status<D: BlockDevice + ?Sized>(
    layer: &mut Layer,
    disk: &mut D,
    range: ByteRange,
    desk: &Desk,
) -> IoResult<BlockStatus> {
    let mut answer = None;
    layer.request(disk, range, Io::BlockStatus(&mut answer), desk)?;
    match answer {
        Some(answer) => Ok(answer),
        // No rule acknowledges a query without having it answered.
        None => disk.block_status(range),
    }
}

/// A format device behind the fault layer above it.
///
/// The layer is locked while the format works. That is sound because a format's requests go to
/// places below it, never back to its own.
pub(crate) struct AboveFormat {
    pub(crate) format: Box<dyn BlockDevice>,
    pub(crate) place: Arc<Shared<()>>,
}

impl AboveFormat {
    fn pass(&mut self, range: ByteRange, mut io: Io<'_>) -> IoResult<()> {
        let mut slot = self.place.lock();
        slot.counters.count(io.kind());
        let busy = slot.busy && !self.place.desk.is_quiet();
        match &mut slot.layer {
            Some(layer) if busy => layer.request(&mut *self.format, range, io, &self.place.desk),
            _ => {
                drop(slot);
                io.carry_out(&mut *self.format, range)
            }
        }
    }
}

impl BlockDevice for AboveFormat {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        self.pass(span(offset, buf), Io::Read(buf))
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        self.pass(span(offset, data), Io::Write(data, durability))
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        self.pass(span(offset, data), Io::Compressed(data))
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        self.pass(range, Io::WriteZeroes { unmap })
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.pass(range, Io::Discard)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.pass(ByteRange::default(), Io::Flush)
    }

    fn size(&self) -> Length {
        self.format.size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        let result = self.format.set_size(size);
        if let Some(layer) = &mut self.place.lock().layer {
            layer.resized(Traced::Resize(size), &result, &self.place.desk);
        }
        result
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        let mut slot = self.place.lock();
        slot.counters.count(IoType::BlockStatus);
        let busy = slot.busy && !self.place.desk.is_quiet();
        match &mut slot.layer {
            Some(layer) if busy => status(layer, &mut *self.format, range, &self.place.desk),
            _ => self.format.block_status(range),
        }
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.place.event(event)
    }
}

/// An open device beneath its faults and its trace.
pub(crate) struct Plain<D>(pub(crate) Arc<Shared<D>>);

impl<D: BlockDevice> BlockDevice for Plain<D> {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        self.0.lock().disk.read_at(offset, buf)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        self.0.lock().disk.write_at(offset, data, durability)
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        self.0.lock().disk.write_compressed(offset, data)
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        self.0.lock().disk.write_zeroes(range, unmap)
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.0.lock().disk.discard(range)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.0.lock().disk.flush()
    }

    fn size(&self) -> Length {
        self.0.lock().disk.size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        self.0.lock().disk.set_size(size)
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        self.0.lock().disk.block_status(range)
    }

    fn event(&mut self, _: Event) -> IoResult<()> {
        Ok(())
    }
}

impl<D: fmt::Debug> fmt::Debug for Handle<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.0.lock().disk).finish()
    }
}

impl<D: fmt::Debug> fmt::Debug for Plain<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plain").field(&self.0.lock().disk).finish()
    }
}

impl fmt::Debug for AboveFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AboveFormat").field(&self.format).finish()
    }
}
