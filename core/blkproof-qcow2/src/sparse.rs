//! A table that is read slice by slice, when it is needed: the L1 table and the refcount table.
//!
//! What is loaded stays in memory. A slice whose entries are all the same takes no memory, and
//! where the device below says that the rest of a table is a hole, the rest is not even read: a
//! fresh image of 16 TiB has an L1 table of 256 KiB that costs one question.
//!
//! The table in memory is the truth: an entry whose write failed stays dirty until a later one
//! succeeds.

use blkproof_device::{BlockDevice, IoResult, StatusKind};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, SECTOR};

use crate::file::ImageFile;
use crate::num::{alike, be64, index, put64};

/// A table of 64-bit entries in the file.
#[derive(Debug)]
pub(crate) struct SparseTable {
    offset: u64,
    entries: u64,
    /// Entries in a slice, as a power of two.
    entry_bits: u32,
    slices: Vec<Slice>,
    dirty: bool,
    /// Memory to read into, as long as no slice needs it.
    spare: Vec<u8>,
}

#[derive(Clone, Default, Debug)]
struct Slice {
    held: Held,
    /// The bytes that differ from those in the file.
    dirty: (usize, usize),
}

/// What is known of a slice.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
enum Held {
    #[default]
    Unknown,
    /// All entries are this one.
    All(u64),
    /// The entries, as they are in the file.
    Each(Vec<u8>),
}

impl SparseTable {
    pub(crate) fn new(offset: u64, entries: u64, slice_bits: u32) -> Self {
        Self {
            offset,
            entries,
            entry_bits: slice_bits - 3,
            slices: Vec::new(),
            dirty: false,
            spare: Vec::new(),
        }
    }

    /// Makes a table of entries that are in the file already.
    pub(crate) fn of_bytes(offset: u64, bytes: &[u8], slice_bits: u32) -> Self {
        let slices = bytes.chunks(1 << slice_bits).map(|chunk| Slice {
            held: Held::Each(chunk.to_vec()),
            dirty: (0, 0),
        });
        Self {
            offset,
            entries: bytes.len() as u64 / 8,
            entry_bits: slice_bits - 3,
            slices: slices.collect(),
            dirty: false,
            spare: Vec::new(),
        }
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// The bytes of the file that the table takes.
    pub(crate) fn range(&self) -> ByteRange {
        ByteRange::new(self.offset, self.entries * 8)
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Moves the table: it has the same entries at another place, and zeroes behind them.
    pub(crate) fn relocate(&mut self, offset: u64, entries: u64) {
        self.forget_tail();
        self.offset = offset;
        self.entries = entries;
    }

    /// Drops the last slice if it is cut short by the end of the table, so that it is read anew at
    /// its full length.
    fn forget_tail(&mut self) {
        if !self.entries.is_multiple_of(self.slice_entries()) {
            self.slices.truncate(index(self.entries >> self.entry_bits));
        }
    }

    fn slice_bits(&self) -> u32 {
        self.entry_bits + 3
    }

    /// Bytes in a slice.
    fn slice(&self) -> u64 {
        1 << self.slice_bits()
    }

    fn slice_entries(&self) -> u64 {
        1 << self.entry_bits
    }

    fn slice_len(&self, slice: u64) -> u64 {
        (self.entries * 8 - (slice << self.slice_bits())).min(self.slice())
    }

    /// Returns entry `at`.
    pub(crate) fn get<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        at: u64,
    ) -> IoResult<u64> {
        let slice = at >> self.entry_bits;
        let place = at & (self.slice_entries() - 1);
        if let Some(value) = self
            .slices
            .get(index(slice))
            .and_then(|slice| slice.get(place))
        {
            return Ok(value);
        }
        self.load(file, slice)?;
        let loaded = self.slices[index(slice)].get(place);
        Ok(loaded.expect("a slice that was loaded is known"))
    }

    /// Changes entry `at`, whose slice has been read, in memory.
    pub(crate) fn set(&mut self, at: u64, value: u64) {
        self.fill(at, 1, value);
    }

    /// Changes `count` entries from `at` on, whose slices have been read, in memory.
    pub(crate) fn fill(&mut self, mut at: u64, count: u64, value: u64) {
        let end = at + count;
        while at < end {
            let number = at >> self.entry_bits;
            let len = index(self.slice_len(number));
            let start = number << self.entry_bits;
            let to = end.min(start + self.slice_entries());
            let slice = &mut self.slices[index(number)];
            slice.fill(len, (index(at - start), index(to - start)), value);
            at = to;
        }
        self.dirty = true;
    }

    fn load<D: BlockDevice>(&mut self, file: &mut ImageFile<D>, slice: u64) -> IoResult<()> {
        if self.slices.len() <= index(slice) {
            self.slices.resize_with(index(slice) + 1, Slice::default);
        }
        if self.skip_hole(file, slice) {
            return Ok(());
        }
        let len = index(self.slice_len(slice));
        self.spare.resize(len, 0);
        let start = self.offset + (slice << self.slice_bits());
        file.read(start, &mut self.spare)?;
        let (entries, _) = self.spare.as_chunks::<8>();
        self.slices[index(slice)].held = if alike(entries) == entries.len() {
            Held::All(be64(&self.spare, 0))
        } else {
            Held::Each(core::mem::take(&mut self.spare))
        };
        Ok(())
    }

    /// Asks whether the rest of a large table is a hole, and takes it as zero if so.
    fn skip_hole<D: BlockDevice>(&mut self, file: &mut ImageFile<D>, slice: u64) -> bool {
        let start = slice << self.slice_bits();
        let rest = self.entries * 8 - start;
        if rest <= self.slice() {
            return false;
        }
        let range = ByteRange::new(self.offset + start, rest);
        let Ok(status) = file.device_mut().block_status(range) else {
            return false;
        };
        if status.kind == StatusKind::Data {
            return false;
        }
        let covered = if status.len.0 >= rest {
            rest.div_ceil(self.slice())
        } else {
            status.len.0 >> self.slice_bits()
        };
        let end = index(slice + covered);
        if self.slices.len() < end {
            self.slices.resize_with(end, Slice::default);
        }
        for skipped in &mut self.slices[index(slice)..end] {
            if skipped.held == Held::Unknown {
                skipped.held = Held::All(0);
            }
        }
        covered > 0
    }

    /// Returns the first entry of `[at, end)` that is not zero, and what it is.
    pub(crate) fn next_nonzero<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        mut at: u64,
        end: u64,
    ) -> IoResult<Option<(u64, u64)>> {
        while at < end {
            let value = self.get(file, at)?;
            if value != 0 {
                return Ok(Some((at, value)));
            }
            at = self.end_in_slice(at, end);
        }
        Ok(None)
    }

    /// Returns the first entry of `[at, end)` that is not what `at` is, or `end`.
    pub(crate) fn end_of_alike<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        at: u64,
        end: u64,
    ) -> IoResult<u64> {
        let first = self.get(file, at)?;
        let mut at = self.end_in_slice(at, end);
        while at < end && self.get(file, at)? == first {
            at = self.end_in_slice(at, end);
        }
        Ok(at)
    }

    /// Returns the first entry behind those that are read together with `at`.
    pub(crate) fn slice_end(&self, at: u64) -> u64 {
        (at | (self.slice_entries() - 1)) + 1
    }

    /// Returns where, up to `end` and within its slice, which was read, entries end that are what
    /// `at` is.
    fn end_in_slice(&self, at: u64, end: u64) -> u64 {
        let start = at & !(self.slice_entries() - 1);
        let end = end.min(start + self.slice_entries());
        match &self.slices[index(at >> self.entry_bits)].held {
            Held::Each(bytes) => {
                let (entries, _) = bytes.as_chunks::<8>();
                at + alike(&entries[index(at - start)..index(end - start)]) as u64
            }
            Held::All(_) | Held::Unknown => end,
        }
    }

    /// Writes what is dirty, raising `event`, if any, before each write.
    pub(crate) fn write<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        event: Option<Event>,
    ) -> IoResult<()> {
        if !self.dirty {
            return Ok(());
        }
        let slice_bits = self.slice_bits();
        let mut same = Vec::new();
        for (number, slice) in self.slices.iter_mut().enumerate() {
            let (start, end) = slice.dirty;
            if start < end {
                if let Some(event) = event {
                    file.event(event)?;
                }
                let at = self.offset + ((number << slice_bits) + start) as u64;
                file.write(at, &slice.bytes(end, &mut same)[start..end])?;
                slice.dirty = (0, 0);
            }
        }
        self.dirty = false;
        Ok(())
    }

    /// Writes every slice that has entries to another place, which holds zeroes.
    pub(crate) fn copy_over<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        offset: u64,
    ) -> IoResult<()> {
        let mut at = 0;
        let mut same = Vec::new();
        while let Some((found, _)) = self.next_nonzero(file, at, self.entries)? {
            let number = found >> self.entry_bits;
            let bytes = self.slices[index(number)].bytes(index(self.slice_len(number)), &mut same);
            file.write(offset + (number << self.slice_bits()), bytes)?;
            at = (number + 1) << self.entry_bits;
        }
        Ok(())
    }

    /// Copies every entry that is not zero into `bytes`, the table at its new size.
    pub(crate) fn copy_to<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        bytes: &mut [u8],
    ) -> IoResult<()> {
        let mut at = 0;
        while let Some((found, value)) = self.next_nonzero(file, at, self.entries)? {
            put64(bytes, index(found) * 8, value);
            at = found + 1;
        }
        Ok(())
    }
}

impl Slice {
    /// Returns the entry at index `at` of the slice, if it is known.
    fn get(&self, at: u64) -> Option<u64> {
        match &self.held {
            Held::Unknown => None,
            Held::All(value) => Some(*value),
            Held::Each(bytes) => Some(be64(bytes, index(at) * 8)),
        }
    }

    /// Changes the entries `[start, end)` of a slice of `len` bytes that was read.
    fn fill(&mut self, len: usize, (start, end): (usize, usize), value: u64) {
        self.touch(start * 8, end * 8, len);
        if (start, end * 8) == (0, len) {
            self.held = Held::All(value);
            return;
        }
        if let Held::All(old) = self.held {
            self.held = Held::Each(old.to_be_bytes().repeat(len / 8));
        }
        if let Held::Each(bytes) = &mut self.held {
            let (entries, _) = bytes.as_chunks_mut::<8>();
            entries[start..end].fill(value.to_be_bytes());
        }
    }

    /// Returns the first `len` bytes, at least. Where all entries are the same they are put into
    /// `same`, unless it is full of them.
    fn bytes<'a>(&'a self, len: usize, same: &'a mut Vec<u8>) -> &'a [u8] {
        match &self.held {
            Held::Each(bytes) => bytes,
            Held::All(value) => {
                if same.len() < len || be64(same, 0) != *value {
                    *same = value.to_be_bytes().repeat(len / 8);
                }
                same
            }
            Held::Unknown => &[],
        }
    }

    fn touch(&mut self, start: usize, end: usize, len: usize) {
        let sector = index(SECTOR);
        let start = start - start % sector;
        let end = end.next_multiple_of(sector).min(len);
        self.dirty = match self.dirty {
            (0, 0) => (start, end),
            (low, high) => (low.min(start), high.max(end)),
        };
    }
}
