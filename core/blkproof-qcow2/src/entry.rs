//! What an L2 entry says about its cluster.

use crate::error::{Corruption, Inner};
use crate::layout::{Layout, OFFSET_MASK, Run};

/// The refcount of what the entry points to is exactly one: it may be written in place.
pub(crate) const COPIED: u64 = 1 << 63;
/// The cluster is compressed.
pub(crate) const COMPRESSED: u64 = 1 << 62;
/// The cluster reads as zeroes.
pub(crate) const ZERO: u64 = 1;

/// What a cluster is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Not in this image.
    Hole,
    /// Zeroes, with no place in the file.
    Zero,
    /// Zeroes, with a place in the file kept for later.
    ZeroReserved(u64),
    /// Data at this offset.
    Data(u64),
    /// Compressed data.
    Compressed(Packed),
}

/// Where compressed data lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Packed {
    /// The position in the file, which need not be aligned.
    pub(crate) offset: u64,
    /// How many bytes it takes at most.
    pub(crate) len: u64,
}

impl Packed {
    /// Returns the entry for it; `len` is what the data takes.
    pub(crate) fn entry(self, layout: Layout) -> u64 {
        let sectors = ((self.offset & 511) + self.len - 1) >> 9;
        COMPRESSED | sectors << offset_bits(layout) | self.offset
    }

    fn decode(layout: Layout, entry: u64) -> Self {
        let bits = offset_bits(layout);
        let offset = entry & ((1 << bits) - 1);
        let sectors = ((entry & !(COPIED | COMPRESSED)) >> bits) + 1;
        Self {
            offset,
            len: sectors * 512 - (offset & 511),
        }
    }

    /// Returns the clusters that hold it.
    pub(crate) fn run(self, layout: Layout) -> Run {
        let first = self.offset >> layout.cluster_bits;
        let last = (self.offset + self.len - 1) >> layout.cluster_bits;
        Run {
            first,
            count: last - first + 1,
        }
    }
}

fn offset_bits(layout: Layout) -> u32 {
    62 - (layout.cluster_bits - 8)
}

impl Kind {
    /// Decodes the entry that maps guest position `guest`.
    pub(crate) fn decode(layout: Layout, entry: u64, guest: u64) -> Inner<Self> {
        let corrupt = || Err(Corruption::L2Entry { guest, entry }.into());
        if entry & COMPRESSED != 0 {
            let packed = Packed::decode(layout, entry);
            if packed.offset + packed.len > 1 << 56 {
                return corrupt();
            }
            return Ok(Self::Compressed(packed));
        }
        let offset = entry & OFFSET_MASK;
        if !layout.aligned(offset) {
            return corrupt();
        }
        match (entry & ZERO != 0, offset) {
            (true, _) if layout.version < 3 => corrupt(),
            (true, 0) => Ok(Self::Zero),
            (true, _) => Ok(Self::ZeroReserved(offset)),
            (false, 0) => Ok(Self::Hole),
            (false, _) => Ok(Self::Data(offset)),
        }
    }

    /// Returns the host clusters that the entry takes.
    pub(crate) fn host(self, layout: Layout) -> Option<Run> {
        match self {
            Self::Hole | Self::Zero => None,
            Self::ZeroReserved(offset) | Self::Data(offset) => Some(Run {
                first: offset >> layout.cluster_bits,
                count: 1,
            }),
            Self::Compressed(packed) => Some(packed.run(layout)),
        }
    }
}
