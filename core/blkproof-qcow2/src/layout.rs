//! The sizes that follow from a header: how much each table covers.

use blkproof_spec::ByteRange;

/// The smallest cluster size, as a power of two.
pub(crate) const MIN_CLUSTER_BITS: u32 = 9;
/// The largest cluster size, as a power of two.
pub(crate) const MAX_CLUSTER_BITS: u32 = 21;
/// The bits of a table entry that hold an offset into the file.
pub(crate) const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
/// L2 tables are read and cached in slices of at most this size (a power of two).
const MAX_SLICE_BITS: u32 = 12;
/// The same for refcount blocks: a slice counts 32 MiB in clusters of 64 KiB.
const MAX_REFBLOCK_SLICE_BITS: u32 = 10;

/// The sizes that follow from a header.
///
/// What ends in `_bits` is the logarithm of a power of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// The version of the format, 2 or 3.
    pub(crate) version: u32,
    /// Bytes in a cluster.
    pub(crate) cluster_bits: u32,
    /// Refcount width in bits.
    pub(crate) refcount_order: u32,
}

impl Layout {
    /// Bytes in a cluster.
    pub(crate) fn cluster(self) -> u64 {
        1 << self.cluster_bits
    }

    /// Bytes in the part of an L2 table that is read and cached as one.
    pub(crate) fn slice_bits(self) -> u32 {
        self.cluster_bits.min(MAX_SLICE_BITS)
    }

    /// Bytes in the part of a refcount block that is read and cached as one.
    pub(crate) fn refblock_slice_bits(self) -> u32 {
        self.cluster_bits.min(MAX_REFBLOCK_SLICE_BITS)
    }

    /// Entries of an L2 table in one slice.
    pub(crate) fn slice_entries(self) -> u64 {
        1 << (self.slice_bits() - 3)
    }

    /// Guest bytes that one slice of an L2 table maps.
    pub(crate) fn slice_span_bits(self) -> u32 {
        self.cluster_bits + self.slice_bits() - 3
    }

    /// Guest bytes that one L2 table maps.
    pub(crate) fn table_span_bits(self) -> u32 {
        2 * self.cluster_bits - 3
    }

    /// Clusters that one refcount block counts.
    pub(crate) fn refblock_bits(self) -> u32 {
        self.cluster_bits + 3 - self.refcount_order
    }

    /// Clusters that one slice of a refcount block counts.
    pub(crate) fn refslice_bits(self) -> u32 {
        self.refblock_slice_bits() + 3 - self.refcount_order
    }

    /// The largest refcount that can be stored.
    pub(crate) fn refcount_max(self) -> u64 {
        u64::MAX >> (64 - (1 << self.refcount_order))
    }

    /// Returns how many clusters hold `bytes`.
    pub(crate) fn clusters(self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster())
    }

    /// Returns how many L1 entries an image of `size` needs.
    pub(crate) fn l1_entries(self, size: u64) -> u64 {
        size.div_ceil(1 << self.table_span_bits())
    }

    /// Returns the position of a guest byte within its cluster.
    pub(crate) fn within(self, position: u64) -> u64 {
        position & (self.cluster() - 1)
    }

    /// Tells whether a position is the start of a cluster.
    pub(crate) fn aligned(self, position: u64) -> bool {
        self.within(position) == 0
    }

    /// Returns the start of the cluster around `position`.
    pub(crate) fn down(self, position: u64) -> u64 {
        position - self.within(position)
    }

    /// Returns the end of the cluster before or around the byte before `position`.
    pub(crate) fn up(self, position: u64) -> u64 {
        self.down(position + self.cluster() - 1)
    }

    /// Returns the bytes of a run of clusters.
    pub(crate) fn bytes(self, run: Run) -> ByteRange {
        ByteRange::new(
            run.first << self.cluster_bits,
            run.count << self.cluster_bits,
        )
    }

    /// Returns the run of clusters that a range of whole clusters is.
    pub(crate) fn run(self, start: u64, len: u64) -> Run {
        Run {
            first: start >> self.cluster_bits,
            count: self.clusters(len),
        }
    }
}

/// Host clusters that lie one behind the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    /// The index of the first one.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u64,
}

impl Run {
    /// The index behind the last one.
    pub(crate) fn end(self) -> u64 {
        self.first + self.count
    }
}
