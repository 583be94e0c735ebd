//! Bitmaps that are stored in the image.
//!
//! The bits of a bitmap lie in clusters, to which its table points; the directory names all bitmaps
//! with their tables and flags; the header says where the directory lies. Nothing of that is
//! changed in place: what changes is written elsewhere, and then the header, whose sector changes
//! as one, leads to the new directory. So the file leads from one complete set of bitmaps to the
//! next, whatever fails or loses its power in between; what can be lost is space.
//!
//! A bitmap whose flag `in_use` is clear claims to be as true as the guest's data. Before anything
//! of that changes all bitmaps are flagged, durably ([`Qcow2::begin_change`]), also where the
//! caller knows nothing of bitmaps. Only [`Qcow2::store_bitmaps`] clears the flag, of what it
//! stores.

mod bits;

mod directory;

mod table;

use std::collections::BTreeSet;

use blkproof_device::{BlockDevice, IoError};
use blkproof_spec::{ByteRange, Errno, Length, SECTOR};

use crate::error::{Inner, Qcow2Error, Trouble};
use crate::header::{AUTOCLEAR_BITMAPS, BitmapsExtension, MAX_BITMAPS, MAX_DIRECTORY};
use crate::image::Qcow2;
use crate::layout::Run;
use crate::mistake::Mistake;
use crate::num::index;
use directory::Entry;

/// The most bytes that the bits of one bitmap may take, as in QEMU.
const MAX_BYTES: u64 = 1 << 29;
/// The granularities that can be stored, as powers of two.
const GRANULARITY_BITS: core::ops::RangeInclusive<u32> = 9..=31;
/// The longest name of a bitmap, in bytes.
const MAX_NAME: u64 = 1023;

/// A bitmap that is stored in an image: all but its bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredBitmap {
    /// Its name, from 1 to 1023 bytes.
    pub name: String,
    /// Bytes of the guest per bit, a power of two from 512 to 2 GiB.
    pub granularity: Length,
    /// Whether it records writes (the flag `auto`).
    pub enabled: bool,
    /// Whether it was not stored since the image was last opened to be written: neither its bits
    /// nor this description are to be trusted then.
    pub in_use: bool,
}

/// A bitmap that is to be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewBitmap<'a> {
    /// Its name, from 1 to 1023 bytes.
    pub name: &'a str,
    /// Bytes of the guest per bit, a power of two from 512 to 2 GiB.
    pub granularity: Length,
    /// Whether it records writes (the flag `auto`).
    pub enabled: bool,
    /// The bits that are set, as runs `[start, end)` in ascending order that do not touch.
    pub runs: &'a [(u64, u64)],
}

/// What is known of the bitmaps in the file.
#[derive(Default, Debug)]
pub(crate) struct Bitmaps {
    entries: Vec<Entry>,
    /// A bitmap may be called consistent by the file.
    trusted: bool,
    /// What is still to be written, by a mistake.
    late: Vec<(ByteRange, Vec<u8>)>,
    /// What the file leads to if a write of the header that failed was done after all.
    doubtful: Vec<Run>,
}

impl<D: BlockDevice> Qcow2<D> {
    /// Returns the most bitmaps that an image can have.
    pub const MAX_BITMAPS: u64 = MAX_BITMAPS;

    /// Tells whether a bitmap of this granularity can be stored in an image of this size.
    #[must_use]
    pub fn can_store_bitmap(size: Length, granularity: Length) -> bool {
        let bits = granularity.0.trailing_zeros();
        granularity.0.is_power_of_two()
            && GRANULARITY_BITS.contains(&bits)
            && size.0 > 0
            && bits::bytes(size.0, bits) <= MAX_BYTES
    }

    /// Returns the bitmaps that are stored in the image, in their order.
    pub fn bitmaps(&self) -> impl Iterator<Item = StoredBitmap> + '_ {
        self.bitmaps.entries.iter().map(Entry::describe)
    }

    /// Returns the bits of a stored bitmap that are set, as runs `[start, end)` in ascending order
    /// that do not touch; `None` if there is no bitmap of this name.
    ///
    /// # Errors
    ///
    /// If the device fails, or the bitmap does not fit the image.
    pub fn read_bitmap(&mut self, name: &str) -> Result<Option<Vec<(u64, u64)>>, Qcow2Error> {
        let mut entries = self.bitmaps.entries.iter();
        let Some(entry) = entries.find(|entry| entry.name == name) else {
            return Ok(None);
        };
        let entry = entry.clone();
        let expected = bits::table_entries(self.layout, self.header.size, entry.granularity_bits);
        if entry.table_entries != expected {
            return Err(Qcow2Error::Field {
                field: "bitmap_table_size",
                value: entry.table_entries,
                expected: "what the size of the image takes",
            });
        }
        let read = self.read_bits(&entry);
        self.settle(read).map(Some).map_err(Into::into)
    }

    /// Flags all stored bitmaps as in use, durably: whoever opens the image after an unclean end
    /// does not trust them.
    ///
    /// # Errors
    ///
    /// If the device fails, or the image may not be written.
    pub fn mark_bitmaps(&mut self) -> Result<(), Qcow2Error> {
        let marked = self.check_writable().and_then(|()| self.mark_in_use());
        self.settle(marked).map_err(Into::into)
    }

    /// Stores bitmaps, durably, in place of those of the same names. What the guest wrote is made
    /// durable before. All of them are stored or none.
    ///
    /// # Errors
    ///
    /// If the device fails, the image may not be written, or it cannot hold them.
    pub fn store_bitmaps(&mut self, bitmaps: &[NewBitmap<'_>]) -> Result<(), Qcow2Error> {
        let stored = self.try_store(bitmaps);
        self.settle(stored).map_err(Into::into)
    }

    /// Removes a bitmap from the file, durably; tells whether it was there.
    ///
    /// # Errors
    ///
    /// If the device fails, or the image may not be written.
    pub fn remove_bitmap(&mut self, name: &str) -> Result<bool, Qcow2Error> {
        let mut kept = self.bitmaps.entries.clone();
        kept.retain(|entry| entry.name != name);
        if kept.len() == self.bitmaps.entries.len() {
            return Ok(false);
        }
        let removed = self
            .check_writable()
            .and_then(|()| self.switch(kept, Vec::new()));
        self.settle(removed).map(|()| true).map_err(Into::into)
    }

    /// Reads the directory of an image that is being opened.
    pub(crate) fn load_bitmaps(&mut self) -> Result<(), Qcow2Error> {
        let Some(extension) = self.header.bitmaps else {
            return Ok(());
        };
        if extension.offset.saturating_add(extension.size) > self.layout.up(self.file.size()) {
            return Err(Qcow2Error::Field {
                field: "bitmap_directory_offset",
                value: extension.offset,
                expected: "a directory within the file",
            });
        }
        let mut raw = vec![0; index(extension.size)];
        self.file.read(extension.offset, &mut raw)?;
        self.bitmaps.entries = directory::parse(&raw, extension.count, self.layout)?;
        // Flags that whoever had the image open before left may not be durable yet.
        self.bitmaps.trusted = !self.bitmaps.entries.is_empty();
        Ok(())
    }

    /// Tells whether the file may call a bitmap consistent.
    pub(crate) fn has_trusted_bitmaps(&self) -> bool {
        self.bitmaps.trusted
    }

    /// Flags all stored bitmaps as in use, unless they are.
    pub(crate) fn mark_in_use(&mut self) -> Inner<()> {
        if !self.bitmaps.trusted || self.makes(Mistake::UnflaggedBitmaps) {
            return Ok(());
        }
        let mut entries = self.bitmaps.entries.clone();
        if self.makes(Mistake::RecoveredIsClean) {
            entries.iter_mut().for_each(|entry| entry.in_use = false);
            self.switch(entries.clone(), Vec::new())?;
        }
        if entries.iter().all(|entry| entry.in_use) && self.bitmaps.doubtful.is_empty() {
            self.file.barrier()?;
            self.bitmaps.trusted = false;
            return Ok(());
        }
        for entry in &mut entries {
            entry.in_use = true;
        }
        self.switch(entries, Vec::new())
    }

    fn try_store(&mut self, bitmaps: &[NewBitmap<'_>]) -> Inner<()> {
        self.check_writable()?;
        if self.layout.version < 3 {
            return Err(Errno::ENOTSUP.into());
        }
        if bitmaps.is_empty() {
            return Ok(());
        }
        self.check_bitmaps(bitmaps)?;
        self.write_metadata()?;
        self.file.flush()?;
        if self.makes(Mistake::EarlyFlags) {
            let mut entries = self.bitmaps.entries.clone();
            for entry in &mut entries {
                entry.in_use = false;
            }
            self.switch(entries, Vec::new())?;
        }
        let mut fresh = Vec::new();
        match self.write_bitmaps(bitmaps, &mut fresh) {
            Ok(entries) => self.switch(entries, fresh),
            Err(trouble) => {
                self.give_back_all(&fresh);
                Err(trouble)
            }
        }
    }

    /// Refuses bitmaps that cannot be stored in this image, or not together.
    fn check_bitmaps(&self, bitmaps: &[NewBitmap<'_>]) -> Inner<()> {
        let size = Length(self.header.size);
        let mut names = BTreeSet::new();
        for bitmap in bitmaps {
            let len = bitmap.name.len() as u64;
            let named = (1..=MAX_NAME).contains(&len) && names.insert(bitmap.name);
            if !named || !Self::can_store_bitmap(size, bitmap.granularity) {
                return Err(Errno::EINVAL.into());
            }
        }
        Ok(())
    }

    /// Writes the bits and tables of bitmaps; returns the directory that has them, and notes what
    /// it took.
    fn write_bitmaps(
        &mut self,
        bitmaps: &[NewBitmap<'_>],
        fresh: &mut Vec<Run>,
    ) -> Inner<Vec<Entry>> {
        let mut entries = self.bitmaps.entries.clone();
        for bitmap in bitmaps {
            let granularity_bits = bitmap.granularity.0.trailing_zeros();
            let (table, table_entries) = self.write_bits(bitmap.runs, granularity_bits, fresh)?;
            let entry = Entry {
                name: bitmap.name.to_owned(),
                granularity_bits,
                in_use: false,
                enabled: bitmap.enabled,
                table,
                table_entries,
            };
            match entries.iter_mut().find(|old| old.name == entry.name) {
                Some(old) => *old = entry,
                None => entries.push(entry),
            }
        }
        Ok(entries)
    }

    /// Lets the file have these bitmaps and no others. Their tables are written, in `fresh`
    /// clusters where they are new.
    fn switch(&mut self, entries: Vec<Entry>, mut fresh: Vec<Run>) -> Inner<()> {
        let prepared = self.prepare_switch(&entries, &mut fresh);
        let (extension, old) = match prepared {
            Ok(prepared) => prepared,
            Err(trouble) => {
                self.give_back_all(&fresh);
                return Err(trouble);
            }
        };
        let before = (self.header.bitmaps, self.header.autoclear);
        self.header.bitmaps = extension;
        self.header.autoclear &= !AUTOCLEAR_BITMAPS;
        if extension.is_some() {
            self.header.autoclear |= AUTOCLEAR_BITMAPS;
        }
        if let Err(trouble) = self.write_header_durably() {
            // The file may lead to the new directory or to the old one: both stay where they are,
            // and whichever it is has to be flagged before anything changes.
            (self.header.bitmaps, self.header.autoclear) = before;
            self.bitmaps.trusted = true;
            self.bitmaps.doubtful.append(&mut fresh);
            return Err(trouble);
        }
        self.bitmaps.trusted = entries.iter().any(|entry| !entry.in_use);
        self.bitmaps.entries = entries;
        for run in old.into_iter().chain(self.bitmaps.doubtful.drain(..)) {
            self.refcounts.release(run);
        }
        for (clusters, bytes) in std::mem::take(&mut self.bitmaps.late) {
            self.write_now(clusters, &bytes)?;
        }
        if !self.makes(Mistake::VolatileFlags) {
            // The bitmaps are as they should be; what is not counted down now is later, or leaks.
            let _leaks = self.flush_quietly();
        }
        Ok(())
    }

    /// Writes a directory to a new place; returns what the header is to say, and what is given up
    /// when it does.
    fn prepare_switch(
        &mut self,
        entries: &[Entry],
        fresh: &mut Vec<Run>,
    ) -> Inner<(Option<BitmapsExtension>, Vec<Run>)> {
        let raw = directory::to_bytes(entries);
        let needed = self.layout.clusters(raw.len() as u64);
        let before = self.header.bitmaps;
        let before = before.map(|before| self.layout.run(before.offset, before.size));
        let in_place =
            before.filter(|before| self.makes(Mistake::DirectoryInPlace) && before.count == needed);
        let mut old: Vec<Run> = before.into_iter().filter(|_| in_place.is_none()).collect();
        for entry in self.bitmaps.entries.clone() {
            if entries.iter().all(|kept| kept.table != entry.table) {
                self.clusters_of(&entry, &mut old)?;
            }
        }
        for run in &old {
            self.refcounts.prepare_release(&mut self.file, *run)?;
        }
        self.refcounts.write(&mut self.file)?;
        if !self.makes(Mistake::DirectoryInPlace) {
            self.file.barrier()?;
        }
        if entries.is_empty() {
            return Ok((None, old));
        }
        let size = raw.len() as u64;
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        if size > MAX_DIRECTORY || u64::from(count) > MAX_BITMAPS {
            return Err(Errno::EFBIG.into());
        }
        let run = match in_place {
            Some(run) => run,
            None => {
                let run = self.refcounts.alloc_exact(&mut self.file, needed)?;
                fresh.push(run);
                run
            }
        };
        let clusters = self.layout.bytes(run);
        self.write_now(clusters, &raw)?;
        let offset = clusters.start;
        self.refcounts.write(&mut self.file)?;
        let extension = BitmapsExtension {
            count,
            size,
            offset,
        };
        Ok((Some(extension), old))
    }

    fn write_header_durably(&mut self) -> Inner<()> {
        self.write_header()?;
        if !self.makes(Mistake::VolatileFlags) {
            self.file.flush()?;
        }
        Ok(())
    }

    /// Writes bytes into clusters of their own that lie one behind the other; returns where.
    fn write_anew(&mut self, bytes: &[u8], fresh: &mut Vec<Run>) -> Inner<u64> {
        let count = self.layout.clusters(bytes.len() as u64);
        let run = self.refcounts.alloc_exact(&mut self.file, count)?;
        fresh.push(run);
        self.write_whole(self.layout.bytes(run), bytes)
    }

    /// Writes bytes to the start of clusters, and zeroes behind them; returns where.
    fn write_whole(&mut self, clusters: ByteRange, bytes: &[u8]) -> Inner<u64> {
        if self.makes(Mistake::BitsBehindHeader) {
            self.bitmaps.late.push((clusters, bytes.to_vec()));
        } else {
            self.write_now(clusters, bytes)?;
        }
        Ok(clusters.start)
    }

    fn write_now(&mut self, clusters: ByteRange, bytes: &[u8]) -> Inner<()> {
        if clusters.start < self.file.size() {
            self.file.write_zeroes(clusters)?;
        }
        let sector = index(SECTOR);
        let mut sectors = bytes.to_vec();
        sectors.resize(bytes.len().next_multiple_of(sector), 0);
        self.file.write(clusters.start, &sectors)?;
        if self.file.size() < clusters.end() {
            self.file.write(clusters.end() - SECTOR, &[0; 512])?;
        }
        Ok(())
    }

    fn give_back_all(&mut self, runs: &[Run]) {
        for run in runs {
            self.refcounts.give_back(&mut self.file, *run);
        }
    }
}

/// Takes what cannot be read as nothing, but for what waits.
fn or_nothing<T: Default>(read: Inner<T>) -> Inner<T> {
    match read {
        Err(Trouble::Io(IoError::Wait(wait))) => Err(IoError::Wait(wait).into()),
        read => Ok(read.unwrap_or_default()),
    }
}
