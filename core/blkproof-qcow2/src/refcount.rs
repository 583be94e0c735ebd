//! The refcounts of host clusters, and with them the allocator.
//!
//! Counts go up at once, in memory, and reach the file before any table entry that relies on them.
//! They go down late: a cluster that is no longer used is only noted, and counted down when the
//! entries that pointed to it are known to be gone from the file. So a cluster is never used for
//! something new while an entry in the file still points to it, whatever fails or loses its power
//! in between. What can be lost is space (leaks), never data.

mod blocks;

mod release;

use blkproof_device::{BlockDevice, IoError};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno};

use crate::cache::{Slot, TableCache};
use crate::error::{Corruption, Inner};
use crate::file::ImageFile;
use crate::header::Header;
use crate::layout::{Layout, OFFSET_MASK, Run};
use crate::num::index;
use crate::sparse::SparseTable;
use crate::width;

/// Bytes of refcount blocks that are cached.
const CACHE_BYTES: u64 = 256 << 10;
/// How much of the refcount table is read at once, as a power of two: it counts 128 GiB in
/// clusters of 64 KiB.
const TABLE_SLICE_BITS: u32 = 9;
/// How many clusters in use behind the end of the file are skipped in the search for a free one.
///
/// Real images have few or none; a hostile one cannot make the search long.
const MAX_USED_BEHIND_END: u64 = 1 << 20;

/// The refcounts of an open image.
#[derive(Debug)]
pub(crate) struct Refcounts {
    layout: Layout,
    table: SparseTable,
    blocks: TableCache,
    /// No cluster before this one is free.
    hint: u64,
    /// Clusters to count down once no entry in the file points to them.
    released: Vec<Run>,
    /// The table was moved in memory; the header in the file may still name the old one, which is
    /// given up when the header is written.
    moved_from: Option<Run>,
    /// Ranges that are never handed out, whatever their refcount says: the header, and tables.
    reserved: [ByteRange; 3],
    compressed_tail: u64,
    zero_table: u64,
}

impl Refcounts {
    pub(crate) fn new(header: &Header) -> Self {
        let layout = header.layout;
        let entries = (header.reftable_clusters << layout.cluster_bits) / 8;
        let mut refcounts = Self {
            layout,
            table: SparseTable::new(header.reftable_offset, entries, TABLE_SLICE_BITS),
            blocks: TableCache::new(1 << layout.refblock_slice_bits(), CACHE_BYTES),
            hint: 0,
            released: Vec::new(),
            moved_from: None,
            reserved: [ByteRange::default(); 3],
            compressed_tail: 0,
            zero_table: 0,
        };
        refcounts.reserve_tables(ByteRange::new(header.l1_offset, header.l1_entries * 8));
        refcounts
    }

    /// Notes where the L1 table lies, so that damaged refcounts do not lead to its clusters.
    pub(crate) fn reserve_tables(&mut self, l1: ByteRange) {
        let cluster = self.layout.cluster();
        let header = ByteRange::new(0, cluster);
        self.reserved = [header, l1.outward(cluster), self.table.range()];
    }

    /// Tells whether a range of the file holds the header, the L1 table or the refcount table.
    pub(crate) fn is_reserved(&self, range: ByteRange) -> bool {
        self.reserved
            .iter()
            .any(|reserved| reserved.overlaps(range))
    }

    pub(crate) fn table(&self) -> &SparseTable {
        &self.table
    }

    /// Tells whether there is anything that has to be written before entries that rely on it.
    pub(crate) fn is_dirty(&self) -> bool {
        self.blocks.is_dirty() || self.table.is_dirty() || self.moved_from.is_some()
    }

    /// Takes up to `want` free clusters that lie one behind the other, and at least one.
    pub(crate) fn alloc<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        want: u64,
    ) -> Inner<Run> {
        file.event(Event::ClusterAlloc)?;
        file.event(Event::RefblockAlloc)?;
        file.event(Event::RefblockLoad)?;
        let mut at = self.hint;
        let limit = self.layout.clusters(file.size()) + MAX_USED_BEHIND_END;
        loop {
            let Some(slot) = self.slice(file, at)? else {
                self.add_block(file, at)?;
                continue;
            };
            let slice_end = self.slice_end(at);
            if let Some(run) = self.free_run(slot, at, slice_end, want) {
                self.check_free(run)?;
                self.put(slot, run, 1);
                self.hint = run.end();
                return Ok(run);
            }
            at = slice_end;
            self.hint = at;
            if at > limit {
                return Err(Errno::EFBIG.into());
            }
        }
    }

    /// Takes back clusters that no entry, in memory or in the file, has ever pointed to.
    ///
    /// Where that fails they are lost until the image is repaired.
    pub(crate) fn give_back<D: BlockDevice>(&mut self, file: &mut ImageFile<D>, run: Run) {
        let mut at = run.first;
        while at < run.end() {
            let part = self.part(run, at);
            if let Ok(Some(slot)) = self.slice(file, at) {
                self.put(slot, part, 0);
                self.hint = self.hint.min(at);
            }
            at = part.end();
        }
    }

    fn check_free(&self, run: Run) -> Inner<()> {
        let range = self.layout.bytes(run);
        if self.is_reserved(range) {
            let offset = range.start;
            return Err(Corruption::MetadataOverlap { offset }.into());
        }
        Ok(())
    }

    /// Returns the slot of the slice that counts cluster `at`, or `None` if no block does.
    fn slice<D: BlockDevice>(&mut self, file: &mut ImageFile<D>, at: u64) -> Inner<Option<Slot>> {
        let Some(block) = self.block(file, at)? else {
            return Ok(None);
        };
        let offset = block + self.slice_offset(at);
        if let Some(slot) = self.blocks.find(offset) {
            return Ok(Some(slot));
        }
        if self.blocks.is_stuck() {
            self.write(file)?;
        }
        Ok(Some(self.blocks.load(file, offset)?))
    }

    /// Returns where the block that counts cluster `at` lies.
    fn block<D: BlockDevice>(&mut self, file: &mut ImageFile<D>, at: u64) -> Inner<Option<u64>> {
        let index = at >> self.layout.refblock_bits();
        if index >= self.table.entries() {
            return Ok(None);
        }
        let entry = self.table.get(file, index)?;
        let offset = entry & OFFSET_MASK;
        if entry == 0 {
            return Ok(None);
        }
        if offset == 0 || !self.layout.aligned(offset) {
            return Err(Corruption::RefcountTableEntry { index, entry }.into());
        }
        Ok(Some(offset))
    }

    /// Returns where, within its block, the slice that counts cluster `at` begins.
    fn slice_offset(&self, at: u64) -> u64 {
        let within = at & ((1 << self.layout.refblock_bits()) - 1);
        (within >> self.layout.refslice_bits()) << self.layout.refblock_slice_bits()
    }

    /// Returns the index of `at` within its slice.
    fn slice_index(&self, at: u64) -> u64 {
        at & ((1 << self.layout.refslice_bits()) - 1)
    }

    /// Returns the first cluster behind those that the slice of `at` counts.
    fn slice_end(&self, at: u64) -> u64 {
        ((at >> self.layout.refslice_bits()) + 1) << self.layout.refslice_bits()
    }

    /// Returns the part of `run` from `at` on that one slice counts.
    fn part(&self, run: Run, at: u64) -> Run {
        Run {
            first: at,
            count: self.slice_end(at).min(run.end()) - at,
        }
    }

    fn free_run(&self, slot: Slot, at: u64, end: u64, want: u64) -> Option<Run> {
        let bytes = self.blocks.bytes(slot);
        let order = self.layout.refcount_order;
        let base = at - self.slice_index(at);
        let first = (at..end).find(|cluster| width::get(bytes, order, cluster - base) == 0)?;
        let end = end.min(first + want);
        let count = (first..end)
            .take_while(|cluster| width::get(bytes, order, cluster - base) == 0)
            .count() as u64;
        Some(Run { first, count })
    }

    fn get(&self, slot: Slot, at: u64) -> u64 {
        let bytes = self.blocks.bytes(slot);
        width::get(bytes, self.layout.refcount_order, self.slice_index(at))
    }

    /// Sets the counts of clusters within one slice.
    fn put(&mut self, slot: Slot, run: Run, value: u64) {
        let order = self.layout.refcount_order;
        let first = self.slice_index(run.first);
        let (start, end) = width::span(order, first, run.count);
        let bytes = self.blocks.bytes_mut(slot, start, end);
        for at in first..first + run.count {
            width::set(bytes, order, at, value);
        }
    }

    /// Writes all counts to the file, and what leads to them.
    pub(crate) fn write<D: BlockDevice>(&mut self, file: &mut ImageFile<D>) -> Inner<()> {
        self.settle_move(file)?;
        self.table.write(file, Some(Event::ReftableUpdate))?;
        self.blocks
            .write(file, |file| file.event(Event::RefblockUpdatePart))?;
        Ok(())
    }

    /// Takes a free run of exactly `count` clusters, which may be more than one block counts.
    pub(crate) fn alloc_exact<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        count: u64,
    ) -> Inner<Run> {
        file.event(Event::ClusterAlloc)?;
        'search: loop {
            let run = self.find_exact(file, count)?;
            self.check_free(run)?;
            let mut at = run.first;
            while at < run.end() {
                if self.slice(file, at)?.is_none() {
                    self.add_block(file, at)?;
                    continue 'search;
                }
                at = self.slice_end(at);
            }
            return self.take_exact(file, run);
        }
    }

    fn find_exact<D: BlockDevice>(&mut self, file: &mut ImageFile<D>, count: u64) -> Inner<Run> {
        let limit = self.layout.clusters(file.size()) + MAX_USED_BEHIND_END;
        let (mut first, mut at) = (self.hint, self.hint);
        while at < first + count {
            if at > limit + count {
                return Err(Errno::EFBIG.into());
            }
            let end = self.slice_end(at).min(first + count);
            if let Some(slot) = self.slice(file, at)? {
                let used = (at..end)
                    .rev()
                    .find(|cluster| self.get(slot, *cluster) != 0);
                if let Some(used) = used {
                    first = used + 1;
                    at = first;
                    continue;
                }
            }
            at = end;
        }
        Ok(Run { first, count })
    }

    fn take_exact<D: BlockDevice>(&mut self, file: &mut ImageFile<D>, run: Run) -> Inner<Run> {
        let mut at = run.first;
        while at < run.end() {
            let part = self.part(run, at);
            let taken = self.slice(file, at);
            match taken {
                Ok(Some(slot)) => self.put(slot, part, 1),
                other => {
                    let done = Run {
                        first: run.first,
                        count: at - run.first,
                    };
                    self.give_back(file, done);
                    return Err(other
                        .err()
                        .unwrap_or_else(|| IoError::Failed(Errno::EIO).into()));
                }
            }
            at = part.end();
        }
        if self.hint == run.first {
            self.hint = run.end();
        }
        Ok(run)
    }

    /// Counts a cluster once more, if its count can go up; tells whether it did.
    pub(crate) fn share<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        cluster: u64,
        more: u64,
    ) -> Inner<bool> {
        let Some(slot) = self.slice(file, cluster)? else {
            return Ok(false);
        };
        let count = self.get(slot, cluster);
        if count == 0 || count > self.layout.refcount_max() - more {
            return Ok(false);
        }
        let run = Run {
            first: cluster,
            count: 1,
        };
        self.put(slot, run, count + more);
        Ok(true)
    }

    /// Takes back what [`Refcounts::share`] or the allocation of one cluster counted. Where that
    /// fails the cluster is lost until the image is repaired.
    pub(crate) fn unshare<D: BlockDevice>(&mut self, file: &mut ImageFile<D>, one: Run) {
        if let Ok(Some(slot)) = self.slice(file, one.first) {
            let count = self.get(slot, one.first);
            self.put(slot, one, count.saturating_sub(1));
            if count <= 1 {
                self.hint = self.hint.min(one.first);
            }
        }
    }

    /// Where in the file the next compressed cluster may begin, behind the last one; 0 if nowhere.
    pub(crate) fn compressed_tail(&mut self) -> &mut u64 {
        &mut self.compressed_tail
    }

    /// Where in the file a table of nothing but zero clusters lies that is shared; 0 if nowhere.
    pub(crate) fn zero_table(&mut self) -> &mut u64 {
        &mut self.zero_table
    }

    fn index_of(&self, at: u64) -> usize {
        index(at >> self.layout.refblock_bits())
    }
}
