//! What every host cluster is used for: the walk through all tables.

use blkproof_device::Visible;
use blkproof_spec::Offset;

use super::parse::{Parsed, Table};
use super::table::{Budget, Entries, entries};
use super::{InspectError, Limits, Notes, Problem, Use};
use crate::num::{be32, be64};

/// Host clusters in use, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) first: u64,
    pub(super) count: u64,
    /// How often, each cluster of it.
    pub(super) times: u64,
    pub(super) what: Use,
    /// What the entry says about the refcount being one, where that is to be checked.
    pub(super) copied: Option<bool>,
}

/// The walk.
pub(super) struct Gather<'a, D: ?Sized> {
    pub(super) device: &'a mut D,
    pub(super) parsed: &'a Parsed,
    limits: &'a Limits,
    pub(super) budget: Budget,
    uses: Vec<Used>,
    /// Index in the refcount table and position of each refcount block.
    blocks: Vec<(u64, u64)>,
}

pub(super) const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;
const SNAPSHOT_FIXED: u64 = 40;
const SNAPSHOT_FIXED_BYTES: usize = 40;
const MAX_SNAPSHOT: u64 = 128 << 10;

/// What the walk comes to: refcount blocks, uses, and what is left of the budget.
type Gathered = (Vec<(u64, u64)>, Vec<Used>, Budget);

impl<'a, D: Visible + ?Sized> Gather<'a, D> {
    pub(super) fn new(device: &'a mut D, parsed: &'a Parsed, limits: &'a Limits) -> Self {
        Self {
            device,
            parsed,
            limits,
            budget: Budget(limits.table_bytes),
            uses: Vec::new(),
            blocks: Vec::new(),
        }
    }

    pub(super) fn run(mut self, notes: &mut Notes<'_>) -> Result<Gathered, InspectError> {
        if self.parsed.dirty {
            notes.problem(Problem::MarkedDirty);
        }
        if self.parsed.corrupt {
            notes.problem(Problem::MarkedCorrupt);
        }
        self.add(0, self.cluster(), Use::Header, None)?;
        self.refcounts(notes)?;
        self.l1(self.parsed.l1, true, notes)?;
        self.snapshots(notes)?;
        if let Some(bitmaps) = self.parsed.bitmaps {
            self.bitmaps(bitmaps, notes)?;
        }
        Ok((self.blocks, self.uses, self.budget))
    }

    pub(super) fn cluster(&self) -> u64 {
        1 << self.parsed.cluster_bits
    }

    /// Adds the clusters that hold some bytes of the file.
    pub(super) fn add(
        &mut self,
        offset: u64,
        len: u64,
        what: Use,
        copied: Option<bool>,
    ) -> Result<(), InspectError> {
        self.add_times(offset, len, what, copied, 1)
    }

    /// Adds the clusters that hold some bytes of the file, for each of so many uses.
    pub(super) fn add_times(
        &mut self,
        offset: u64,
        len: u64,
        what: Use,
        copied: Option<bool>,
        times: u64,
    ) -> Result<(), InspectError> {
        if len == 0 {
            return Ok(());
        }
        let first = offset >> self.parsed.cluster_bits;
        let count = ((offset + len - 1) >> self.parsed.cluster_bits) - first + 1;
        if let Some(last) = self.uses.last_mut()
            && (last.what, last.copied) == (what, copied)
            && last.first + last.count == first
            && (last.times, times) == (1, 1)
        {
            last.count += count;
            return Ok(());
        }
        if let Some(last) = self.uses.last_mut()
            && (last.what, last.copied, last.first, last.count) == (what, copied, first, count)
        {
            last.times += times;
            return Ok(());
        }
        if self.uses.len() as u64 >= self.limits.runs {
            return Err(InspectError::TooLarge);
        }
        self.uses.push(Used {
            first,
            count,
            times,
            what,
            copied,
        });
        Ok(())
    }

    /// Tells whether a table or cluster can lie at `offset`; says so where it cannot.
    pub(super) fn fits(&self, offset: u64, len: u64, what: Use, notes: &mut Notes<'_>) -> bool {
        if offset & (self.cluster() - 1) != 0 {
            notes.problem(Problem::Misaligned { what, offset });
            return false;
        }
        self.in_file(offset, len, what, notes)
    }

    fn in_file(&self, offset: u64, len: u64, what: Use, notes: &mut Notes<'_>) -> bool {
        let file = self.parsed.file_size.next_multiple_of(self.cluster());
        let inside = offset.checked_add(len).is_some_and(|end| end <= file);
        if !inside {
            notes.problem(Problem::OutOfBounds { what, offset });
        }
        inside
    }

    fn refcounts(&mut self, notes: &mut Notes<'_>) -> Result<(), InspectError> {
        let table = self.parsed.reftable;
        self.add_table(table, Use::RefcountTable, notes)?;
        for Entries {
            first,
            count,
            value,
        } in self.entries(table)?
        {
            let what = Use::RefcountBlock;
            for index in first..first + count {
                if self.fits(value, self.cluster(), what, notes) {
                    self.add(value, self.cluster(), what, None)?;
                    self.blocks.push((index, value));
                }
            }
        }
        Ok(())
    }

    pub(super) fn add_table(
        &mut self,
        table: Table,
        what: Use,
        notes: &mut Notes<'_>,
    ) -> Result<(), InspectError> {
        let len = table.entries * 8;
        if len > 0 && self.fits(table.offset, len, what, notes) {
            self.add(table.offset, len, what, None)?;
        }
        Ok(())
    }

    /// Walks an L1 table. Flags are only kept up in the active one.
    fn l1(&mut self, l1: Table, active: bool, notes: &mut Notes<'_>) -> Result<(), InspectError> {
        self.add_table(l1, Use::L1, notes)?;
        let mut empty = None;
        for Entries { value, count, .. } in self.entries(l1)? {
            let offset = value & OFFSET;
            if offset != 0 && self.fits(offset, self.cluster(), Use::L2, notes) {
                let copied = active.then_some(value & COPIED != 0);
                self.add_times(offset, self.cluster(), Use::L2, copied, count)?;
                self.l2_times(offset, count, active, &mut empty, notes)?;
            }
        }
        Ok(())
    }

    pub(super) fn entries(&mut self, table: Table) -> Result<Vec<Entries>, InspectError> {
        let mut found = Vec::new();
        entries(self.device, table, &mut self.budget, |entries| {
            found.push(entries);
            Ok(())
        })?;
        Ok(found)
    }

    /// Walks an L2 table to which many entries in a row point, but only once if it points nowhere.
    fn l2_times(
        &mut self,
        offset: u64,
        times: u64,
        active: bool,
        empty: &mut Option<(u64, u64)>,
        notes: &mut Notes<'_>,
    ) -> Result<(), InspectError> {
        for walked in 0..times {
            if let Some((known, zeroes)) = *empty
                && known == offset
            {
                notes.report.zero_clusters += zeroes * (times - walked);
                return Ok(());
            }
            let before = (self.uses.len(), notes.report.problem_count);
            let used = self.uses.last().map(|used| used.count);
            let zeroes = notes.report.zero_clusters;
            self.l2(offset, active, notes)?;
            let after = (self.uses.len(), notes.report.problem_count);
            let nowhere = before == after && used == self.uses.last().map(|used| used.count);
            *empty = nowhere.then(|| (offset, notes.report.zero_clusters - zeroes));
        }
        Ok(())
    }

    fn l2(&mut self, offset: u64, active: bool, notes: &mut Notes<'_>) -> Result<(), InspectError> {
        let table = Table {
            offset,
            entries: self.cluster() / 8,
        };
        for entries in self.entries(table)? {
            if entries.value == ZERO && self.parsed.version >= 3 {
                notes.report.zero_clusters += entries.count;
                continue;
            }
            for index in entries.first..entries.first + entries.count {
                self.l2_entry(offset + index * 8, entries.value, active, notes)?;
            }
        }
        Ok(())
    }

    /// Takes in the L2 entry that lies at `offset`.
    fn l2_entry(
        &mut self,
        offset: u64,
        value: u64,
        active: bool,
        notes: &mut Notes<'_>,
    ) -> Result<(), InspectError> {
        if value & COMPRESSED != 0 {
            return self.compressed(value, notes);
        }
        if value & ZERO != 0 {
            notes.report.zero_clusters += 1;
            if self.parsed.version < 3 {
                notes.problem(Problem::ZeroInVersion2 { offset });
            }
        }
        let host = value & OFFSET;
        if host != 0 && self.fits(host, self.cluster(), Use::Data, notes) {
            notes.report.data_clusters += 1;
            let copied = active.then_some(value & COPIED != 0);
            self.add(host, self.cluster(), Use::Data, copied)?;
        }
        Ok(())
    }

    fn compressed(&mut self, entry: u64, notes: &mut Notes<'_>) -> Result<(), InspectError> {
        notes.report.compressed_clusters += 1;
        let (offset, len) = compressed_bytes(entry, self.parsed.cluster_bits);
        // The last sector may be cut short by the end of the file.
        if self.in_file(offset, 1, Use::Compressed, notes) {
            self.add(offset, len, Use::Compressed, None)?;
        }
        Ok(())
    }

    fn snapshots(&mut self, notes: &mut Notes<'_>) -> Result<(), InspectError> {
        let start = self.parsed.snapshots_offset;
        let mut at = start;
        for _ in 0..self.parsed.snapshot_count {
            let what = Use::Snapshots;
            let mut fixed = [0; SNAPSHOT_FIXED_BYTES];
            if !self.in_file(at, SNAPSHOT_FIXED, what, notes) {
                return Ok(());
            }
            self.budget_for(SNAPSHOT_FIXED)?;
            self.device.read_at(Offset(at), &mut fixed)?;
            let names = u64::from(be32(&fixed, 12));
            let len =
                SNAPSHOT_FIXED + u64::from(be32(&fixed, 36)) + (names >> 16) + (names & 0xffff);
            if len > MAX_SNAPSHOT {
                notes.problem(Problem::Unreadable { what, offset: at });
                return Ok(());
            }
            let l1 = Table {
                offset: be64(&fixed, 0),
                entries: u64::from(be32(&fixed, 8)).min(4 << 20),
            };
            self.l1(l1, false, notes)?;
            at += len.next_multiple_of(8);
        }
        self.add(start, at - start, Use::Snapshots, None)
    }

    pub(super) fn budget_for(&mut self, bytes: u64) -> Result<(), InspectError> {
        self.budget.0 = self
            .budget
            .0
            .checked_sub(bytes)
            .ok_or(InspectError::TooLarge)?;
        Ok(())
    }
}

/// Returns where the data of a compressed cluster lies, and how many bytes it takes at most.
pub(super) fn compressed_bytes(entry: u64, cluster_bits: u32) -> (u64, u64) {
    let split = 70 - cluster_bits;
    let offset = entry & !(u64::MAX << split);
    let sectors = (entry & (COMPRESSED - 1)) >> split;
    let end = ((offset >> 9) + sectors + 1) << 9;
    (offset, end - offset)
}
