//! Reading.

use blkproof_device::{BlockDevice, IoResult, Parcel};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Offset};

use crate::entry::Kind;
use crate::error::Inner;
use crate::image::Qcow2;
use crate::num::index;

impl<D: BlockDevice> Qcow2<D> {
    /// Reads `len` bytes of what the guest sees at `position`, which may lie behind the end of the
    /// image.
    pub(crate) fn read(&mut self, position: u64, len: u64, sink: &mut Sink<'_>) -> Inner<()> {
        let end = position + len;
        let mut at = position;
        while at < end {
            let (kind, span) = self.look_up(at, end - at)?;
            let part = ByteRange::new(at, span.min(end - at));
            self.read_part(kind, part, sink)?;
            at = part.end();
        }
        Ok(())
    }

    /// Returns the kind of the cluster at `position`, and for how many bytes from there on it
    /// holds: not much more than `len`.
    pub(crate) fn look_up(&mut self, position: u64, len: u64) -> Inner<(Kind, u64)> {
        let Some(slot) = self.slice(position)? else {
            let table = 1 << self.layout.table_span_bits();
            return Ok((Kind::Hole, table - (position & (table - 1))));
        };
        let max = self.layout.clusters(self.layout.within(position) + len);
        let extent = self.extent(slot, position, max)?;
        Ok((extent.kind, self.span(position, extent.count)))
    }

    fn read_part(&mut self, kind: Kind, part: ByteRange, sink: &mut Sink<'_>) -> Inner<()> {
        match kind {
            Kind::Zero | Kind::ZeroReserved(_) => sink.zeroes(part.len),
            Kind::Hole => self.read_backing(part, sink)?,
            Kind::Data(host) => {
                self.file.event(Event::ReadAio)?;
                let there = host + self.layout.within(part.start);
                sink.read(self.file.device_mut(), ByteRange::new(there, part.len))?;
            }
            Kind::Compressed(packed) => {
                self.file.event(Event::ReadCompressed)?;
                let room = sink.room(index(part.len));
                self.read_packed(packed, self.layout.within(part.start), room)?;
            }
        }
        Ok(())
    }

    /// Reads what the backing file has, which is zeroes behind its end.
    fn read_backing(&mut self, wanted: ByteRange, sink: &mut Sink<'_>) -> Inner<()> {
        let Some(backing) = &mut self.backing else {
            sink.zeroes(wanted.len);
            return Ok(());
        };
        let there = wanted.intersect(ByteRange::new(0, backing.size().0));
        if !there.is_empty() {
            self.file.event(Event::ReadBackingAio)?;
            sink.read(&mut **backing, there)?;
        }
        sink.zeroes(wanted.len - there.len);
        Ok(())
    }
}

/// Where what is read goes, from its start on.
pub(crate) enum Sink<'a> {
    /// What is left of a buffer that is to be filled.
    Bytes(&'a mut [u8]),
    Parcel(&'a mut Parcel),
}

impl Sink<'_> {
    fn zeroes(&mut self, len: u64) {
        match self {
            Self::Bytes(_) => self.room(index(len)).fill(0),
            Self::Parcel(parcel) => parcel.add_zeroes(len),
        }
    }

    fn read<D: BlockDevice + ?Sized>(&mut self, device: &mut D, range: ByteRange) -> IoResult<()> {
        match self {
            Self::Bytes(_) => device.read_at(Offset(range.start), self.room(index(range.len))),
            Self::Parcel(parcel) => device.read_parcel(range, parcel),
        }
    }

    fn room(&mut self, len: usize) -> &mut [u8] {
        match self {
            Self::Bytes(buf) => {
                let (part, rest) = core::mem::take(buf).split_at_mut(len);
                *buf = rest;
                part
            }
            Self::Parcel(parcel) => parcel.add_room(len),
        }
    }
}
