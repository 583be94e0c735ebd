//! Reading tables piece by piece, past their holes, within a budget.

use blkproof_device::{KeptPage, PAGE, Piece, StatusKind, Visible};
use blkproof_spec::{ByteRange, Offset};

use super::InspectError;
use crate::num::{alike, index};

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

/// Calls `each` with the position within `range`, and the bytes, of every piece that is not just
/// zeroes. Pieces are a number of whole entries.
pub(super) fn pieces<D: Visible + ?Sized>(
    device: &mut D,
    range: ByteRange,
    budget: &mut Budget,
    mut each: impl FnMut(u64, Piece<'_>) -> Result<(), InspectError>,
) -> Result<(), InspectError> {
    let mut at = range.start;
    while at < range.end() {
        let (len, is_hole) = run_at(device, ByteRange::between(at, range.end()));
        if is_hole {
            budget.spend(8)?;
        } else {
            budget.spend(len)?;
            let mut position = at - range.start;
            let mut result = Ok(());
            visit(device, ByteRange::new(at, len), &mut |piece| {
                if result.is_ok() && !matches!(piece, Piece::Zeroes(_)) {
                    result = each(position, piece);
                }
                position += piece.len();
            })?;
            result?;
        }
        at += len;
    }
    Ok(())
}

/// Shows bytes of a table where they lie, or copies of them where its entries do not lie within
/// words: a table that starts at an odd place is a problem, and is read all the same.
fn visit<D: Visible + ?Sized>(
    device: &mut D,
    range: ByteRange,
    see: &mut dyn FnMut(Piece<'_>),
) -> Result<(), InspectError> {
    if range.start.is_multiple_of(8) {
        device.visit(range, see)?;
        return Ok(());
    }
    let mut buffer = [0; 4096];
    let mut at = range.start;
    while at < range.end() {
        let len = (range.end() - at).min(buffer.len() as u64);
        let piece = &mut buffer[..index(len)];
        device.read_at(Offset(at), piece)?;
        see(Piece::Bytes(piece));
        at += len;
    }
    Ok(())
}

/// Returns how many bytes at the start of a range are alike a hole or none, all or a number of
/// whole entries, and whether they are one. Of a short range it is quicker to read it.
fn run_at<D: Visible + ?Sized>(device: &mut D, range: ByteRange) -> (u64, bool) {
    if range.len <= 512 {
        return (range.len, false);
    }
    match device.block_status(range) {
        Ok(status) if status.len.0 >= range.len => (range.len, status.kind != StatusKind::Data),
        Ok(status) if status.len.0 >= 8 => (status.len.0 & !7, status.kind != StatusKind::Data),
        Ok(_) => (8, false),
        Err(_) => (range.len, false),
    }
}

/// Returns the bytes of a piece, as far as they are there to be looked at.
pub(super) fn bytes_of<'a>(piece: &Piece<'a>) -> &'a [u8] {
    match piece {
        Piece::Bytes(bytes) => bytes,
        Piece::Page(part) => part.bytes(),
        Piece::Zeroes(_) => &[],
    }
}

/// The page that was last found to hold one entry again and again. Large tables of one entry lie
/// on one page again and again, which has to be looked at once.
#[derive(Default, Debug)]
pub(super) struct Repeated(Option<KeptPage>);

impl Repeated {
    /// Returns how many of the first entries of a piece, which holds some, are the same.
    pub(super) fn alike(&mut self, piece: &Piece<'_>) -> usize {
        let (entries, _) = bytes_of(piece).as_chunks::<8>();
        let Piece::Page(part) = piece else {
            return alike(entries);
        };
        if self.0.as_ref().is_some_and(|page| page.has(part)) {
            return entries.len();
        }
        let count = alike(entries);
        if part.bytes().len() as u64 == PAGE && count == entries.len() {
            self.0 = Some(part.keep());
        }
        count
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
pub(super) fn entries<D: Visible + ?Sized>(
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
    let mut repeated = Repeated::default();
    pieces(device, range, budget, |start, piece| {
        let (words, _) = bytes_of(&piece).as_chunks::<8>();
        let mut at = 0;
        let mut count = repeated.alike(&piece);
        while at < words.len() {
            let next = Entries {
                first: start / 8 + at as u64,
                count: count as u64,
                value: u64::from_be_bytes(words[at]),
            };
            at += count;
            count = alike(&words[at..]);
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
