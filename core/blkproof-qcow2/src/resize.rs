//! Another size.
//!
//! A size is durable when it is reported, as in QEMU: what is written behind the old end would be
//! lost with it. Growing makes everything ready and writes the new size last. Shrinking looks at
//! everything that lies behind the new end, writes the new size, and then gives up what it looked
//! at. So a change of size that fails or waits changes nothing. What a shrunk image could not give
//! up stays behind its end until the size changes again, and is dropped before it could come in
//! sight.

use blkproof_device::BlockDevice;
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno, Length};

use crate::error::Inner;
use crate::header::size_max;
use crate::image::Qcow2;
use crate::layout::Run;
use crate::mistake::Mistake;
use crate::num::index;
use crate::zero::Erase;

impl<D: BlockDevice> Qcow2<D> {
    /// Changes the size, to a multiple of 512.
    pub(crate) fn resize(&mut self, size: u64) -> Inner<()> {
        self.check_writable()?;
        if !size.is_multiple_of(512) {
            return Err(Errno::EINVAL.into());
        }
        if size > size_max(Length(self.layout.cluster())).0 {
            return Err(Errno::EFBIG.into());
        }
        if self.header.snapshots > 0 && self.layout.version < 3 {
            // Version 2 does not keep the size that the image had at a snapshot.
            return Err(Errno::ENOTSUP.into());
        }
        self.begin_change()?;
        if size > self.header.size {
            self.grow(size)
        } else {
            self.shrink(size)
        }
    }

    fn shrink(&mut self, size: u64) -> Inner<()> {
        if size < self.header.size {
            self.look_behind(size)?;
            self.file.event(Event::L1ShrinkWriteTable)?;
            self.file.event(Event::L1ShrinkFreeL2Clusters)?;
            self.set_header_size(size)?;
        }
        // The image has its size, whatever becomes of this.
        let _kept = self.drop_behind(size);
        Ok(())
    }

    /// Returns the clusters that the tables map behind `size`, without the rest of its own.
    fn behind(&self, size: u64) -> ByteRange {
        let end = self.l1.entries() << self.layout.table_span_bits();
        ByteRange::between(self.layout.up(size), end)
    }

    /// Reads and checks what [`Qcow2::drop_behind`] will change.
    fn look_behind(&mut self, size: u64) -> Inner<()> {
        let behind = self.behind(size);
        let (table, slice) = (
            1 << self.layout.table_span_bits(),
            1 << self.layout.slice_span_bits(),
        );
        let mut at = behind.start;
        while at < behind.end() {
            let end = (at - at % table) + table;
            let entry = self.l1_entry(at)?;
            if entry == 0 {
                at = self.skip_tables(end, behind.end())?;
                continue;
            }
            if self.examine_table(at, entry)? {
                at = end;
            }
            while at < end {
                let next = (at - at % slice) + slice;
                self.plan_erase(ByteRange::between(at, next), Erase::Drop)?;
                at = next;
            }
        }
        Ok(())
    }

    /// Drops everything that is mapped behind `size`, except the rest of its cluster.
    fn drop_behind(&mut self, size: u64) -> Inner<()> {
        self.erase(self.behind(size), Erase::Drop)
    }

    fn set_header_size(&mut self, size: u64) -> Inner<()> {
        let old = core::mem::replace(&mut self.header.size, size);
        let written = self.write_header_fields().and_then(|()| {
            if self.makes(Mistake::ResizeIsVolatile) {
                return Ok(());
            }
            self.file.flush().map_err(Into::into)
        });
        if written.is_err() {
            self.header_dirty = true;
            // What the file holds now is not known; the flag has the old size written again.
            self.header.size = old;
        }
        written
    }

    fn grow(&mut self, size: u64) -> Inner<()> {
        let old = self.header.size;
        if self.makes(Mistake::SizeBeforeTable) {
            self.set_header_size(size)?;
        }
        self.drop_behind(old)?;
        let entries = self.layout.l1_entries(size);
        if entries > self.l1.entries() {
            self.grow_l1(entries)?;
        }
        let tail = ByteRange::between(old, self.layout.up(old));
        if !tail.is_empty() {
            self.zero_fragments(tail)?;
        }
        let longer = match &self.backing {
            Some(backing) => backing.size().0.min(size),
            None => 0,
        };
        let exposed = ByteRange::between(self.layout.up(old), self.layout.up(longer));
        if !exposed.is_empty() && !self.makes(Mistake::GrowthExposes) {
            self.erase(exposed, Erase::Unmap)?;
        }
        self.write_metadata()?;
        self.file.barrier()?;
        self.set_header_size(size)
    }

    /// Makes room for more L1 entries: behind the others where their last cluster has it, else in a
    /// new place.
    fn grow_l1(&mut self, entries: u64) -> Inner<()> {
        self.write_metadata()?;
        self.file.event(Event::L1GrowAllocTable)?;
        let old = self.l1.range();
        let room = self.layout.up(old.len);
        if entries * 8 <= room {
            let zeroes = vec![0; index(entries * 8 - old.len)];
            self.file.event(Event::L1GrowWriteTable)?;
            self.file.write(old.end(), &zeroes)?;
            return self.activate_l1(old.start, entries, None);
        }
        let count = self.layout.clusters(entries * 8);
        let run = self.refcounts.alloc_exact(&mut self.file, count)?;
        let range = self.layout.bytes(run);
        let moved = self.write_l1(range).and_then(|()| {
            self.file
                .event(Event::L1GrowActivateTable)
                .map_err(Into::into)
        });
        if let Err(trouble) = moved {
            self.refcounts.give_back(&mut self.file, run);
            return Err(trouble);
        }
        let given_up = (old.len > 0).then(|| self.layout.run(old.start, old.len));
        self.activate_l1(range.start, entries, given_up)
    }

    /// Writes the entries of the L1 table to a new place.
    fn write_l1(&mut self, range: ByteRange) -> Inner<()> {
        self.refcounts.write(&mut self.file)?;
        self.file.event(Event::L1GrowWriteTable)?;
        self.file.write_zeroes(range)?;
        if self.file.size() < range.end() {
            self.file.write(range.end() - 512, &[0; 512])?;
        }
        self.l1.copy_over(&mut self.file, range.start)?;
        self.file.barrier()?;
        Ok(())
    }

    /// Lets the header name the L1 table's new place and length.
    fn activate_l1(&mut self, offset: u64, entries: u64, old: Option<Run>) -> Inner<()> {
        self.file.barrier()?;
        self.l1.relocate(offset, entries);
        self.header.l1_offset = offset;
        self.header.l1_entries = entries;
        self.refcounts.reserve_tables(self.l1.range());
        if let Some(run) = old {
            self.refcounts.release(run);
        }
        self.write_header_fields()
    }
}
