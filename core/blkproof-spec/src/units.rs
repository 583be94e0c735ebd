//! Positions, sizes and counts, each with its unit in its type.

use core::fmt;

/// The size of a sector in bytes, the unit in which `blkdebug` rules and stamps count.
pub const SECTOR: u64 = 512;

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<u64> for $name {
            fn from(value: u64) -> Self {
                Self(value)
            }
        }
    };
}

quantity! {
    /// A position on a device, in bytes from its start.
    Offset
}
quantity! {
    /// A size in bytes.
    Length
}
quantity! {
    /// A sector's index on a device, counted in units of [`SECTOR`] bytes.
    SectorNumber
}
quantity! {
    /// A span of virtual time, in milliseconds.
    Millis
}
quantity! {
    /// A number of units of work (one phase of one request each).
    Units
}

/// A half-open range of bytes, `[start, start + len)`.
///
/// The end always fits in 64 bits: the constructors that take outside input are checked.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The number of bytes.
    pub len: u64,
}

impl ByteRange {
    /// Returns the range of `len` bytes from `start`.
    ///
    /// # Panics
    ///
    /// If the end does not fit in 64 bits; outside input goes through [`ByteRange::checked`].
    #[must_use]
    pub fn new(start: u64, len: u64) -> Self {
        Self::checked(start, len).expect("a byte range ends below 2^64")
    }

    /// Returns the range, or `None` if its end does not fit in 64 bits.
    #[must_use]
    pub fn checked(start: u64, len: u64) -> Option<Self> {
        start.checked_add(len).map(|_| Self { start, len })
    }

    /// Returns the range from `start` up to, not including, `end`.
    ///
    /// The result is empty where `end` does not lie behind `start`.
    #[must_use]
    pub fn between(start: u64, end: u64) -> Self {
        Self {
            start,
            len: end.saturating_sub(start),
        }
    }

    /// Returns the position behind the last byte.
    #[must_use]
    pub fn end(self) -> u64 {
        self.start + self.len
    }

    /// Tells whether the range holds no byte.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Tells whether the byte at `position` lies within.
    #[must_use]
    pub fn contains(self, position: u64) -> bool {
        self.start <= position && position < self.end()
    }

    /// Tells whether the two ranges share a byte.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        !self.intersect(other).is_empty()
    }

    /// Returns the bytes that both ranges have (possibly none).
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self::between(self.start.max(other.start), self.end().min(other.end()))
    }

    /// Returns the smallest range of whole units of `unit` bytes that covers this one.
    ///
    /// An empty range stays empty. The end saturates at the last whole unit below 2^64.
    #[must_use]
    pub fn outward(self, unit: u64) -> Self {
        if self.is_empty() {
            return self;
        }
        let end = self
            .end()
            .checked_next_multiple_of(unit)
            .unwrap_or(u64::MAX - u64::MAX % unit);
        Self::between(self.start - self.start % unit, end)
    }

    /// Returns the largest range of whole units of `unit` bytes within this one.
    #[must_use]
    pub fn inward(self, unit: u64) -> Self {
        let start = self
            .start
            .checked_next_multiple_of(unit)
            .unwrap_or(u64::MAX);
        Self::between(start, self.end() - self.end() % unit)
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:#x}, {:#x})", self.start, self.end())
    }
}
