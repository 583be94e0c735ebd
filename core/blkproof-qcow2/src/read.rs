//! Reading.

use blkproof_device::BlockDevice;
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Offset};

use crate::entry::Kind;
use crate::error::Inner;
use crate::image::Qcow2;
use crate::num::index;

impl<D: BlockDevice> Qcow2<D> {
    /// Reads what the guest sees at `position`. Positions behind the end of the image are allowed.
    pub(crate) fn read(&mut self, mut position: u64, mut buf: &mut [u8]) -> Inner<()> {
        while !buf.is_empty() {
            let (kind, span) = self.look_up(position, buf.len() as u64)?;
            let len = index(span.min(buf.len() as u64));
            let (part, rest) = buf.split_at_mut(len);
            self.read_part(kind, position, part)?;
            position += len as u64;
            buf = rest;
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

    fn read_part(&mut self, kind: Kind, position: u64, part: &mut [u8]) -> Inner<()> {
        match kind {
            Kind::Zero | Kind::ZeroReserved(_) => part.fill(0),
            Kind::Hole => self.read_backing(position, part)?,
            Kind::Data(host) => {
                self.file.event(Event::ReadAio)?;
                self.file.read(host + self.layout.within(position), part)?;
            }
            Kind::Compressed(packed) => {
                self.file.event(Event::ReadCompressed)?;
                self.read_packed(packed, self.layout.within(position), part)?;
            }
        }
        Ok(())
    }

    /// Reads what the backing file has, which is zeroes behind its end.
    fn read_backing(&mut self, position: u64, part: &mut [u8]) -> Inner<()> {
        let Some(backing) = &mut self.backing else {
            part.fill(0);
            return Ok(());
        };
        let wanted = ByteRange::new(position, part.len() as u64);
        let there = wanted.intersect(ByteRange::new(0, backing.size().0));
        let (covered, behind) = part.split_at_mut(index(there.len));
        behind.fill(0);
        if !covered.is_empty() {
            self.file.event(Event::ReadBackingAio)?;
            backing.read_at(Offset(position), covered)?;
        }
        Ok(())
    }
}
