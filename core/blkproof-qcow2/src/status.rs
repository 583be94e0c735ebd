//! What ranges are, in long runs.

use blkproof_device::{BlockDevice, BlockStatus, IoError, StatusKind};
use blkproof_spec::{ByteRange, Length};

use crate::entry::Kind;
use crate::error::{Inner, Trouble};
use crate::image::Qcow2;
use crate::layout::OFFSET_MASK;

/// How many slices one answer may look at.
const MAX_SLICES: u32 = 64;

impl<D: BlockDevice> Qcow2<D> {
    /// Tells what the start of `range` is, and how far that goes: at most up to where it cannot be
    /// found out.
    pub(crate) fn status(&mut self, range: ByteRange) -> Inner<BlockStatus> {
        let mut at = range.start;
        let mut found = None;
        let mut slices = 0;
        while at < range.end() && slices < MAX_SLICES {
            let (kind, end) = match self.status_run(at, range.end()) {
                // Whoever asks for the rest is told.
                Err(Trouble::Io(IoError::Failed(_)) | Trouble::Corrupt(_)) if found.is_some() => {
                    break;
                }
                other => other?,
            };
            if *found.get_or_insert(kind) != kind {
                break;
            }
            // What the L1 table alone tells costs little.
            let looked_at = end - at < 1 << self.layout.table_span_bits();
            if looked_at
                && at >> self.layout.slice_span_bits() != end >> self.layout.slice_span_bits()
            {
                slices += 1;
            }
            at = end.min(range.end());
        }
        Ok(BlockStatus {
            len: Length(at - range.start),
            kind: found.unwrap_or(StatusKind::Hole),
        })
    }

    /// Tells what `at` is, and up to where that holds at least.
    fn status_run(&mut self, at: u64, end: u64) -> Inner<(StatusKind, u64)> {
        let bits = self.layout.table_span_bits();
        let entry = self.l1_entry(at)?;
        let first = at >> bits;
        let limit = end.div_ceil(1 << bits).min(self.l1.entries());
        // Only what was read of the table already: another part may be unreadable.
        let known = limit.min(self.l1.slice_end(first));
        if entry != 0 && self.examine_table(at, entry)? {
            let alike = self.l1.end_of_alike(&mut self.file, first, known)?;
            return Ok((StatusKind::Zero, alike << bits));
        }
        if let Some(slot) = self.slice(at)? {
            let clusters = self.layout.clusters(self.layout.within(at) + end - at);
            let extent = self.extent(slot, at, clusters)?;
            let kind = match extent.kind {
                Kind::Hole => StatusKind::Hole,
                Kind::Zero | Kind::ZeroReserved(_) => StatusKind::Zero,
                Kind::Data(_) | Kind::Compressed(_) => StatusKind::Data,
            };
            return Ok((kind, at + self.span(at, extent.count)));
        }
        let next = self.l1.next_nonzero(&mut self.file, first + 1, known)?;
        let hole_end = match next {
            Some((_, entry)) if entry & OFFSET_MASK == 0 => (first + 1) << bits,
            Some((index, _)) => index << bits,
            None if known < limit => known << bits,
            None => end,
        };
        Ok((StatusKind::Hole, hole_end))
    }
}
