//! One L2 table of zero clusters for many L1 entries.
//!
//! Zeroes over a long run that a backing file lies under have to be written down: without a table,
//! the backing file would shine through. A table for each L1 entry would cost in proportion to the
//! run (2 GiB for 16 TiB); instead all whole tables of the run are one and the same, as tables are
//! that a snapshot shares. Its refcount says how often it is used, the L1 entries do not claim it
//! for themselves, and a write below one of them makes a copy first.
//!
//! An entry whose table has a refcount of one must say so. A shared table that is left with one
//! user is therefore given up: before its count is written, its last user gets a table of its own.

use blkproof_device::BlockDevice;
use blkproof_spec::fault::Event;

use crate::entry::{COPIED, ZERO};
use crate::error::Inner;
use crate::image::Qcow2;
use crate::layout::{OFFSET_MASK, Run};
use crate::num::{alike, index};

impl<D: BlockDevice> Qcow2<D> {
    /// Lets the whole tables from `at` on, which are missing, be zeroes. Returns up to where it
    /// did: `at` itself where a table of its own is as good.
    pub(crate) fn link_zero_table(&mut self, at: u64, end: u64) -> Inner<u64> {
        let bits = self.layout.table_span_bits();
        let first = at >> bits;
        let image_end = self.layout.up(self.header.size);
        let limit = if end == image_end {
            end.div_ceil(1 << bits)
        } else {
            end >> bits
        };
        if self.layout.version < 3 || !at.is_multiple_of(1 << bits) || limit < first + 2 {
            return Ok(at);
        }
        let found = self.l1.next_nonzero(&mut self.file, first, limit)?;
        let limit = found.map_or(limit, |(index, _)| index);
        let most = self.layout.refcount_max().min(limit - first);
        if most < 2 {
            return Ok(at);
        }
        let table = self.take_zero_table(most)?;
        self.recent = None;
        self.l1.fill(first, most, table);
        Ok(((first + most) << bits).min(end))
    }

    /// Returns where a table of zero clusters lies that is counted for `users` more uses.
    fn take_zero_table(&mut self, users: u64) -> Inner<u64> {
        let known = *self.refcounts.zero_table();
        if known != 0 {
            let cluster = known >> self.layout.cluster_bits;
            if self.refcounts.users(&mut self.file, cluster)? > 1
                && self.refcounts.share(&mut self.file, cluster, users)?
            {
                return Ok(known);
            }
        }
        let run = self.refcounts.alloc(&mut self.file, 1)?;
        let written = self.write_zero_table(run, users);
        if let Err(trouble) = written {
            self.refcounts.give_back(&mut self.file, run);
            return Err(trouble);
        }
        let offset = self.layout.bytes(run).start;
        *self.refcounts.zero_table() = offset;
        Ok(offset)
    }

    fn write_zero_table(&mut self, run: Run, users: u64) -> Inner<()> {
        let range = self.layout.bytes(run);
        self.file.event(Event::L2AllocWrite)?;
        self.file.event(Event::L2Update)?;
        self.scratch.resize(index(range.len), 0);
        let (entries, _) = self.scratch.as_chunks_mut::<8>();
        entries.fill(ZERO.to_be_bytes());
        self.l2.remove(range);
        self.file
            .write(range.start, &self.scratch[..index(range.len)])?;
        // The count goes up last, when nothing can fail any more.
        self.refcounts.share(&mut self.file, run.first, users - 1)?;
        Ok(())
    }

    /// Tells whether a table has nothing but zero clusters, as far as that is known.
    pub(crate) fn is_zero_table(&mut self, l1_entry: u64) -> bool {
        let offset = l1_entry & OFFSET_MASK;
        l1_entry & COPIED == 0 && offset != 0 && offset == *self.refcounts.zero_table()
    }

    /// Looks whether a shared table, to which an L1 entry leads, has nothing but zero clusters.
    pub(crate) fn examine_table(&mut self, position: u64, l1_entry: u64) -> Inner<bool> {
        if l1_entry & COPIED != 0 || l1_entry == 0 {
            return Ok(false);
        }
        if self.is_zero_table(l1_entry) {
            return Ok(true);
        }
        let bits = self.layout.table_span_bits();
        let start = position >> bits << bits;
        for slice in (start..start + (1 << bits)).step_by(1 << self.layout.slice_span_bits()) {
            let Some(slot) = self.slice(slice)? else {
                return Ok(false);
            };
            let entries = self.l2.entries(slot);
            if entries[0] != ZERO.to_be_bytes() || alike(entries) < entries.len() {
                return Ok(false);
            }
        }
        *self.refcounts.zero_table() = l1_entry & OFFSET_MASK;
        Ok(true)
    }

    /// Remembers that a shared table lost a user.
    pub(crate) fn note_lost_user(&mut self, l1_entry: u64) {
        let cluster = (l1_entry & OFFSET_MASK) >> self.layout.cluster_bits;
        if l1_entry & COPIED == 0 && !self.lonely.contains(&cluster) {
            self.lonely.push(cluster);
        }
    }

    /// Gives tables of their own to the last users of shared tables.
    pub(crate) fn settle_lonely(&mut self) -> Inner<()> {
        while let Some(&cluster) = self.lonely.last() {
            if self.refcounts.users(&mut self.file, cluster)? == 1
                && let Some(position) = self.find_user(cluster)?
            {
                let entry = self.l1_entry(position)?;
                self.own_table(position, entry)?;
            }
            self.lonely.retain(|other| *other != cluster);
        }
        Ok(())
    }

    /// Returns a position that a table maps, by the table's cluster. A snapshot's table has none.
    fn find_user(&mut self, cluster: u64) -> Inner<Option<u64>> {
        let offset = cluster << self.layout.cluster_bits;
        let mut at = 0;
        let end = self.l1.entries();
        while let Some((found, entry)) = self.l1.next_nonzero(&mut self.file, at, end)? {
            if entry & OFFSET_MASK == offset {
                return Ok(Some(found << self.layout.table_span_bits()));
            }
            at = found + 1;
        }
        Ok(None)
    }
}
