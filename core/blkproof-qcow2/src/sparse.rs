//! A table that is read slice by slice, when it is needed: the L1 table and the refcount table.
//!
//! What is loaded stays in memory. A slice of zeroes takes no memory, and where the device below
//! says that the rest of a table is a hole, the rest is not even read: a fresh image of 16 TiB has
//! an L1 table of 256 KiB that costs one question.
//!
//! The table in memory is the truth: an entry whose write failed stays dirty until a later one
//! succeeds.

use blkproof_device::{BlockDevice, IoResult, StatusKind};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, SECTOR};

use crate::file::ImageFile;
use crate::num::{be64, index, is_zero, put64};

/// A table of 64-bit entries in the file.
#[derive(Debug)]
pub(crate) struct SparseTable {
    offset: u64,
    entries: u64,
    /// Entries in a slice, as a power of two.
    entry_bits: u32,
    slices: Vec<Slice>,
    dirty: bool,
}

#[derive(Clone, Default, Debug)]
struct Slice {
    state: State,
    /// Empty unless loaded.
    bytes: Vec<u8>,
    /// The bytes that differ from those in the file.
    dirty: (usize, usize),
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum State {
    #[default]
    Unknown,
    Zero,
    Loaded,
}

impl SparseTable {
    pub(crate) fn new(offset: u64, entries: u64, slice_bits: u32) -> Self {
        Self {
            offset,
            entries,
            entry_bits: slice_bits - 3,
            slices: Vec::new(),
            dirty: false,
        }
    }

    /// Makes a table of entries that are in the file already.
    pub(crate) fn of_bytes(offset: u64, bytes: &[u8], slice_bits: u32) -> Self {
        let slices = bytes.chunks(1 << slice_bits).map(|chunk| Slice {
            state: State::Loaded,
            bytes: chunk.to_vec(),
            dirty: (0, 0),
        });
        Self {
            offset,
            entries: bytes.len() as u64 / 8,
            entry_bits: slice_bits - 3,
            slices: slices.collect(),
            dirty: false,
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
        match self.slices.get(index(slice)) {
            Some(loaded) if loaded.state == State::Loaded => {
                Ok(loaded.get(at & (self.slice_entries() - 1)))
            }
            Some(zero) if zero.state == State::Zero => Ok(0),
            _ => {
                self.load(file, slice)?;
                let loaded = &self.slices[index(slice)];
                Ok(match loaded.state {
                    State::Loaded => loaded.get(at & (self.slice_entries() - 1)),
                    _ => 0,
                })
            }
        }
    }

    /// Changes entry `at`, whose slice has been read, in memory.
    pub(crate) fn set(&mut self, at: u64, value: u64) {
        let len = index(self.slice_len(at >> self.entry_bits));
        let byte = index(at & (self.slice_entries() - 1)) * 8;
        let slice = &mut self.slices[index(at >> self.entry_bits)];
        if slice.state == State::Zero {
            slice.bytes = vec![0; len];
            slice.state = State::Loaded;
        }
        put64(&mut slice.bytes, byte, value);
        slice.touch(byte);
        self.dirty = true;
    }

    fn load<D: BlockDevice>(&mut self, file: &mut ImageFile<D>, slice: u64) -> IoResult<()> {
        if self.slices.len() <= index(slice) {
            self.slices.resize_with(index(slice) + 1, Slice::default);
        }
        if self.skip_hole(file, slice) {
            return Ok(());
        }
        let mut bytes = vec![0; index(self.slice_len(slice))];
        file.read(self.offset + (slice << self.slice_bits()), &mut bytes)?;
        let target = &mut self.slices[index(slice)];
        if is_zero(&bytes) {
            target.state = State::Zero;
        } else {
            target.state = State::Loaded;
            target.bytes = bytes;
        }
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
            if skipped.state == State::Unknown {
                skipped.state = State::Zero;
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
            let start = at & !(self.slice_entries() - 1);
            let slice_end = start + self.slice_entries();
            let slice = &self.slices[index(at >> self.entry_bits)];
            at = match slice.state {
                State::Loaded => start + slice.next_nonzero(at - start, end.min(slice_end) - start),
                _ => slice_end,
            };
        }
        Ok(None)
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
        for (number, slice) in self.slices.iter_mut().enumerate() {
            let (start, end) = slice.dirty;
            if start < end {
                if let Some(event) = event {
                    file.event(event)?;
                }
                let at = self.offset + ((number << slice_bits) + start) as u64;
                file.write(at, &slice.bytes[start..end])?;
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
        while let Some((found, _)) = self.next_nonzero(file, at, self.entries)? {
            let number = found >> self.entry_bits;
            let slice = &self.slices[index(number)];
            file.write(offset + (number << self.slice_bits()), &slice.bytes)?;
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
    /// Returns the entry at index `at` of the slice.
    fn get(&self, at: u64) -> u64 {
        be64(&self.bytes, index(at) * 8)
    }

    fn next_nonzero(&self, at: u64, end: u64) -> u64 {
        (at..end).find(|entry| self.get(*entry) != 0).unwrap_or(end)
    }

    fn touch(&mut self, byte: usize) {
        let sector = index(SECTOR);
        let start = byte - byte % sector;
        let end = (start + sector).min(self.bytes.len());
        self.dirty = match self.dirty {
            (0, 0) => (start, end),
            (low, high) => (low.min(start), high.max(end)),
        };
    }
}
