//! New refcount blocks, and a larger refcount table.

use blkproof_device::BlockDevice;
use blkproof_spec::Errno;
use blkproof_spec::fault::Event;

use super::{Refcounts, TABLE_SLICE_BITS};
use crate::error::Inner;
use crate::file::ImageFile;
use crate::header::MAX_REFTABLE_BYTES;
use crate::layout::Run;
use crate::num::{index, put64};
use crate::sparse::SparseTable;
use crate::width;

/// Where the header says where the refcount table lies, and how many clusters it takes.
const HEADER_FIELDS: u64 = 48;

impl Refcounts {
    /// Adds the block that counts cluster `at`, which no block counts. It is put at `at` itself.
    pub(super) fn add_block<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        at: u64,
    ) -> Inner<()> {
        self.settle_move(file)?;
        let entry = at >> self.layout.refblock_bits();
        if entry >= self.table.entries() {
            return self.grow_table(file);
        }
        let run = Run {
            first: at,
            count: 1,
        };
        self.check_free(run)?;
        let range = self.layout.bytes(run);
        if self.blocks.is_stuck() {
            self.write(file)?;
        }
        file.event(Event::RefblockAllocWrite)?;
        if range.start < file.size() {
            file.write_zeroes(range)?;
        }
        let mut slice = vec![0; 1 << self.layout.refblock_slice_bits()];
        width::set(
            &mut slice,
            self.layout.refcount_order,
            self.slice_index(at),
            1,
        );
        file.write(range.start + self.slice_offset(at), &slice)?;
        file.barrier()?;
        file.event(Event::RefblockAllocHookup)?;
        self.table.set(entry, range.start);
        self.table.write(file, None)?;
        Ok(())
    }

    /// Moves the table to a larger one, behind everything that the old one counts.
    ///
    /// The blocks that count the new area lie at its start, the new table behind them.
    fn grow_table<D: BlockDevice>(&mut self, file: &mut ImageFile<D>) -> Inner<()> {
        let layout = self.layout;
        let first = self.table.entries() << layout.refblock_bits();
        let plan = Growth::plan(self, first)?;
        let mut table = vec![0; index(plan.table << layout.cluster_bits)];
        self.table.copy_to(file, &mut table)?;
        file.event(Event::RefblockAllocWriteBlocks)?;
        let mut block = vec![0; index(layout.cluster())];
        let used = first + plan.blocks + plan.table;
        for number in 0..plan.blocks {
            let counted = first + (number << layout.refblock_bits());
            let end = used.clamp(counted, counted + (1 << layout.refblock_bits()));
            block.fill(0);
            for cluster in 0..end - counted {
                width::set(&mut block, layout.refcount_order, cluster, 1);
            }
            let offset = (first + number) << layout.cluster_bits;
            file.write(offset, &block)?;
            put64(&mut table, self.index_of(counted) * 8, offset);
        }
        file.event(Event::RefblockAllocWriteTable)?;
        let offset = (first + plan.blocks) << layout.cluster_bits;
        file.write(offset, &table)?;
        file.barrier()?;
        file.event(Event::RefblockAllocSwitchTable)?;
        let old = self.table.range();
        self.table = SparseTable::of_bytes(offset, &table, TABLE_SLICE_BITS);
        self.moved_from = Some(layout.run(old.start, old.len));
        self.reserved[2] = self.table.range();
        self.settle_move(file)
    }

    /// Writes to the header where the table lies, if that is not certain.
    pub(super) fn settle_move<D: BlockDevice>(&mut self, file: &mut ImageFile<D>) -> Inner<()> {
        let Some(old) = self.moved_from else {
            return Ok(());
        };
        let mut fields = [0; 12];
        let range = self.table.range();
        put64(&mut fields, 0, range.start);
        let clusters = self.layout.clusters(range.len);
        let clusters = u32::try_from(clusters).expect("a table of at most 8 MiB");
        fields[8..].copy_from_slice(&clusters.to_be_bytes());
        file.write(HEADER_FIELDS, &fields)?;
        file.barrier()?;
        self.moved_from = None;
        self.release(old);
        Ok(())
    }
}

/// How much a new table and its blocks take.
struct Growth {
    blocks: u64,
    table: u64,
}

impl Growth {
    fn plan(refcounts: &Refcounts, first: u64) -> Inner<Self> {
        let layout = refcounts.layout;
        let old = layout.clusters(refcounts.table.range().len);
        let mut table = old + old.div_ceil(2);
        let mut blocks = 1;
        while (blocks << layout.refblock_bits()) < blocks + table {
            blocks += 1;
        }
        let last = (first >> layout.refblock_bits()) + blocks;
        table = table.max(layout.clusters(last * 8));
        let fits = (blocks << layout.refblock_bits()) >= blocks + table;
        if table << layout.cluster_bits > MAX_REFTABLE_BYTES || !fits {
            return Err(Errno::EFBIG.into());
        }
        Ok(Self { blocks, table })
    }
}
