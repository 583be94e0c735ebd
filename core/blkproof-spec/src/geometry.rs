//! The shape of a disk or an image.

use crate::units::Length;

/// The format in which an image is stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Format {
    /// The bytes as they are; no backing file, no persistent bitmaps, no compression.
    Raw,
    /// QEMU's qcow2, version 3.
    Qcow2,
}

/// What a discard does (QEMU's `discard` option of a node).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DiscardMode {
    /// Discards succeed, change nothing and dirty nothing.
    Ignore,
    /// Whole clusters within the range read as zeroes afterwards; the fragments at both ends stay
    /// as they are; the complete range is dirty. A raw image behaves as one with 64 KiB clusters
    /// would.
    Unmap,
}

/// The shape of a disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Geometry {
    /// The size that the guest sees, a multiple of 512.
    pub size: Length,
    /// The cluster size of the image, a power of two from 512 to 2 MiB. A raw image has none: 64
    /// KiB stands here, the value that QEMU assumes for such nodes.
    pub cluster: Length,
    /// The image format.
    pub format: Format,
    /// What a discard does.
    pub discard: DiscardMode,
}

impl Geometry {
    /// The cluster size that `qemu-img create` chooses, and that raw images count as having.
    pub const DEFAULT_CLUSTER: Length = Length(64 << 10);

    /// Returns a qcow2 geometry of `size` with 64 KiB clusters that unmaps discarded clusters.
    #[must_use]
    pub fn qcow2(size: Length) -> Self {
        Self {
            size,
            cluster: Self::DEFAULT_CLUSTER,
            format: Format::Qcow2,
            discard: DiscardMode::Unmap,
        }
    }

    /// Returns a raw geometry of `size` that unmaps discarded clusters.
    #[must_use]
    pub fn raw(size: Length) -> Self {
        Self {
            format: Format::Raw,
            ..Self::qcow2(size)
        }
    }

    /// The most bytes that a disk of any format may have (QEMU's limit).
    pub const SIZE_MAX: Length = Length(9_223_372_035_781_033_984);

    /// Returns the most bytes that an image of this format and cluster size can have.
    ///
    /// A first-level table of qcow2 has 32 MiB at most. Each of its entries stands for a cluster of
    /// entries that each stand for a cluster.
    #[must_use]
    pub fn size_max(format: Format, cluster: Length) -> Length {
        const ENTRIES: u64 = (32 << 20) / 8;
        match format {
            Format::Raw => Self::SIZE_MAX,
            Format::Qcow2 => {
                let most = ENTRIES
                    .saturating_mul(cluster.0 / 8)
                    .saturating_mul(cluster.0);
                Length(most.min(Self::SIZE_MAX.0))
            }
        }
    }

    /// Returns the granularity that a bitmap gets when none is asked for: the cluster size, clamped
    /// to 4 KiB at least and 64 KiB at most (QEMU's rule).
    #[must_use]
    pub fn default_granularity(self) -> Length {
        Length(self.cluster.0.clamp(4 << 10, 64 << 10))
    }
}
