//! Dirty bitmaps and what a job does to one.
//!
//! A bitmap that a job holds is frozen: writes go to its anonymous successor, which takes its place
//! when the job succeeded and is added to it when it did not.

use blkproof_spec::{BitmapName, ByteRange, Refusal};

use crate::bugs::{Bug, Bugs};
use crate::runs::Runs;

/// The smallest granularity.
const GRANULARITY_MIN: u64 = 512;

/// The longest name, in bytes.
const NAME_MAX: usize = 1023;

/// A named dirty bitmap.
#[derive(Clone, Debug)]
pub(crate) struct Bitmap {
    pub(crate) name: BitmapName,
    pub(crate) granularity: u64,
    pub(crate) enabled: bool,
    /// It is stored in the image when that is closed.
    pub(crate) persistent: bool,
    /// It was not stored when the image was open last: what it held is not known.
    pub(crate) inconsistent: bool,
    /// A job, or the removal of it in a transaction, holds it.
    pub(crate) busy: bool,
    pub(crate) dirty: Runs,
    pub(crate) successor: Option<Successor>,
    /// The largest size that the disk had since the bitmap began to count; the largest of all where
    /// that is not known.
    peak: u64,
    seeded: Seeded,
}

/// What seeded bugs need to know of a bitmap.
#[derive(Clone, Debug)]
struct Seeded {
    bugs: Bugs,
    /// The size of the disk when the bitmap was made.
    born: u64,
    /// What was backed up once.
    backed_up: Runs,
    /// All that is dirty came by a merge.
    merged: bool,
    /// It was loaded with this, and nothing was recorded since.
    loaded: bool,
    /// What it was loaded with.
    old: Runs,
}

/// What a bitmap has dirty, kept aside.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    dirty: Runs,
    peak: u64,
}

/// What records writes while a bitmap is frozen.
#[derive(Clone, Debug)]
pub(crate) struct Successor {
    pub(crate) enabled: bool,
    pub(crate) dirty: Runs,
}

/// Returns `asked` if it is a granularity that a bitmap can have.
pub(crate) fn check_granularity(asked: u64) -> Result<u64, Refusal> {
    if asked > u64::from(u32::MAX) {
        return Err(Refusal::GranularityTooLarge);
    }
    if asked < GRANULARITY_MIN || !asked.is_power_of_two() {
        return Err(Refusal::BadGranularity);
    }
    Ok(asked)
}

/// Checks that a bitmap that is not there yet may have this name.
pub(crate) fn check_name(name: &BitmapName) -> Result<(), Refusal> {
    if name.as_str().len() > NAME_MAX {
        return Err(Refusal::BitmapNameTooLong);
    }
    Ok(())
}

impl Bitmap {
    /// Makes a clean bitmap of a disk of `size`.
    pub(crate) fn new(
        name: BitmapName,
        granularity: u64,
        enabled: bool,
        size: u64,
        bugs: Bugs,
    ) -> Self {
        Self {
            name,
            granularity,
            enabled,
            persistent: false,
            inconsistent: false,
            busy: false,
            dirty: Runs::default(),
            successor: None,
            peak: size,
            seeded: Seeded {
                bugs,
                born: size,
                backed_up: Runs::default(),
                merged: false,
                loaded: false,
                old: Runs::default(),
            },
        }
    }

    /// Returns the bitmap with the bits that were stored of it.
    ///
    /// How large the disk was before is not stored. It may have been larger, and the last backup
    /// may have data there: whatever grows is dirty until the bitmap begins to count anew.
    pub(crate) fn loaded(mut self, runs: Vec<(u64, u64)>) -> Self {
        self.peak = u64::MAX;
        for (start, end) in runs {
            self.dirty.insert(start, end);
        }
        self.seeded.loaded = true;
        if self.seeded.bugs.has(Bug::LoadedIsNotStored) {
            self.seeded.old = self.dirty.clone();
        }
        self
    }

    /// Returns the bits to be stored.
    pub(crate) fn to_store(&self) -> Vec<(u64, u64)> {
        let mut dirty = self.dirty.clone();
        for (start, end) in self.seeded.old.iter() {
            dirty.remove(start, end);
        }
        let mut runs: Vec<_> = dirty.iter().collect();
        if self.seeded.bugs.has(Bug::StoredShort) && runs.len() > 1 {
            runs.pop();
        }
        runs
    }

    /// Returns where a job looks for what is dirty, in bytes.
    pub(crate) fn searched(&self) -> u64 {
        if self.seeded.bugs.has(Bug::LoadedIsUncounted) && self.seeded.loaded {
            return 0;
        }
        if self.seeded.bugs.has(Bug::GrowthIsNotCopied) {
            return self.seeded.born;
        }
        u64::MAX
    }

    /// Returns dirty granules times granularity, which may exceed the size of the disk.
    pub(crate) fn count(&self) -> u64 {
        let count = self.dirty.total() * self.granularity;
        if self.seeded.bugs.has(Bug::LoadedIsUncounted) && self.seeded.loaded {
            return 0;
        }
        if self.seeded.bugs.has(Bug::CountIn32Bits) {
            return count & u64::from(u32::MAX);
        }
        if self.seeded.bugs.has(Bug::CountInSectors) {
            return count / 512;
        }
        count
    }

    /// Tells whether writes are recorded, here or in the successor.
    pub(crate) fn recording(&self) -> bool {
        match &self.successor {
            Some(successor) => successor.enabled,
            None => self.enabled,
        }
    }

    /// Takes note of a write, unless it is switched off.
    pub(crate) fn record(&mut self, range: ByteRange) {
        let range = self.seeded.recorded(range, self.granularity);
        if range.is_empty() || !self.recording() {
            return;
        }
        let first = core::mem::take(&mut self.seeded.loaded);
        if first && self.seeded.bugs.has(Bug::FirstWriteIsEarly) {
            return;
        }
        self.seeded.merged = false;
        let dirty = match &mut self.successor {
            Some(successor) => &mut successor.dirty,
            None => &mut self.dirty,
        };
        let shift = self.granularity.trailing_zeros();
        dirty.insert(range.start >> shift, ((range.end() - 1) >> shift) + 1);
    }

    /// Takes note of a discard, unless it is switched off.
    pub(crate) fn record_discard(&mut self, range: ByteRange, size: u64) {
        if self.seeded.bugs.has(Bug::DiscardCleans) {
            let inward = range.inward(self.granularity);
            let unit = self.granularity;
            self.dirty.remove(inward.start / unit, inward.end() / unit);
        } else if !(self.seeded.bugs.has(Bug::TailDiscardIsClean) && range.end() == size) {
            self.record(range);
        }
    }

    /// Refuses where a job holds it.
    pub(crate) fn check_free(&self) -> Result<(), Refusal> {
        if self.busy {
            return Err(Refusal::BitmapBusy);
        }
        Ok(())
    }

    /// Refuses where a job holds it, or where what it held is not known.
    pub(crate) fn check_usable(&self) -> Result<(), Refusal> {
        self.check_free()?;
        if self.inconsistent {
            return Err(Refusal::BitmapInconsistent);
        }
        Ok(())
    }

    /// Adds what `other`, a bitmap of a disk of the same `size`, has dirty: every granule that one
    /// of its dirty granules intersects.
    pub(crate) fn merge(&mut self, other: &Self, size: u64) {
        if self.seeded.bugs.has(Bug::MergedIsEmpty) && other.seeded.merged {
            return;
        }
        self.seeded.merged = self.dirty.total() == 0;
        self.dirty
            .insert_scaled(&other.dirty, other.granularity, self.granularity);
        self.dirty.remove(size.div_ceil(self.granularity), u64::MAX);
    }

    /// Forgets what is dirty, and returns it for [`Bitmap::restore`]. The disk has `size`.
    pub(crate) fn clear(&mut self, size: u64) -> Contents {
        let contents = Contents {
            dirty: core::mem::take(&mut self.dirty),
            peak: self.peak,
        };
        self.peak = size;
        contents
    }

    /// Returns a copy of what is dirty for [`Bitmap::restore`].
    pub(crate) fn contents(&self) -> Contents {
        Contents {
            dirty: self.dirty.clone(),
            peak: self.peak,
        }
    }

    /// Makes that dirty which was, and nothing else.
    pub(crate) fn restore(&mut self, contents: Contents) {
        self.dirty = contents.dirty;
        self.peak = contents.peak;
    }

    /// Follows the size of the disk, from `old` to `new`.
    ///
    /// A last granule that is kept in part stays as it is. What grows back after it was cut off is
    /// dirty, unlike in QEMU: it reads as zeroes now, which the last backup does not hold there.
    pub(crate) fn resize(&mut self, old: u64, new: u64) {
        let mut end = new.div_ceil(self.granularity);
        if self.seeded.bugs.has(Bug::ShrinkDropsPart) && new < old {
            end = new / self.granularity;
        }
        self.dirty.remove(end, u64::MAX);
        if let Some(successor) = &mut self.successor {
            successor.dirty.remove(end, u64::MAX);
        }
        if !self.seeded.bugs.has(Bug::RegrownIsClean) {
            self.record(ByteRange::between(old, new.min(self.peak)));
        }
        let doubled = new.checked_ilog2() > old.checked_ilog2();
        if self.seeded.bugs.has(Bug::GrowthDropsLast)
            && doubled
            && let Some((start, end)) = self.dirty.iter().last()
        {
            self.dirty.remove(start, end);
        }
        self.peak = self.peak.max(new);
    }

    /// Freezes it for a job.
    pub(crate) fn freeze(&mut self) {
        self.busy = true;
        self.successor = Some(Successor {
            enabled: self.enabled,
            dirty: Runs::default(),
        });
        if self.seeded.bugs.has(Bug::ClearedAtStart) {
            self.dirty = Runs::default();
        }
    }

    /// Ends a job by putting the successor in its place. The disk has `size`.
    pub(crate) fn sync(&mut self, size: u64) {
        self.busy = false;
        self.peak = size;
        if let Some(successor) = self.successor.take() {
            if self.seeded.bugs.has(Bug::OverwriteIsClean) {
                self.seeded.backed_up.insert_scaled(&self.dirty, 1, 1);
            }
            self.dirty = successor.dirty;
            self.enabled = successor.enabled;
        }
    }

    /// Ends a job by adding the successor to it.
    pub(crate) fn reclaim(&mut self) {
        self.busy = false;
        if let Some(successor) = self.successor.take() {
            self.dirty.insert_scaled(&successor.dirty, 1, 1);
            self.enabled = successor.enabled;
        }
    }
}

impl Seeded {
    /// Returns what is recorded of a write.
    fn recorded(&self, range: ByteRange, granularity: u64) -> ByteRange {
        if self.bugs == Bugs::NONE {
            return range;
        }
        if self.bugs.has(Bug::NothingMarks) && range.is_empty() {
            return ByteRange::new(range.start, 1);
        }
        if self.bugs.has(Bug::GrowthIsNotMarked) {
            return range.intersect(ByteRange::new(0, self.born));
        }
        let whole = range.outward(granularity);
        let (start, end) = (whole.start / granularity, whole.end() / granularity);
        let known = self.backed_up.first_from(start);
        if known.is_some_and(|known| known.0 == start && known.1 >= end) {
            return ByteRange::default();
        }
        range
    }
}

#[cfg(test)]
mod tests;
