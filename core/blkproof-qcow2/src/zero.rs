//! Zeroes and discards: what becomes of whole clusters, and of the fragments at both ends.
//!
//! Zeroes are written down as zero clusters even where nothing lies below: the image may be given a
//! backing file later, which must not shine through. All whole L2 tables of a long run are one and
//! the same, so that its cost stays far below its length. Version 2 has no zero clusters; there,
//! and for discards, whole tables are skipped where nothing is mapped and nothing shines through.

use blkproof_device::{BlockDevice, Load};
use blkproof_spec::ByteRange;

use crate::entry::{COPIED, Kind, ZERO};
use crate::error::Inner;
use crate::image::Qcow2;
use crate::layout::{OFFSET_MASK, Run};
use crate::num::{alike, index};

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

/// Entries of a slice, one behind the other, that become others. Those that have a place in the
/// file come one by one.
pub(crate) struct Change {
    /// The index of the first, from the first that is erased.
    at: usize,
    count: usize,
    old: u64,
    new: u64,
}

static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

impl<D: BlockDevice> Qcow2<D> {
    /// Makes `range` read as zeroes.
    pub(crate) fn zero(&mut self, range: ByteRange, unmap: bool) -> Inner<()> {
        let inner = self.whole_clusters(range);
        if inner.is_empty() {
            return self.zero_parts(range);
        }
        self.zero_parts(ByteRange::between(range.start, inner.start))?;
        self.erase(inner, if unmap { Erase::Unmap } else { Erase::Keep })?;
        self.zero_parts(ByteRange::between(inner.end(), range.end()))
    }

    /// Makes parts of clusters read as zeroes. A cluster that is missing and whose rest reads as
    /// zeroes too becomes a zero cluster, as in QEMU.
    fn zero_parts(&mut self, range: ByteRange) -> Inner<()> {
        let mut at = range.start;
        while at < range.end() {
            let start = self.layout.down(at);
            let cluster = ByteRange::new(start, self.layout.cluster());
            let end = range.end().min(cluster.end());
            let missing = self.layout.version >= 3 && self.look_up(at, 1)?.0 == Kind::Hole;
            if missing && self.rest_is_zero(at, end - at)? {
                self.erase(cluster, Erase::Keep)?;
            } else if missing {
                self.write_zero_bytes(ByteRange::between(at, end))?;
            } else {
                self.zero_fragments(ByteRange::between(at, end))?;
            }
            at = end;
        }
        Ok(())
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
            self.write(at, Load::Bytes(&ZEROES[..index(len)]))?;
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
            if entry == 0 && self.leaves_holes(how, at) {
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

    /// Tells whether what is missing at `position` and behind it stays missing.
    fn leaves_holes(&self, how: Erase, position: u64) -> bool {
        match how {
            Erase::Drop => true,
            Erase::Discard => self.hole_is_zero(position),
            Erase::Keep | Erase::Unmap => self.layout.version < 3 && self.hole_is_zero(position),
        }
    }

    /// Returns the first position from `at` on, the start of a table's range, that a table maps.
    pub(crate) fn skip_tables(&mut self, at: u64, end: u64) -> Inner<u64> {
        let bits = self.layout.table_span_bits();
        let limit = end.div_ceil(1 << bits).min(self.l1.entries());
        let found = self.l1.next_nonzero(&mut self.file, at >> bits, limit)?;
        // An entry of flags alone is no table. It may be that of `at` itself: nothing goes back.
        Ok(found.map_or(end, |(index, _)| (index << bits).clamp(at, end)))
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
        let Some(changes) = self.plan_erase(range, how)? else {
            return self.write_zero_bytes(range);
        };
        if changes.is_empty() {
            return Ok(());
        }
        self.slice_mut(range.start)?;
        self.prepare_erase(range.start, &changes, how)?;
        let slot = self.slice_mut(range.start)?;
        let (first, _) = self.place(range.start);
        for change in changes {
            self.l2
                .fill_entries(slot, first + change.at, change.count, change.new);
            self.release_old(change.old, change.new);
        }
        Ok(())
    }

    /// Returns what changes where clusters that one slice maps are erased, or `None` where zeroes
    /// have to be written out.
    pub(crate) fn plan_erase(
        &mut self,
        range: ByteRange,
        how: Erase,
    ) -> Inner<Option<Vec<Change>>> {
        let found = self.slice(range.start)?;
        let (first, _) = self.place(range.start);
        let count = index(range.len >> self.layout.cluster_bits);
        let guest = |at: usize| range.start + ((at as u64) << self.layout.cluster_bits);
        let mut changes = Vec::new();
        let mut at = 0;
        while at < count {
            let (old, mut alike) = match found {
                Some(slot) => {
                    let entries = &self.l2.entries(slot)[first + at..first + count];
                    (u64::from_be_bytes(entries[0]), alike(entries))
                }
                None => (0, count - at),
            };
            let last = guest(at + alike - 1);
            if old & !ZERO != 0 || self.hole_is_zero(guest(at)) != self.hole_is_zero(last) {
                alike = 1;
            }
            let Some(new) = self.erased(old, guest(at), how)? else {
                return Ok(None);
            };
            if new != old {
                changes.push(Change {
                    at,
                    count: alike,
                    old,
                    new,
                });
            }
            at += alike;
        }
        Ok(Some(changes))
    }

    /// Raises the events of freeing what will be given up, once for each run of clusters.
    fn prepare_erase(&mut self, start: u64, changes: &[Change], how: Erase) -> Inner<()> {
        let mut pending: Option<Run> = None;
        for change in changes {
            let guest = start + ((change.at as u64) << self.layout.cluster_bits);
            let kind = Kind::decode(self.layout, change.old, guest)?;
            let Some(run) = kind.host(self.layout) else {
                continue;
            };
            self.check_target(self.layout.bytes(run))?;
            if self.keeps_place(kind, change.old, how) {
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
            Kind::Hole if self.leaves_holes(how, guest) => old,
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
