//! Mistakes in the order of what is written, to be made on purpose by whoever tries a judge.

use blkproof_device::BlockDevice;

use crate::image::Qcow2;

/// A mistake that an open image makes. Without a loss of power none of them shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Mistake {
    /// Stored bitmaps are not flagged when something changes.
    UnflaggedBitmaps,
    /// Stored bitmaps are flagged, but what changes does not wait until that is durable.
    VolatileFlags,
    /// The flags of bitmaps are cleared before their bits are stored.
    EarlyFlags,
    /// The bits and tables of bitmaps are written when the header leads to them already.
    BitsBehindHeader,
}

impl<D: BlockDevice> Qcow2<D> {
    /// Has the image make a mistake from now on, or none.
    pub fn set_mistake(&mut self, mistake: Option<Mistake>) {
        self.mistake = mistake;
    }

    pub(crate) fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }
}
