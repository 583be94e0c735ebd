//! Reading tables piece by piece, past their holes, within a budget.

use blkproof_device::{BlockDevice, StatusKind};
use blkproof_spec::{ByteRange, Offset};

use super::InspectError;
use crate::num::{alike, index, is_zero};

/// How much is read at once.
pub(super) const PIECE: u64 = 4096;
const PIECE_BYTES: usize = 4096;

/// Bytes of tables that may still be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(pub(super) u64);

impl Budget {
    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), InspectError> {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(InspectError::TooLarge),
        }
    }
}

/// Calls `each` with the position within `range`, and the bytes, of every piece that is not zero.
pub(super) fn pieces<D: BlockDevice + ?Sized>(
    device: &mut D,
    range: ByteRange,
    budget: &mut Budget,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), InspectError>,
) -> Result<(), InspectError> {
    let mut buffer = [0; PIECE_BYTES];
    let mut at = range.start;
    while at < range.end() {
        let left = ByteRange::between(at, range.end());
        let hole = hole_at(device, left);
        if hole > 0 {
            budget.spend(8)?;
            at += hole;
            continue;
        }
        let len = left.len.min(PIECE);
        budget.spend(len)?;
        let piece = &mut buffer[..index(len)];
        device.read_at(Offset(at), piece)?;
        if !is_zero(piece) {
            each(at - range.start, piece)?;
        }
        at += len;
    }
    Ok(())
}

/// Returns how many bytes of a larger range are a hole at its start: all, or a number of whole
/// entries.
fn hole_at<D: BlockDevice + ?Sized>(device: &mut D, range: ByteRange) -> u64 {
    if range.len <= 512 {
        return 0;
    }
    match device.block_status(range) {
        Ok(status) if status.kind == StatusKind::Data => 0,
        Ok(status) if status.len.0 >= range.len => range.len,
        Ok(status) => status.len.0 & !7,
        Err(_) => 0,
    }
}

/// Entries of a table, one behind the other, that are the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) value: u64,
}

/// Calls `each` with the entries of a table of 64-bit entries that are not zero.
pub(super) fn entries<D: BlockDevice + ?Sized>(
    device: &mut D,
    table: super::parse::Table,
    budget: &mut Budget,
    mut each: impl FnMut(Entries) -> Result<(), InspectError>,
) -> Result<(), InspectError> {
    // What would end behind 2^64 lies in no file, and the callers tell so.
    let Some(range) = ByteRange::checked(table.offset, table.entries * 8) else {
        return Ok(());
    };
    let mut last = Entries {
        first: 0,
        count: 0,
        value: 0,
    };
    pieces(device, range, budget, |start, piece| {
        let (words, _) = piece.as_chunks::<8>();
        let mut at = 0;
        while at < words.len() {
            let count = alike(&words[at..]);
            let next = Entries {
                first: start / 8 + at as u64,
                count: count as u64,
                value: u64::from_be_bytes(words[at]),
            };
            at += count;
            if next.value == last.value && next.first == last.first + last.count {
                last.count += next.count;
                continue;
            }
            let done = core::mem::replace(&mut last, next);
            if done.value != 0 {
                each(done)?;
            }
        }
        Ok(())
    })?;
    if last.value == 0 {
        return Ok(());
    }
    each(last)
}
