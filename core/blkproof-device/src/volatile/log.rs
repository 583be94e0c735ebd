//! The log of a volatile cache: each pending operation with what it put down and what stood there.
//!
//! Whole pages are not copied: the log takes those of the disk, before an operation and behind it,
//! and the disk splits off a shared page when it is written the next time.

use core::ops::Range;

use blkproof_spec::{ByteRange, ImageName, IoType, Length, Offset};

use super::{Fate, Pending};
use crate::block_device::{BlockDevice, Durability, IoResult, StatusKind};
use crate::parcel::{Load, Parcel};
use crate::pool::PAGE;
use crate::range_set::RangeSet;

/// The operations of one device since its last flush.
#[derive(Clone)]
pub(crate) struct Volatile {
    image: ImageName,
    entries: Vec<Entry>,
    /// What the entries put down and what stood there; its memory is used again after each flush.
    bytes: Parcel,
    /// What stood where entries changed something and was not zero: which bytes, and where among
    /// the log's they begin.
    saved: Vec<(ByteRange, u64)>,
}

/// One operation.
#[derive(Clone)]
struct Entry {
    pending: Pending,
    /// It is durable, though older ones may not be.
    durable: bool,
    /// Where its data begins among the log's bytes.
    data: u64,
    /// What of the log's saved runs stood there before it.
    saved: Range<usize>,
    size_before: u64,
    size_after: u64,
}

/// An operation that was begun: its place in the log.
pub(crate) struct Mark(usize);

impl Volatile {
    /// Makes the empty cache of an image's device.
    pub(crate) fn new(image: ImageName) -> Self {
        Self {
            image,
            entries: Vec::new(),
            bytes: Parcel::new(),
            saved: Vec::new(),
        }
    }

    pub(crate) fn image(&self) -> &ImageName {
        &self.image
    }

    /// Notes an operation that is about to change `range` of `disk`.
    pub(crate) fn begin<D: BlockDevice + ?Sized>(
        &mut self,
        disk: &mut D,
        number: u64,
        kind: Option<IoType>,
        range: ByteRange,
    ) -> IoResult<Mark> {
        let size = disk.size().0;
        let first = self.saved.len();
        self.save(disk, range.intersect(ByteRange::new(0, size)))?;
        self.entries.push(Entry {
            pending: Pending {
                number,
                kind,
                range,
            },
            durable: false,
            data: self.bytes.len(),
            saved: first..self.saved.len(),
            size_before: size,
            size_after: size,
        });
        Ok(Mark(self.entries.len() - 1))
    }

    /// Takes in that an operation was carried out, and wrote `data`.
    pub(crate) fn commit<D: BlockDevice + ?Sized>(
        &mut self,
        disk: &mut D,
        mark: Mark,
        data: &[u8],
    ) -> IoResult<()> {
        let start = self.entries[mark.0].pending.range.start;
        let range = ByteRange::new(start, data.len() as u64);
        let whole = range.inward(PAGE);
        self.entries[mark.0].size_after = disk.size().0;
        self.entries[mark.0].data = self.bytes.len();
        if whole.is_empty() {
            self.add_bytes(data);
            return Ok(());
        }
        self.add_bytes(&data[..index(whole.start - start)]);
        let shared = disk.read_parcel(whole, &mut self.bytes);
        if shared.is_err() {
            self.entries[mark.0].data = self.bytes.len();
            self.add_bytes(data);
            return shared;
        }
        self.add_bytes(&data[index(whole.end() - start)..]);
        Ok(())
    }

    /// Takes in that an operation failed that was to write `data`. Any part of it may have been
    /// applied: it stays, as it may reach the medium.
    pub(crate) fn commit_failed<D: BlockDevice + ?Sized>(
        &mut self,
        disk: &D,
        mark: Mark,
        data: &[u8],
    ) {
        self.entries[mark.0].size_after = disk.size().0;
        self.entries[mark.0].data = self.bytes.len();
        self.add_bytes(data);
    }

    fn add_bytes(&mut self, data: &[u8]) {
        self.bytes.add_room(data.len()).copy_from_slice(data);
    }

    /// Takes in that one operation is durable by itself.
    pub(crate) fn make_durable(&mut self, number: u64) {
        let mut entries = self.entries.iter_mut().rev();
        if let Some(entry) = entries.find(|entry| entry.pending.number == number) {
            entry.durable = true;
        }
    }

    /// Returns how many bytes it holds of what operations put down and of what stood there.
    pub(crate) fn held(&self) -> u64 {
        self.bytes.len()
    }

    /// Takes in that everything is durable.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        self.saved.clear();
    }

    /// Returns the operations that are not durable, in order.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Pending> + '_ {
        let pending = self.entries.iter().filter(|entry| !entry.durable);
        pending.map(|entry| &entry.pending)
    }

    /// Returns the bytes that a loss of power may change now: those of pending operations that none
    /// behind them wrote durably.
    pub(crate) fn undurable(&self) -> RangeSet {
        let mut set = RangeSet::default();
        for entry in &self.entries {
            if entry.durable {
                set.remove(entry.pending.range);
            } else {
                set.insert(entry.pending.range);
            }
        }
        set
    }

    /// Saves what stands in `range`, where that is not zero.
    fn save<D: BlockDevice + ?Sized>(&mut self, disk: &mut D, range: ByteRange) -> IoResult<()> {
        let mut position = range.start;
        while position < range.end() {
            let status = disk.block_status(ByteRange::between(position, range.end()))?;
            let run = ByteRange::new(position, status.len.0);
            position = run.end();
            if status.kind == StatusKind::Data {
                self.save_data(disk, run)?;
            }
        }
        Ok(())
    }

    fn save_data<D: BlockDevice + ?Sized>(&mut self, disk: &mut D, run: ByteRange) -> IoResult<()> {
        let whole = run.inward(PAGE);
        self.saved.push((run, self.bytes.len()));
        if whole.is_empty() {
            return self.read(disk, run);
        }
        self.read(disk, ByteRange::between(run.start, whole.start))?;
        disk.read_parcel(whole, &mut self.bytes)?;
        self.read(disk, ByteRange::between(whole.end(), run.end()))
    }

    /// Copies what stands on the disk: of a page that only a part is of interest of, nobody holds
    /// the whole.
    fn read<D: BlockDevice + ?Sized>(&mut self, disk: &mut D, range: ByteRange) -> IoResult<()> {
        let room = self.bytes.add_room(index(range.len));
        disk.read_at(Offset(range.start), room)
    }

    /// Puts everything back as it was when all before the log was durable, and then lets happen
    /// what `fates` says of each pending operation. The log is empty then: all is durable.
    pub(crate) fn resolve<D: BlockDevice + ?Sized>(
        &mut self,
        disk: &mut D,
        reversed: bool,
        fates: &[Fate],
    ) -> IoResult<()> {
        for entry in self.entries.iter().rev() {
            self.take_back(disk, entry)?;
        }
        let mut fates = fates.iter();
        let mut grown = true;
        // What is durable by itself came behind all that was issued before it.
        for segment in self.entries.split_inclusive(|entry| entry.durable) {
            let last = segment.last().filter(|entry| entry.durable);
            let free = &segment[..segment.len() - usize::from(last.is_some())];
            let mut told: Vec<_> = free.iter().zip(fates.by_ref()).collect();
            if reversed {
                // A write that came before another size must not make the device larger again.
                for part in told.split_mut(|(entry, _)| entry.pending.kind.is_none()) {
                    part.reverse();
                }
            }
            for (entry, fate) in told {
                if entry.pending.kind.is_none() {
                    grown = *fate == Fate::Kept || entry.size_after < entry.size_before;
                }
                // What was written behind an end that did not move lies nowhere.
                let end = if grown { u64::MAX } else { disk.size().0 };
                self.apply(disk, entry, fate, end)?;
            }
            if let Some(durable) = last {
                self.apply(disk, durable, &Fate::Kept, u64::MAX)?;
            }
        }
        self.clear();
        disk.flush()
    }

    /// Puts back what stood there before an operation.
    fn take_back<D: BlockDevice + ?Sized>(&self, disk: &mut D, entry: &Entry) -> IoResult<()> {
        if entry.size_after != entry.size_before || disk.size().0 != entry.size_before {
            disk.set_size(Length(entry.size_before))?;
        }
        let range = entry.pending.range;
        let inside = range.intersect(ByteRange::new(0, entry.size_before));
        disk.write_zeroes(inside, true)?;
        for (run, start) in &self.saved[entry.saved.clone()] {
            let saved = Load::Parcel(&self.bytes, ByteRange::new(*start, run.len));
            disk.write_load(Offset(run.start), saved, Durability::Later)?;
        }
        Ok(())
    }

    /// Lets as much of an operation happen as its fate says, up to an end.
    fn apply<D: BlockDevice + ?Sized>(
        &self,
        disk: &mut D,
        entry: &Entry,
        fate: &Fate,
        end: u64,
    ) -> IoResult<()> {
        let range = entry.pending.range.intersect(ByteRange::new(0, end));
        match fate {
            Fate::Lost => Ok(()),
            Fate::Kept if entry.pending.kind.is_none() => disk.set_size(Length(entry.size_after)),
            Fate::Kept => self.apply_part(disk, entry, range),
            Fate::Parts { kept, garbage } => {
                for part in kept {
                    self.apply_part(disk, entry, part.intersect(range))?;
                }
                for (part, seed) in garbage {
                    let part = part.intersect(range);
                    if entry.pending.kind == Some(IoType::Write) && !part.is_empty() {
                        let bytes = super::fate::garbage(*seed, part);
                        disk.write_at(Offset(part.start), &bytes, Durability::Later)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn apply_part<D: BlockDevice + ?Sized>(
        &self,
        disk: &mut D,
        entry: &Entry,
        part: ByteRange,
    ) -> IoResult<()> {
        if part.is_empty() {
            return Ok(());
        }
        match entry.pending.kind {
            Some(IoType::Write) => {
                let from = entry.data + (part.start - entry.pending.range.start);
                let data = Load::Parcel(&self.bytes, ByteRange::new(from, part.len));
                disk.write_load(Offset(part.start), data, Durability::Later)
            }
            Some(IoType::Discard) => disk.discard(part),
            Some(_) => disk.write_zeroes(part, true),
            None => Ok(()),
        }
    }
}

fn index(len: u64) -> usize {
    usize::try_from(len).expect("what a request carries fits memory")
}
