//! A record of everything that changed a store or made it durable, from which the store's state at
//! each operation can be made again.

use blkproof_spec::power::{Cache, PowerCut};
use blkproof_spec::{ByteRange, ImageName, Length};

/// One operation of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// Its number among all operations of the store, from 1. What makes or deletes an image, and
    /// what loses power, has the number of the operation before it.
    pub number: u64,
    /// The image.
    pub image: ImageName,
    /// What was done.
    pub what: Operation,
    /// Power was lost in its midst: it was issued, and made nothing durable.
    pub struck: bool,
}

/// What was done to an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Data was written.
    Write {
        /// Where.
        start: u64,
        /// What.
        data: Vec<u8>,
        /// Whether it was durable when it was acknowledged.
        fua: bool,
    },
    /// Zeroes were written.
    WriteZeroes {
        /// Where.
        range: ByteRange,
        /// Whether the space was to be given up.
        unmap: bool,
    },
    /// Data was given up.
    Discard(ByteRange),
    /// What came before was made durable.
    Flush,
    /// It got another size.
    Resize(Length),
    /// It was made.
    Create(Length),
    /// It was deleted.
    Remove,
    /// The power of all devices of the store was cut; the image is any of them.
    PowerCut(PowerCut, Cache),
}

impl Operation {
    /// Tells whether power can be lost in its midst.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self, Self::Create(_) | Self::Remove | Self::PowerCut(..))
    }
}
