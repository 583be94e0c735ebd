//! Zeroes and discards: what becomes of whole clusters, and of the fragments at both ends.
//!
//! The cost follows what is allocated, not the length: where nothing is mapped and nothing shines
//! through from a backing file, whole L2 tables are skipped.

use blkproof_device::BlockDevice;
use blkproof_spec::ByteRange;

use crate::entry::{COPIED, Kind, ZERO};
use crate::error::Inner;
use crate::image::Qcow2;
use crate::layout::{OFFSET_MASK, Run};
use crate::num::index;

/// What is to become of clusters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Erase {
    /// They read as zeroes and keep their places in the file.
    Keep,
    /// They read as zeroes and give up their places.
    Unmap,
    /// They are discarded: as `Unmap`, but in version 2 the backing file may shine through.
    Discard,
    /// They are gone: nothing in this image maps them.
    Drop,
}

static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

impl<D: BlockDevice> Qcow2<D> {
    /// Makes `range` read as zeroes.
    pub(crate) fn zero(&mut self, range: ByteRange, unmap: bool) -> Inner<()> {
        let inner = self.whole_clusters(range);
        if inner.is_empty() {
            return self.zero_fragments(range);
        }
        self.zero_fragments(ByteRange::between(range.start, inner.start))?;
        self.erase(inner, if unmap { Erase::Unmap } else { Erase::Keep })?;
        self.zero_fragments(ByteRange::between(inner.end(), range.end()))
    }

    /// Returns the whole clusters within `range`. The last cluster of the image is whole if the
    /// range goes to the end of the image.
    pub(crate) fn whole_clusters(&self, range: ByteRange) -> ByteRange {
        let start = self.layout.up(range.start);
        let end = if range.end() == self.header.size {
            self.layout.up(range.end())
        } else {
            self.layout.down(range.end())
        };
        ByteRange::between(start, end)
    }

    /// Writes zeroes to a range of parts of clusters, where it does not read as zeroes anyway.
    pub(crate) fn zero_fragments(&mut self, range: ByteRange) -> Inner<()> {
        let mut at = range.start;
        while at < range.end() {
            let cluster_end = self.layout.down(at) + self.layout.cluster();
            let end = range.end().min(cluster_end);
            if !self.reads_zero(at)? {
                self.write_zero_bytes(ByteRange::between(at, end))?;
            }
            at = end;
        }
        Ok(())
    }

    fn write_zero_bytes(&mut self, range: ByteRange) -> Inner<()> {
        let mut at = range.start;
        while at < range.end() {
            let len = (range.end() - at).min(ZEROES.len() as u64);
            self.write(at, &ZEROES[..index(len)])?;
            at += len;
        }
        Ok(())
    }

    /// Erases a range of whole clusters, which may reach behind the end of the image.
    pub(crate) fn erase(&mut self, range: ByteRange, how: Erase) -> Inner<()> {
        let mut at = range.start;
        while at < range.end() {
            let table = 1 << self.layout.table_span_bits();
            let end = range.end().min((at - at % table) + table);
            let entry = self.l1_entry(at)?;
            if entry == 0 && (how == Erase::Drop || self.hole_is_zero(at)) {
                at = self.skip_tables(end, range.end())?;
                continue;
            }
            if how != Erase::Drop {
                if entry == 0 {
                    let done = self.link_zero_table(at, range.end())?;
                    if done > at {
                        at = done;
                        continue;
                    }
                } else if self.examine_table(at, entry)? {
                    at = end;
                    continue;
                }
            }
            if how == Erase::Drop && end - at == table {
                self.drop_table(at, entry)?;
            } else {
                self.erase_in_table(ByteRange::between(at, end), how)?;
            }
            at = end;
            if self.refcounts.has_many_released() {
                self.write_metadata()?;
            }
        }
        Ok(())
    }

    /// Returns the first position from `at` on, the start of a table's range, that a table maps.
    fn skip_tables(&mut self, at: u64, end: u64) -> Inner<u64> {
        let bits = self.layout.table_span_bits();
        let limit = end.div_ceil(1 << bits).min(self.l1.entries());
        let found = self.l1.next_nonzero(&mut self.file, at >> bits, limit)?;
        Ok(found.map_or(end, |(index, _)| index << bits).min(end))
    }

    /// Erases clusters that one table maps.
    fn erase_in_table(&mut self, range: ByteRange, how: Erase) -> Inner<()> {
        let slice = 1 << self.layout.slice_span_bits();
        let mut at = range.start;
        while at < range.end() {
            let end = range.end().min((at - at % slice) + slice);
            self.erase_in_slice(ByteRange::between(at, end), how)?;
            at = end;
        }
        Ok(())
    }

    /// Erases clusters that one slice maps. Nothing changes unless everything can.
    fn erase_in_slice(&mut self, range: ByteRange, how: Erase) -> Inner<()> {
        let mut needed = false;
        let found = self.slice(range.start)?;
        let (first, _) = self.place(range.start);
        let count = index(range.len >> self.layout.cluster_bits);
        for number in 0..count {
            let guest = range.start + ((number as u64) << self.layout.cluster_bits);
            let old = found.map_or(0, |slot| self.l2.entry(slot, first + number));
            match self.erased(old, guest, how)? {
                Some(new) => needed |= new != old,
                None => return self.write_zero_bytes(range),
            }
        }
        if !needed {
            return Ok(());
        }
        let slot = self.slice_mut(range.start)?;
        self.prepare_erase(slot, range, how)?;
        let slot = self.slice_mut(range.start)?;
        for number in 0..count {
            let guest = range.start + ((number as u64) << self.layout.cluster_bits);
            let old = self.l2.entry(slot, first + number);
            let new = self.erased(old, guest, how)?.unwrap_or(old);
            if new != old {
                self.l2.set_entry(slot, first + number, new);
                self.release_old(old, new);
            }
        }
        Ok(())
    }

    /// Raises the events of freeing what will be given up, once for each run of clusters.
    fn prepare_erase(&mut self, slot: usize, range: ByteRange, how: Erase) -> Inner<()> {
        let (first, _) = self.place(range.start);
        let mut pending: Option<Run> = None;
        for number in 0..range.len >> self.layout.cluster_bits {
            let guest = range.start + (number << self.layout.cluster_bits);
            let old = self.l2.entry(slot, first + index(number));
            let kind = Kind::decode(self.layout, old, guest)?;
            let Some(run) = kind.host(self.layout) else {
                continue;
            };
            self.check_target(self.layout.bytes(run))?;
            if self.keeps_place(kind, old, how) {
                continue;
            }
            pending = match pending {
                Some(run_before) if run_before.end() == run.first => Some(Run {
                    first: run_before.first,
                    count: run_before.count + run.count,
                }),
                Some(run_before) => {
                    self.refcounts.prepare_release(&mut self.file, run_before)?;
                    Some(run)
                }
                None => Some(run),
            };
        }
        match pending {
            Some(run) => self.refcounts.prepare_release(&mut self.file, run),
            None => Ok(()),
        }
    }

    fn keeps_place(&self, kind: Kind, entry: u64, how: Erase) -> bool {
        how == Erase::Keep
            && entry & COPIED != 0
            && matches!(kind, Kind::Data(_) | Kind::ZeroReserved(_))
    }

    /// Returns what an entry becomes, or `None` where zeroes have to be written out.
    fn erased(&self, old: u64, guest: u64, how: Erase) -> Inner<Option<u64>> {
        let kind = Kind::decode(self.layout, old, guest)?;
        if how == Erase::Drop {
            return Ok(Some(0));
        }
        let shines_through = !self.hole_is_zero(guest);
        if self.layout.version < 3 {
            let may_unmap = how == Erase::Discard || (how == Erase::Unmap && !shines_through);
            return Ok(match kind {
                Kind::Hole if !shines_through || how == Erase::Discard => Some(old),
                _ if may_unmap => Some(0),
                _ => None,
            });
        }
        Ok(Some(match kind {
            Kind::Hole if !shines_through => old,
            Kind::Zero => old,
            _ if self.keeps_place(kind, old, how) => old | ZERO,
            _ => ZERO,
        }))
    }

    /// Drops a table with everything it maps.
    fn drop_table(&mut self, start: u64, entry: u64) -> Inner<()> {
        let cluster = self.layout.cluster();
        let table = self.layout.run(entry & OFFSET_MASK, cluster);
        let slice = 1 << self.layout.slice_span_bits();
        let mut end = start + (1 << self.layout.table_span_bits());
        if self.examine_table(start, entry)? {
            end = start;
        }
        let mut runs = Vec::new();
        for at in (start..end).step_by(slice) {
            let slot = self.load(at)?;
            for number in 0..self.layout.slice_entries() {
                let old = self.l2.entry(slot, index(number));
                if old == 0 {
                    continue;
                }
                let guest = at + (number << self.layout.cluster_bits);
                let kind = Kind::decode(self.layout, old, guest)?;
                if let Some(run) = kind.host(self.layout) {
                    self.check_target(self.layout.bytes(run))?;
                    push_run(&mut runs, run);
                }
            }
        }
        push_run(&mut runs, table);
        for run in &runs {
            self.refcounts.prepare_release(&mut self.file, *run)?;
        }
        let index = self.l1_index(start);
        self.l1.set(index, 0);
        self.recent = None;
        self.l2.remove(self.layout.bytes(table));
        for run in runs {
            self.refcounts.release(run);
        }
        self.note_lost_user(entry);
        Ok(())
    }

    fn load(&mut self, position: u64) -> Inner<usize> {
        let slot = self.slice(position)?;
        Ok(slot.expect("the table is there"))
    }
}

fn push_run(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if last.end() == run.first => last.count += run.count,
        _ => runs.push(run),
    }
}
