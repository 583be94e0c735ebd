//! A bounded cache of slices of tables: of L2 tables, and of refcount blocks.
//!
//! Slices are found by their position in the file. They are changed in memory and written when
//! their owner says so; one that is dirty is never dropped. Each remembers which of its bytes are
//! dirty, in whole sectors, so that a changed entry costs 512 bytes. A slice whose write failed
//! stays dirty.

use blkproof_device::{BlockDevice, IoResult};
use blkproof_spec::{ByteRange, SECTOR};

use crate::file::ImageFile;
use crate::num::{be64, index, put64};

/// A slice's place in the cache. It holds until the next load or removal.
pub(crate) type Slot = usize;

/// The cache.
#[derive(Debug)]
pub(crate) struct TableCache {
    slice_len: u64,
    capacity: usize,
    /// Position in the file and slot of each cached slice, ascending.
    places: Vec<(u64, Slot)>,
    slots: Vec<Slice>,
    /// Slots that hold nothing.
    vacant: Vec<Slot>,
    /// Where the search for a slice to drop goes on.
    hand: Slot,
    dirty: usize,
    last: Slot,
}

#[derive(Debug)]
struct Slice {
    offset: u64,
    bytes: Vec<u8>,
    dirty: (usize, usize),
    used: bool,
}

const VACANT: u64 = u64::MAX;

impl TableCache {
    /// Makes an empty cache of at most `bytes`, and at least a few slices.
    pub(crate) fn new(slice_len: u64, bytes: u64) -> Self {
        Self {
            slice_len,
            capacity: index((bytes / slice_len).max(4)),
            places: Vec::new(),
            slots: Vec::new(),
            vacant: Vec::new(),
            hand: 0,
            dirty: 0,
            last: 0,
        }
    }

    /// Returns the slot of the slice at `offset`, if it is cached.
    pub(crate) fn find(&mut self, offset: u64) -> Option<Slot> {
        if self
            .slots
            .get(self.last)
            .is_some_and(|slice| slice.offset == offset)
        {
            return Some(self.last);
        }
        let place = self.place(offset).ok()?;
        let slot = self.places[place].1;
        self.slots[slot].used = true;
        self.last = slot;
        Some(slot)
    }

    fn place(&self, offset: u64) -> Result<usize, usize> {
        self.places.binary_search_by_key(&offset, |place| place.0)
    }

    /// Tells whether the next load has to drop a slice and can drop none: dirty ones have to be
    /// written first.
    pub(crate) fn is_stuck(&self) -> bool {
        self.dirty >= self.capacity
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty > 0
    }

    /// Reads the slice at `offset`, which is not cached, into a slot. The cache is not stuck.
    pub(crate) fn load<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        offset: u64,
    ) -> IoResult<Slot> {
        let slot = self.vacate();
        let read = file.read(offset, &mut self.slots[slot].bytes);
        if let Err(error) = read {
            self.vacant.push(slot);
            return Err(error);
        }
        self.occupy(slot, offset);
        Ok(slot)
    }

    /// Takes in the slice at `offset`, which is not cached, as zeroes. The cache is not stuck.
    pub(crate) fn insert_zeroes(&mut self, offset: u64) -> Slot {
        let fresh = self.slots.len();
        let slot = self.vacate();
        if slot != fresh {
            self.slots[slot].bytes.fill(0);
        }
        self.occupy(slot, offset);
        slot
    }

    fn vacate(&mut self) -> Slot {
        if let Some(slot) = self.vacant.pop() {
            return slot;
        }
        if self.slots.len() < self.capacity {
            self.slots.push(Slice {
                offset: VACANT,
                bytes: vec![0; index(self.slice_len)],
                dirty: (0, 0),
                used: false,
            });
            return self.slots.len() - 1;
        }
        let slot = self.victim();
        self.remove_slot(slot);
        slot
    }

    /// Chooses a clean slice that was not used lately.
    fn victim(&mut self) -> Slot {
        loop {
            let slot = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            let slice = &mut self.slots[slot];
            if slice.dirty != (0, 0) {
                continue;
            }
            if !slice.used {
                return slot;
            }
            slice.used = false;
        }
    }

    fn remove_slot(&mut self, slot: Slot) {
        let slice = &mut self.slots[slot];
        let offset = core::mem::replace(&mut slice.offset, VACANT);
        if slice.dirty != (0, 0) {
            slice.dirty = (0, 0);
            self.dirty -= 1;
        }
        let place = self.place(offset).expect("an occupied slot has a place");
        self.places.remove(place);
    }

    fn occupy(&mut self, slot: Slot, offset: u64) {
        self.slots[slot].offset = offset;
        self.slots[slot].used = true;
        let place = self.place(offset).expect_err("a slice is cached once");
        self.places.insert(place, (offset, slot));
        self.last = slot;
    }

    /// Drops every slice within `range`, written or not: the table is gone.
    pub(crate) fn remove(&mut self, range: ByteRange) {
        let start = self.places.partition_point(|place| place.0 < range.start);
        while let Some(&(offset, slot)) = self.places.get(start)
            && offset < range.end()
        {
            self.remove_slot(slot);
            self.vacant.push(slot);
        }
    }

    /// Returns the bytes of a slice.
    pub(crate) fn bytes(&self, slot: Slot) -> &[u8] {
        &self.slots[slot].bytes
    }

    /// Returns the bytes of a slice to change those of `[start, end)`.
    pub(crate) fn bytes_mut(&mut self, slot: Slot, start: usize, end: usize) -> &mut [u8] {
        let slice = &mut self.slots[slot];
        let sector = index(SECTOR);
        let (start, end) = (start - start % sector, end.next_multiple_of(sector));
        if slice.dirty == (0, 0) {
            self.dirty += 1;
            slice.dirty = (start, end);
        } else {
            slice.dirty = (slice.dirty.0.min(start), slice.dirty.1.max(end));
        }
        &mut slice.bytes
    }

    /// Returns the 64-bit entry `at` of a slice.
    pub(crate) fn entry(&self, slot: Slot, at: usize) -> u64 {
        be64(&self.slots[slot].bytes, at * 8)
    }

    /// Returns the 64-bit entries of a slice, as they are in the file.
    pub(crate) fn entries(&self, slot: Slot) -> &[[u8; 8]] {
        self.slots[slot].bytes.as_chunks().0
    }

    /// Changes `count` 64-bit entries of a slice, from `at` on.
    pub(crate) fn fill_entries(&mut self, slot: Slot, at: usize, count: usize, value: u64) {
        let (start, end) = (at * 8, (at + count) * 8);
        let (entries, _) = self.bytes_mut(slot, start, end)[start..end].as_chunks_mut();
        entries.fill(value.to_be_bytes());
    }

    /// Changes the 64-bit entry `at` of a slice.
    pub(crate) fn set_entry(&mut self, slot: Slot, at: usize, value: u64) {
        put64(self.bytes_mut(slot, at * 8, at * 8 + 8), at * 8, value);
    }

    /// Writes what is dirty, in the order of the file, calling `before` ahead of each write.
    pub(crate) fn write<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        mut before: impl FnMut(&mut ImageFile<D>) -> IoResult<()>,
    ) -> IoResult<()> {
        if self.dirty == 0 {
            return Ok(());
        }
        for &(offset, slot) in &self.places {
            let slice = &mut self.slots[slot];
            let (start, end) = slice.dirty;
            if start < end {
                before(file)?;
                file.write(offset + start as u64, &slice.bytes[start..end])?;
                slice.dirty = (0, 0);
                self.dirty -= 1;
            }
        }
        Ok(())
    }
}
