//! Open devices: what a store hands out.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno, ImageName, IoType, Layer as Side, Length, Offset, Place};

use crate::block_device::{BlockDevice, BlockStatus, Durability, IoResult};
use crate::desk::Desk;
use crate::layer::{Io, Layer};
use crate::parcel::{Load, Parcel};
use crate::trace::{Counters, Traced};
use crate::visible::{Piece, Visible};
use crate::volatile::{Cached, Volatile};

/// A device that its handles share, or, with `()`, the fault layer above a format.
pub(crate) struct Shared<D> {
    pub(crate) desk: Desk,
    /// The events that the layer wants to see, as bits, so that the others need no lock.
    events: AtomicU64,
    slot: Mutex<Slot<D>>,
}

/// A device with its fault layer.
pub(crate) struct Slot<D> {
    pub(crate) disk: D,
    pub(crate) counters: Counters,
    pub(crate) version: Version,
    pub(crate) layer: Option<Box<Layer>>,
    /// The volatile cache. Where there is one, the layer sends every change and flush through it.
    cache: Option<Box<Volatile>>,
}

/// Which device of its store it is, and how often it may have changed: while a name's version stays
/// the same, so does everything that can be read of it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Version {
    /// Different for the devices of a name that came about one after the other.
    pub device: u64,
    /// Grows with every request but reads and queries, whoever makes it.
    pub changes: u64,
}

impl<D> Slot<D> {
    /// Returns the disk for a request that may change it.
    fn changing(&mut self) -> &mut D {
        self.version.changes += 1;
        &mut self.disk
    }

    /// Tells whether a request is known to go to the device as it is.
    #[inline]
    pub(crate) fn is_calm(&self, kind: IoType, range: ByteRange) -> bool {
        let layer = self.layer.as_ref();
        layer.is_none_or(|layer| layer.is_calm(kind, range))
    }

    /// Tells whether a request goes to the device as it is, though the layer has to be asked.
    pub(crate) fn is_plain(&mut self, kind: IoType, range: ByteRange, desk: &Desk) -> bool {
        self.is_calm(kind, range)
            || self.cache.is_none() && acting(&mut self.layer, kind, range, desk).is_none()
    }
}

impl<D: BlockDevice> Slot<D> {
    /// Passes a request through the layer to the device. It is kept apart from the short way, which
    /// most requests go.
    #[inline(never)]
    fn pass(&mut self, range: ByteRange, mut io: Io<'_>, desk: &Desk, opened: u64) -> IoResult<()> {
        let layer = acting(&mut self.layer, io.kind(), range, desk);
        match (layer, &mut self.cache) {
            (Some(layer), None) => layer.request(&mut self.disk, range, io, desk),
            (None, None) => io.carry_out(&mut self.disk, range),
            (layer, Some(cache)) => {
                let mut cached = Cached {
                    disk: &mut self.disk,
                    cache,
                    desk,
                    opened,
                };
                match layer {
                    Some(layer) => layer.request(&mut cached, range, io, desk),
                    None => io.carry_out(&mut cached, range),
                }
            }
        }
    }

    /// Returns the device and its cache.
    pub(crate) fn cached(&mut self) -> (&mut D, Option<&mut Volatile>) {
        (&mut self.disk, self.cache.as_deref_mut())
    }

    /// Changes the size of the device.
    fn resize(&mut self, size: Length, desk: &Desk, opened: u64) -> IoResult<()> {
        match &mut self.cache {
            None => self.disk.set_size(size),
            Some(cache) => {
                let mut cached = Cached {
                    disk: &mut self.disk,
                    cache,
                    desk,
                    opened,
                };
                cached.set_size(size)
            }
        }
    }
}

/// Returns the layer if a request has to go through it.
pub(crate) fn acting<'a>(
    layer: &'a mut Option<Box<Layer>>,
    kind: IoType,
    range: ByteRange,
    desk: &Desk,
) -> Option<&'a mut Layer> {
    let layer = layer.as_deref_mut()?;
    (!desk.is_quiet() && layer.meets(kind, range)).then_some(layer)
}

impl<D> Shared<D> {
    pub(crate) fn new(disk: D, layer: Option<Box<Layer>>, desk: &Desk) -> Arc<Self> {
        let shared = Self {
            desk: desk.clone(),
            events: AtomicU64::new(0),
            slot: Mutex::new(Slot {
                disk,
                counters: Counters::default(),
                version: Version::default(),
                layer: None,
                cache: None,
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
        self.events.store(events, Ordering::Relaxed);
        result
    }

    /// Returns a copy on another desk, made of a copy of the device.
    pub(crate) fn fork(&self, desk: &Desk, copy: impl FnOnce(&D) -> D) -> Arc<Self> {
        let slot = self.lock();
        let fork = Self::new(copy(&slot.disk), slot.layer.clone(), desk);
        let mut copied = fork.lock();
        (copied.counters, copied.version) = (slot.counters, slot.version);
        copied.cache = slot.cache.clone();
        drop(copied);
        fork
    }

    /// Gives the device a volatile cache, empty, or takes it away.
    pub(crate) fn set_cached(&self, cached: bool, image: &ImageName) {
        self.with_layer(|layer| {
            let place = || Place {
                image: image.clone(),
                layer: Side::File,
            };
            let layer = layer.get_or_insert_with(|| Box::new(Layer::new(place())));
            layer.set_cached(cached);
        });
        let cache = || Box::new(Volatile::new(image.clone()));
        self.lock().cache = cached.then(cache);
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
pub(crate) struct Handle<D> {
    shared: Arc<Shared<D>>,
    /// How many losses of power there had been when it was opened.
    opened: u64,
}

impl<D> Handle<D> {
    pub(crate) fn new(shared: Arc<Shared<D>>) -> Self {
        let opened = shared.desk.meter().losses();
        Self { shared, opened }
    }
}

/// Passes a request to a device, through its layer where that may have something to say.
macro_rules! pass {
    ($handle:expr, $kind:ident, $range:expr, $io:expr, |$disk:ident| $plain:expr) => {
        pass!($handle, $kind, $range, $io, 0, |$disk| $plain)
    };
    ($handle:expr, $kind:ident, $range:expr, $io:expr, $bytes:expr, |$disk:ident| $plain:expr) => {{
        let shared = &$handle.shared;
        shared.desk.meter().spend($bytes as u64);
        let mut slot = shared.lock();
        slot.counters.count(IoType::$kind);
        slot.version.changes += u64::from(!matches!(IoType::$kind, IoType::Read));
        if slot.is_calm(IoType::$kind, $range) {
            let $disk = &mut slot.disk;
            $plain
        } else {
            slot.pass($range, $io, &shared.desk, $handle.opened)
        }
    }};
}

impl<D: BlockDevice> BlockDevice for Handle<D> {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        let bytes = buf.len();
        pass!(
            self,
            Read,
            span(offset, buf),
            Io::Read(buf),
            bytes,
            |disk| disk.read_at(offset, buf)
        )
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        let io = Io::Write(data, durability);
        pass!(self, Write, span(offset, data), io, data.len(), |disk| disk
            .write_at(offset, data, durability))
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        let io = Io::Compressed(data);
        pass!(self, Write, span(offset, data), io, data.len(), |disk| disk
            .write_compressed(offset, data))
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        let io = Io::WriteZeroes { unmap };
        pass!(self, WriteZeroes, range, io, |disk| disk
            .write_zeroes(range, unmap))
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        pass!(self, Discard, range, Io::Discard, |disk| disk
            .discard(range))
    }

    fn flush(&mut self) -> IoResult<()> {
        let range = ByteRange::default();
        pass!(self, Flush, range, Io::Flush, |disk| disk.flush())
    }

    fn size(&self) -> Length {
        self.shared.lock().disk.size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        self.shared.desk.meter().spend(0);
        let mut slot = self.shared.lock();
        slot.version.changes += 1;
        let desk = &self.shared.desk;
        let result = slot.resize(size, desk, self.opened);
        if let Some(layer) = &mut slot.layer {
            layer.resized(Traced::Resize(size), &result, desk);
        }
        result
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        self.shared.desk.meter().spend(0);
        let mut slot = self.shared.lock();
        slot.counters.count(IoType::BlockStatus);
        if slot.is_calm(IoType::BlockStatus, range) {
            return slot.disk.block_status(range);
        }
        let mut answer = None;
        let io = Io::BlockStatus(&mut answer);
        slot.pass(range, io, &self.shared.desk, self.opened)?;
        // No rule acknowledges a query without having it answered.
        answer.map_or_else(|| slot.disk.block_status(range), Ok)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.shared.event(event)
    }

    fn read_parcel(&mut self, range: ByteRange, parcel: &mut Parcel) -> IoResult<()> {
        let shared = &self.shared;
        let mut slot = shared.lock();
        if slot.is_plain(IoType::Read, range, &shared.desk) {
            shared.desk.meter().spend(range.len);
            slot.counters.count(IoType::Read);
            return slot.disk.read_parcel(range, parcel);
        }
        drop(slot);
        // Rules, caches and traces see bytes.
        let len = usize::try_from(range.len).map_err(|_| Errno::ENOMEM)?;
        self.read_at(Offset(range.start), parcel.add_room(len))
    }

    fn write_load(
        &mut self,
        offset: Offset,
        load: Load<'_>,
        durability: Durability,
    ) -> IoResult<()> {
        let range = ByteRange::between(offset.0, offset.0.saturating_add(load.len()));
        let shared = &self.shared;
        shared.desk.meter().spend(load.len());
        let mut slot = shared.lock();
        slot.counters.count(IoType::Write);
        slot.version.changes += 1;
        if slot.is_plain(IoType::Write, range, &shared.desk) {
            return slot.disk.write_load(offset, load, durability);
        }
        let pool = shared.desk.pool();
        let mut scratch = pool.take_scratch();
        let io = Io::Write(load.flat(&mut scratch), durability);
        let result = slot.pass(range, io, &shared.desk, self.opened);
        pool.keep_scratch(scratch);
        result
    }
}

/// Returns the bytes of a request; a request that no device can have has none behind the last.
pub(crate) fn span(offset: Offset, bytes: &[u8]) -> ByteRange {
    ByteRange::between(offset.0, offset.0.saturating_add(bytes.len() as u64))
}

/// An open device beneath its faults and its trace.
pub(crate) struct Plain<D>(pub(crate) Arc<Shared<D>>);

impl<D: BlockDevice> BlockDevice for Plain<D> {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        self.0.lock().disk.read_at(offset, buf)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        self.0.lock().changing().write_at(offset, data, durability)
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        self.0.lock().changing().write_compressed(offset, data)
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        self.0.lock().changing().write_zeroes(range, unmap)
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.0.lock().changing().discard(range)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.0.lock().changing().flush()
    }

    fn size(&self) -> Length {
        self.0.lock().disk.size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        self.0.lock().changing().set_size(size)
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        self.0.lock().disk.block_status(range)
    }

    fn event(&mut self, _: Event) -> IoResult<()> {
        Ok(())
    }
}

impl<D: Visible> Visible for Plain<D> {
    fn visit(&mut self, range: ByteRange, see: &mut dyn FnMut(Piece<'_>)) -> IoResult<()> {
        self.0.lock().disk.visit(range, see)
    }
}

impl<D: fmt::Debug> fmt::Debug for Handle<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle")
            .field(&self.shared.lock().disk)
            .finish()
    }
}

impl<D: fmt::Debug> fmt::Debug for Plain<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plain").field(&self.0.lock().disk).finish()
    }
}
