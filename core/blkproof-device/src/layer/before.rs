//! What stood on a device before the last write of each sector: an overlay beside the bytes, kept
//! while a rule may want to return it.

use blkproof_spec::{ByteRange, Length, Offset, SECTOR};

use crate::block_device::{BlockDevice, Durability, StatusKind};
use crate::mem_disk::MemDisk;
use crate::pool::Pool;
use crate::range_set::RangeSet;

/// How many bytes are copied at a time.
const CHUNK: u64 = 1 << 18;

/// The contents of overwritten sectors.
pub(crate) struct Before {
    disk: MemDisk,
    covered: RangeSet,
}

impl Before {
    pub(crate) fn new() -> Self {
        Self {
            disk: MemDisk::new(&Pool::new(), Length(0)),
            covered: RangeSet::default(),
        }
    }

    /// Takes over what `disk` holds in the sectors of `range`, which is about to change. Above a
    /// format this reads through the format; what cannot be read is not remembered.
    pub(crate) fn save<D: BlockDevice + ?Sized>(&mut self, disk: &mut D, range: ByteRange) {
        let range = range.outward(SECTOR);
        let mut position = range.start;
        while position < range.end() {
            let rest = ByteRange::between(position, range.end());
            let Some(end) = self.save_run(disk, rest) else {
                return;
            };
            self.covered.insert(ByteRange::between(position, end));
            position = end;
        }
    }

    /// Takes over the first run of `range` and returns where it ends, or `None` on an error.
    fn save_run<D: BlockDevice + ?Sized>(&mut self, disk: &mut D, range: ByteRange) -> Option<u64> {
        // A device that ends in the middle of a sector, or has a size of its own, tells nothing of
        // what lies behind.
        let inside = range.intersect(ByteRange::new(0, disk.size().0));
        if inside.is_empty() {
            self.disk.write_zeroes(range, true).ok()?;
            return Some(range.end());
        }
        let status = disk.block_status(inside).ok()?;
        let run = ByteRange::new(range.start, status.len.0);
        if status.kind != StatusKind::Data {
            self.disk.write_zeroes(run, true).ok()?;
            return Some(run.end());
        }
        let run = ByteRange::new(run.start, run.len.min(CHUNK));
        let mut bytes = vec![0; usize::try_from(run.len).ok()?];
        disk.read_at(Offset(run.start), &mut bytes).ok()?;
        let start = Offset(run.start);
        self.disk.write_at(start, &bytes, Durability::Later).ok()?;
        Some(run.end())
    }

    /// Tells whether anything in `range` was overwritten.
    pub(crate) fn covers(&self, range: ByteRange) -> bool {
        self.covered.runs(range).next().is_some()
    }

    /// Puts what stood in `range` over `buf`, which holds what stands there, and tells whether that
    /// made a difference.
    pub(crate) fn restore(&mut self, range: ByteRange, buf: &mut [u8]) -> bool {
        let mut differs = false;
        for run in self.covered.runs(range) {
            let at = |position: u64| usize::try_from(position - range.start).ok();
            let (Some(start), Some(end)) = (at(run.start), at(run.end())) else {
                continue;
            };
            let piece = &mut buf[start..end];
            let mut old = vec![0; piece.len()];
            if self.disk.read_at(Offset(run.start), &mut old).is_ok() {
                differs |= *piece != *old;
                piece.copy_from_slice(&old);
            }
        }
        differs
    }
}

impl Clone for Before {
    fn clone(&self) -> Self {
        Self {
            disk: self.disk.snapshot(),
            covered: self.covered.clone(),
        }
    }
}
