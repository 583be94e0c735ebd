//! Dirty bitmaps of an export.

use core::fmt;

use blkproof_device::RangeSet;
use blkproof_spec::ByteRange;

/// What the names of their metadata contexts begin with, as QEMU has it.
pub(crate) const CONTEXT_PREFIX: &str = "qemu:dirty-bitmap:";

/// The smallest and the largest granularity.
const GRANULARITIES: core::ops::RangeInclusive<u64> = 512..=1 << 31;

/// The longest name: with its prefix it is a string of the protocol.
const NAME_MAX: usize = 1023;

/// The most bitmaps of an export.
const BITMAPS_MAX: usize = 64;

/// Which parts of an export changed since it was made or cleared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirtyBitmap {
    name: String,
    granularity: u64,
    enabled: bool,
    dirty: RangeSet,
}

/// Why something cannot be done with a bitmap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BitmapError {
    /// There is one of this name.
    Exists,
    /// There is none of this name.
    Missing,
    /// The name is empty or too long.
    Name,
    /// The granularity is no power of two from 512 to 2 GiB.
    Granularity,
    /// There are as many as there may be.
    Many,
}

impl fmt::Display for BitmapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("there is a bitmap of this name"),
            Self::Missing => f.write_str("there is no bitmap of this name"),
            Self::Name => write!(f, "expected a name of 1 to {NAME_MAX} bytes"),
            Self::Granularity => f.write_str("expected a power of two from 512 to 2 GiB"),
            Self::Many => write!(f, "there are {BITMAPS_MAX} bitmaps already"),
        }
    }
}

impl core::error::Error for BitmapError {}

impl DirtyBitmap {
    /// Makes a clean one.
    ///
    /// # Errors
    ///
    /// If its name or its granularity is none.
    pub fn new(name: &str, granularity: u64, enabled: bool) -> Result<Self, BitmapError> {
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(BitmapError::Name);
        }
        if !granularity.is_power_of_two() || !GRANULARITIES.contains(&granularity) {
            return Err(BitmapError::Granularity);
        }
        Ok(Self {
            name: name.to_owned(),
            granularity,
            enabled,
            dirty: RangeSet::default(),
        })
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many bytes one bit stands for.
    #[must_use]
    pub fn granularity(&self) -> u64 {
        self.granularity
    }

    /// Tells whether it records what is written.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Returns how many bytes are dirty, in whole granules.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.dirty.total()
    }

    /// Has it record what is written, or no more.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// Forgets what is dirty.
    pub fn clear(&mut self) {
        self.dirty = RangeSet::default();
    }

    /// Takes note of a change.
    pub(crate) fn record(&mut self, range: ByteRange) {
        if self.enabled {
            self.dirty.insert(range.outward(self.granularity));
        }
    }

    /// Takes note of a new size: what is cut off is not dirty any more, what grows is.
    pub(crate) fn resize(&mut self, old: u64, new: u64) {
        let end = new.next_multiple_of(self.granularity);
        self.dirty.remove(ByteRange::between(end, u64::MAX));
        self.record(ByteRange::between(old, new));
    }

    /// Returns the dirty runs of `range`, in order.
    pub(crate) fn runs(&self, range: ByteRange) -> impl Iterator<Item = ByteRange> + '_ {
        self.dirty.runs(range)
    }
}

/// The bitmaps of an export.
#[derive(Clone, Default, Debug)]
pub(crate) struct Bitmaps(Vec<DirtyBitmap>);

impl Bitmaps {
    pub(crate) fn add(&mut self, bitmap: DirtyBitmap) -> Result<(), BitmapError> {
        if self.get(&bitmap.name).is_some() {
            return Err(BitmapError::Exists);
        }
        if self.0.len() >= BITMAPS_MAX {
            return Err(BitmapError::Many);
        }
        self.0.push(bitmap);
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) -> Result<(), BitmapError> {
        let index = self.0.iter().position(|bitmap| bitmap.name == name);
        self.0.remove(index.ok_or(BitmapError::Missing)?);
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&DirtyBitmap> {
        self.0.iter().find(|bitmap| bitmap.name == name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut DirtyBitmap> {
        self.0.iter_mut().find(|bitmap| bitmap.name == name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &DirtyBitmap> {
        self.0.iter()
    }

    pub(crate) fn each(&mut self, change: impl FnMut(&mut DirtyBitmap)) {
        self.0.iter_mut().for_each(change);
    }
}
