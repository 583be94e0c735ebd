//! Losses of power as plain data: what was written and not flushed, and what becomes of it.
//!
//! A device may keep what is written to it in a volatile cache until it is flushed. Everything
//! there is *pending*. When the power is cut, some of it has reached the medium and the rest has
//! not, in any combination of sectors: nothing orders writes but a flush between them. A process
//! that is killed loses nothing of what it had issued.
//!
//! Nothing here acts; the volatile cache of blkproof-device does.

use crate::fault::Kept;
use crate::name::ImageName;
use crate::units::{ByteRange, Length, SECTOR};

/// A cut of the power.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PowerCut {
    /// What is lost.
    pub lost: Lost,
    /// How the operation at the border of what is lost is torn, if it is.
    pub torn: Option<Torn>,
    /// When it strikes; now where absent.
    pub at: Option<Moment>,
}

impl PowerCut {
    /// Returns the cut that loses `lost`, now.
    #[must_use]
    pub fn new(lost: Lost) -> Self {
        Self {
            lost,
            torn: None,
            at: None,
        }
    }
}

/// When something strikes: at the n-th operation from now, counted from 1, that changes what a
/// device holds or makes it durable (write, write-zeroes, discard, flush, change of size), at any
/// device of the store. It is issued, and nobody hears any more how it ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Moment(pub u64);

/// What is lost of all that is pending.
///
/// Operations are counted from 1 over the whole store, in the order in which they were issued.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Lost {
    /// Everything.
    All,
    /// Nothing.
    None,
    /// This operation and all behind it. It is the one at the border.
    From(u64),
    /// This operation alone. It is the one at the border.
    Only(u64),
    /// Of each image everything but the operation issued last, which is the one at its border: a
    /// header reaches the medium, and nothing of what it points to.
    Worst,
    /// Nothing, but the operations on each image reach it in the opposite order: of what was
    /// written several times the first remains. Changes of its size keep their place.
    Reordered,
    /// Each page or sector of each operation by a hash of this number and of its identity.
    Some(u64),
    /// These bytes of these images, of everything that is pending there.
    These(Vec<(ImageName, ByteRange)>),
}

/// How an operation is torn that reaches the medium in part.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Torn {
    /// Which of its units reach the medium.
    pub kept: Kept,
    /// The units in which it is torn.
    pub unit: TornUnit,
    /// What stands in those that do not.
    pub rest: Rest,
}

/// The units in which an operation is torn.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TornUnit {
    /// Sectors of 512 bytes.
    #[default]
    Sector,
    /// Pages of 4 KiB, aligned on the device.
    Page,
}

impl TornUnit {
    /// Returns the size of a unit.
    #[must_use]
    pub fn len(self) -> Length {
        match self {
            Self::Sector => Length(SECTOR),
            Self::Page => Length(4096),
        }
    }
}

/// What stands where a torn operation did not reach the medium.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rest {
    /// What stood there before.
    #[default]
    Old,
    /// Bytes that nobody wrote.
    Garbage,
}

/// What the devices of a scenario promise about a loss of power.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cache {
    /// What is written reaches the medium in the order in which it was issued: whatever is behind
    /// something that is lost is lost too.
    pub ordered: bool,
    /// Whole aligned units of this size reach the medium completely or not at all. A power of two,
    /// one sector at least.
    pub atomic: Length,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            ordered: false,
            atomic: Length(SECTOR),
        }
    }
}
