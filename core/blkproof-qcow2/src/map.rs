//! From guest positions to L2 entries.

use blkproof_device::BlockDevice;
use blkproof_spec::ByteRange;
use blkproof_spec::fault::Event;

use crate::cache::Slot;
use crate::entry::{COPIED, Kind};
use crate::error::{Corruption, Inner};
use crate::image::{Qcow2, Recent};
use crate::layout::{OFFSET_MASK, Run};
use crate::mistake::Mistake;
use crate::num::{alike, index};

/// Clusters that lie one behind the other for the guest, and are of one kind; where they are data,
/// also one behind the other in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// The kind of the first cluster.
    pub(crate) kind: Kind,
    /// Whether the first cluster's entry says that its refcount is one.
    pub(crate) owned: bool,
    /// How many clusters.
    pub(crate) count: u64,
}

impl<D: BlockDevice> Qcow2<D> {
    /// Returns the slice that maps `position`, to be read, or `None` if there is no table.
    pub(crate) fn slice(&mut self, position: u64) -> Inner<Option<Slot>> {
        let id = position >> self.layout.slice_span_bits();
        if let Some(recent) = self.recent
            && recent.id == id
        {
            return Ok(Some(recent.slot));
        }
        let entry = self.l1_entry(position)?;
        if entry == 0 {
            return Ok(None);
        }
        self.load_slice(position, entry).map(Some)
    }

    /// Returns the slice that maps `position`, in a table that may be changed.
    pub(crate) fn slice_mut(&mut self, position: u64) -> Inner<Slot> {
        let id = position >> self.layout.slice_span_bits();
        if let Some(recent) = self.recent
            && recent.id == id
            && recent.owned
        {
            return Ok(recent.slot);
        }
        let mut entry = self.l1_entry(position)?;
        if entry & COPIED == 0 {
            entry = self.own_table(position, entry)?;
        }
        self.load_slice(position, entry)
    }

    /// Returns the index of the L1 entry for `position`.
    pub(crate) fn l1_index(&self, position: u64) -> u64 {
        position >> self.layout.table_span_bits()
    }

    /// Returns the checked L1 entry for `position`; 0 if there is no table.
    pub(crate) fn l1_entry(&mut self, position: u64) -> Inner<u64> {
        let index = self.l1_index(position);
        let entry = self.l1.get(&mut self.file, index)?;
        self.check_l1(index, entry)
    }

    pub(crate) fn check_l1(&self, index: u64, entry: u64) -> Inner<u64> {
        let offset = entry & OFFSET_MASK;
        if offset == 0 {
            return Ok(0);
        }
        let table = ByteRange::new(offset, self.layout.cluster());
        if !self.layout.aligned(offset) || self.refcounts.is_reserved(table) {
            return Err(Corruption::L1Entry { index, entry }.into());
        }
        Ok(entry)
    }

    fn load_slice(&mut self, position: u64, entry: u64) -> Inner<Slot> {
        let offset = (entry & OFFSET_MASK) + self.slice_start(position);
        let slot = match self.l2.find(offset) {
            Some(slot) => slot,
            None => {
                if self.l2.is_stuck() {
                    self.write_metadata()?;
                }
                self.file.event(Event::L2Load)?;
                self.recent = None;
                self.l2.load(&mut self.file, offset)?
            }
        };
        self.recent = Some(Recent {
            id: position >> self.layout.slice_span_bits(),
            slot,
            owned: entry & COPIED != 0,
        });
        Ok(slot)
    }

    /// Returns where within its table the slice begins that maps `position`.
    fn slice_start(&self, position: u64) -> u64 {
        let layout = self.layout;
        let within = position & ((1 << layout.table_span_bits()) - 1);
        (within >> layout.slice_span_bits()) << layout.slice_bits()
    }

    /// Makes the table that maps `position` one that may be changed: a new one, or a copy of one
    /// that is shared. Returns its L1 entry.
    ///
    /// What is needed to get at the table reaches the file in order: refcounts, table, L1 entry.
    pub(crate) fn own_table(&mut self, position: u64, shared: u64) -> Inner<u64> {
        let shared_run = self.layout.run(shared & OFFSET_MASK, self.layout.cluster());
        if shared != 0 {
            self.refcounts.prepare_release(&mut self.file, shared_run)?;
        }
        let run = self.refcounts.alloc(&mut self.file, 1)?;
        if let Err(trouble) = self.write_new_table(position, shared, run) {
            self.refcounts.give_back(&mut self.file, run);
            return Err(trouble);
        }
        let entry = self.layout.bytes(run).start | COPIED;
        let index = self.l1_index(position);
        self.l1.set(index, entry);
        self.recent = None;
        if shared != 0 {
            self.refcounts.release(shared_run);
            self.note_lost_user(shared);
        }
        self.l1.write(&mut self.file, None)?;
        Ok(entry)
    }

    /// Writes a new table, up to where only its L1 entry is missing.
    fn write_new_table(&mut self, position: u64, shared: u64, run: Run) -> Inner<()> {
        let range = self.layout.bytes(run);
        self.refcounts.write(&mut self.file)?;
        self.file.barrier()?;
        self.file.event(Event::L2AllocWrite)?;
        self.file.event(Event::L2Update)?;
        let slice = range.start + self.slice_start(position);
        if shared != 0 {
            self.scratch.resize(index(range.len), 0);
            self.file.event(Event::L2AllocCowRead)?;
            self.file.read(shared & OFFSET_MASK, &mut self.scratch)?;
            self.file.write(range.start, &self.scratch)?;
        } else if range.start >= self.file.size() {
            self.file.write(slice, &[0; 512])?;
        } else {
            self.file.write_zeroes(range)?;
        }
        self.barrier_but_for(Mistake::EntriesWithTables)?;
        self.file.event(Event::L1Update)?;
        self.l2.remove(range);
        self.recent = None;
        if shared == 0 && !self.l2.is_stuck() {
            self.l2.insert_zeroes(slice);
        }
        Ok(())
    }

    /// Returns the index of the entry for `position` in its slice, and how many entries follow from
    /// it to the slice's end.
    pub(crate) fn place(&self, position: u64) -> (usize, u64) {
        let entries = self.layout.slice_entries();
        let at = (position >> self.layout.cluster_bits) & (entries - 1);
        (index(at), entries - at)
    }

    /// Returns what the clusters from `position` on are, up to `max` and to the end of the slice.
    pub(crate) fn extent(&self, slot: Slot, position: u64, max: u64) -> Inner<Extent> {
        let (at, rest) = self.place(position);
        let first = self.l2.entry(slot, at);
        let kind = Kind::decode(self.layout, first, self.layout.down(position))?;
        let step = match kind {
            Kind::Data(_) | Kind::ZeroReserved(_) => self.layout.cluster(),
            Kind::Hole | Kind::Zero => 0,
            Kind::Compressed(_) => return Ok(Self::single(kind)),
        };
        let entries = &self.l2.entries(slot)[at..at + index(max.min(rest))];
        let count = if step == 0 {
            alike(entries) as u64
        } else {
            let follows = |number: &u64| {
                let next = first.wrapping_add(number * step);
                entries.get(index(*number)) == Some(&next.to_be_bytes())
            };
            1 + (1..).take_while(follows).count() as u64
        };
        Ok(Extent {
            kind,
            owned: first & COPIED != 0,
            count,
        })
    }

    fn single(kind: Kind) -> Extent {
        Extent {
            kind,
            owned: false,
            count: 1,
        }
    }

    /// Returns the bytes from `position` to the end of a run of `count` clusters that begins with
    /// its cluster.
    pub(crate) fn span(&self, position: u64, count: u64) -> u64 {
        (count << self.layout.cluster_bits) - self.layout.within(position)
    }
}
