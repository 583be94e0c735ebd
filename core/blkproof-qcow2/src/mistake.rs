//! Mistakes in the order of what is written, to be made on purpose by whoever tries a judge.

use blkproof_device::BlockDevice;

use crate::image::Qcow2;

/// A mistake that an open image makes. All but the last show only where power is lost.
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
    /// The header is written while what it leads to may still be volatile.
    HeaderBeforeDirectory,
    /// The directory of bitmaps is overwritten where it lies, if it fits there.
    DirectoryInPlace,
    /// Flagged bitmaps are written as if they were not, and flagged then.
    RecoveredIsClean,
    /// A flush reaches the file before the tables do.
    FlushBeforeTables,
    /// The first flush after an image was opened does not reach the file, if nothing was written.
    FirstFlushIsSkipped,
    /// Where a write is to be durable at once, its data is, and its tables are not.
    ThroughWithoutTables,
    /// Reference counts are written when the tables are in the file that rely on them.
    CountsComeLate,
    /// Tables are written together with the data that they lead to.
    TableWithData,
    /// Nothing keeps L2 tables behind the counts of what they lead to.
    TablesWithCounts,
    /// Nothing keeps L1 entries behind the L2 tables that they lead to.
    EntriesWithTables,
    /// Nothing keeps counts that go down behind the tables that gave the clusters up.
    FreedWithTables,
    /// Clusters are free while tables in the file still lead to them.
    FreedAtOnce,
    /// A larger size is written before the tables for it are there.
    SizeBeforeTable,
    /// A size is written and not made durable.
    ResizeIsVolatile,
    /// What comes in sight of a longer backing file when the image grows stays in sight.
    GrowthExposes,
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
