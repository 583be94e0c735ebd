//! What a store lays over an image's format: the fault layer above it.

use core::fmt;
use std::sync::Arc;

use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno, IoType, Length, Offset};

use crate::block_device::{BlockDevice, BlockStatus, Durability, IoResult};
use crate::handle::{Shared, acting, span};
use crate::layer::Io;
use crate::parcel::{Load, Parcel};
use crate::trace::Traced;

/// A format device behind the fault layer above it.
///
/// The layer is locked while the format works. That is sound because a format's requests go to
/// places below it, never back to its own.
pub(crate) struct AboveFormat {
    pub(crate) format: Box<dyn BlockDevice>,
    pub(crate) place: Arc<Shared<()>>,
}

impl AboveFormat {
    /// Tells whether a request goes to the format as it is, and counts it if so.
    fn is_plain(&self, kind: IoType, range: ByteRange) -> bool {
        let mut slot = self.place.lock();
        let plain = slot.is_plain(kind, range, &self.place.desk);
        if plain {
            slot.counters.count(kind);
        }
        plain
    }

    fn pass(&mut self, range: ByteRange, mut io: Io<'_>) -> IoResult<()> {
        let mut slot = self.place.lock();
        slot.counters.count(io.kind());
        let desk = &self.place.desk;
        let _enclosed = desk.enter(io.kind(), range);
        if !slot.is_calm(io.kind(), range)
            && let Some(layer) = acting(&mut slot.layer, io.kind(), range, desk)
        {
            return layer.request(&mut *self.format, range, io, desk);
        }
        drop(slot);
        io.carry_out(&mut *self.format, range)
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
        // No request has such a range.
        let enclosed = self
            .place
            .desk
            .enter(IoType::Write, ByteRange::new(size.0, 0));
        let result = self.format.set_size(size);
        drop(enclosed);
        if let Some(layer) = &mut self.place.lock().layer {
            layer.resized(Traced::Resize(size), &result, &self.place.desk);
        }
        result
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        let mut answer = None;
        self.pass(range, Io::BlockStatus(&mut answer))?;
        // No rule acknowledges a query without having it answered.
        answer.map_or_else(|| self.format.block_status(range), Ok)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.place.event(event)
    }

    fn read_parcel(&mut self, range: ByteRange, parcel: &mut Parcel) -> IoResult<()> {
        if self.is_plain(IoType::Read, range) {
            let _enclosed = self.place.desk.enter(IoType::Read, range);
            return self.format.read_parcel(range, parcel);
        }
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
        if self.is_plain(IoType::Write, range) {
            let _enclosed = self.place.desk.enter(IoType::Write, range);
            return self.format.write_load(offset, load, durability);
        }
        self.write_at(offset, load.flat(&mut Vec::new()), durability)
    }
}

impl fmt::Debug for AboveFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AboveFormat").field(&self.format).finish()
    }
}
