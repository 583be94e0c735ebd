//! Why an image cannot be made or opened, and what was found wrong in one that was.

use core::fmt;

use blkproof_device::IoError;
use blkproof_spec::Errno;

/// Why an image cannot be made, opened or changed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Qcow2Error {
    /// A request to the device below failed, or waits.
    Io(IoError),
    /// The file does not begin as qcow2 images do.
    NotQcow2 {
        /// The first four bytes.
        magic: u32,
    },
    /// The file ends before its header does.
    Truncated {
        /// The size of the file in bytes.
        size: u64,
    },
    /// The image has a version that is neither 2 nor 3.
    Version(u32),
    /// The image needs a feature that is not supported.
    Feature(Feature),
    /// A field of the header has a value that it cannot have.
    Field {
        /// The field, by its name in the format's document.
        field: &'static str,
        /// What was found.
        value: u64,
        /// What is allowed.
        expected: &'static str,
    },
    /// An image was asked for that the format cannot express.
    Option {
        /// The option.
        option: &'static str,
        /// What was asked for.
        value: u64,
        /// What is allowed.
        expected: &'static str,
    },
}

/// A feature that makes an image unreadable for whoever does not know it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Feature {
    /// The refcounts may be out of date (incompatible feature bit 0).
    Dirty,
    /// The image was found corrupt (bit 1).
    Corrupt,
    /// The data lies in another file (bit 2).
    ExternalData,
    /// Clusters are compressed by another method than deflate (bit 3); the method's number.
    Compression(u8),
    /// L2 entries have subclusters (bit 4).
    ExtendedL2,
    /// The image is encrypted; the method's number.
    Encryption(u32),
    /// A bit of the incompatible features that the format's document does not define.
    Unknown(u32),
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dirty => f.write_str("dirty refcounts"),
            Self::Corrupt => f.write_str("the corrupt mark"),
            Self::ExternalData => f.write_str("an external data file"),
            Self::Compression(1) => f.write_str("compression type zstd"),
            Self::Compression(method) => write!(f, "compression type {method}"),
            Self::ExtendedL2 => f.write_str("extended L2 entries"),
            Self::Encryption(1) => f.write_str("AES encryption"),
            Self::Encryption(2) => f.write_str("LUKS encryption"),
            Self::Encryption(method) => write!(f, "encryption method {method}"),
            Self::Unknown(bit) => write!(f, "unknown incompatible feature bit {bit}"),
        }
    }
}

impl fmt::Display for Qcow2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => f.write_str("the device below the image failed"),
            Self::NotQcow2 { magic } => {
                write!(
                    f,
                    "not a qcow2 image: it begins with {magic:#010x}, not 0x514649fb"
                )
            }
            Self::Truncated { size } => {
                write!(f, "the file of {size} bytes ends within the header")
            }
            Self::Version(version) => {
                write!(f, "version {version} is not supported, only 2 and 3 are")
            }
            Self::Feature(feature) => write!(f, "the image uses {feature}, which is not supported"),
            Self::Field {
                field,
                value,
                expected,
            } => write!(f, "header field {field} is {value:#x}, expected {expected}"),
            Self::Option {
                option,
                value,
                expected,
            } => write!(f, "{option} {value} is not possible, expected {expected}"),
        }
    }
}

impl core::error::Error for Qcow2Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<IoError> for Qcow2Error {
    fn from(error: IoError) -> Self {
        Self::Io(error)
    }
}

/// Something wrong that the driver met in the tables of an open image.
///
/// The request that met it failed with `EIO`; nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Corruption {
    /// An L1 entry points to what cannot be an L2 table.
    L1Entry {
        /// The index of the entry.
        index: u64,
        /// The entry.
        entry: u64,
    },
    /// An L2 entry points to what cannot be a cluster.
    L2Entry {
        /// The guest position that it maps.
        guest: u64,
        /// The entry.
        entry: u64,
    },
    /// An entry of the refcount table points to what cannot be a refcount block.
    RefcountTableEntry {
        /// The index of the entry.
        index: u64,
        /// The entry.
        entry: u64,
    },
    /// A cluster in use has refcount 0.
    RefcountZero {
        /// The index of the cluster.
        cluster: u64,
    },
    /// A cluster of the image's own tables is mapped as data, or counted as free.
    MetadataOverlap {
        /// The position in the file.
        offset: u64,
    },
    /// The data of a compressed cluster does not decompress to a cluster.
    CompressedData {
        /// The position in the file.
        offset: u64,
    },
    /// A table of a stored bitmap, or a cluster of its bits, cannot be one.
    Bitmap {
        /// The position in the file.
        offset: u64,
    },
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::L1Entry { index, entry } => write!(f, "L1 entry {index} is {entry:#x}"),
            Self::L2Entry { guest, entry } => {
                write!(f, "the L2 entry of guest offset {guest:#x} is {entry:#x}")
            }
            Self::RefcountTableEntry { index, entry } => {
                write!(f, "refcount table entry {index} is {entry:#x}")
            }
            Self::RefcountZero { cluster } => {
                write!(f, "cluster {cluster} is in use with refcount 0")
            }
            Self::MetadataOverlap { offset } => {
                write!(f, "offset {offset:#x} belongs to the image's own tables")
            }
            Self::CompressedData { offset } => {
                write!(f, "the compressed data at {offset:#x} is broken")
            }
            Self::Bitmap { offset } => {
                write!(f, "no bits of a bitmap can be at {offset:#x}")
            }
        }
    }
}

/// What a request inside the driver ends with other than success.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// The device below, or the backing file, failed or waits.
    Io(IoError),
    /// The image is not as it must be.
    Corrupt(Corruption),
}

/// The result of a request inside the driver.
pub(crate) type Inner<T> = Result<T, Trouble>;

impl From<IoError> for Trouble {
    fn from(error: IoError) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        Self::Io(IoError::Failed(errno))
    }
}

impl From<Corruption> for Trouble {
    fn from(corruption: Corruption) -> Self {
        Self::Corrupt(corruption)
    }
}
