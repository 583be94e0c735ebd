//! Reading tables piece by piece, past their holes, within a budget.

use blkproof_device::{BlockDevice, StatusKind};
use blkproof_spec::{ByteRange, Offset};

use super::InspectError;
use crate::num::{index, is_zero};

/// How much is read at once.
pub(super) const PIECE: u64 = 4096;
const PIECE_BYTES: usize = 4096;

/// Bytes of tables that may still be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(pub(super) u64);

impl Budget {
    fn spend(&mut self, bytes: u64) -> Result<(), InspectError> {
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

/// Calls `each` with the index and the value of every entry of a table of 64-bit entries that is
/// not zero.
pub(super) fn entries<D: BlockDevice + ?Sized>(
    device: &mut D,
    table: super::parse::Table,
    budget: &mut Budget,
    mut each: impl FnMut(u64, u64) -> Result<(), InspectError>,
) -> Result<(), InspectError> {
    let range = ByteRange::new(table.offset, table.entries * 8);
    pieces(device, range, budget, |start, piece| {
        let mut index = start / 8;
        let (lines, rest) = piece.as_chunks::<64>();
        let rest = core::iter::once(rest).filter(|rest| !rest.is_empty());
        for line in lines.iter().map(|line| &line[..]).chain(rest) {
            let (words, _) = line.as_chunks::<8>();
            // Tables are mostly holes.
            if words
                .iter()
                .fold(0, |all, word| all | u64::from_ne_bytes(*word))
                != 0
            {
                for (place, word) in (index..).zip(words) {
                    let value = u64::from_be_bytes(*word);
                    if value != 0 {
                        each(place, value)?;
                    }
                }
            }
            index += words.len() as u64;
        }
        Ok(())
    })
}
