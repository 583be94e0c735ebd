//! The piece of an L2 table that is kept at hand.

use blkproof_device::{KeptPage, Piece, Visible};
use blkproof_spec::ByteRange;

use crate::inspect::InspectError;
use crate::inspect::table::Repeated;
use crate::num::{alike, be64, index};

/// The most bytes that are kept at hand.
const PIECE: u64 = 4096;

static ZEROES: [u8; 4096] = [0; 4096];

/// Entries of an L2 table, where they lie if they lie on one page.
pub(super) struct TablePiece {
    len: u64,
    /// Where it lies in the file, if it holds any.
    offset: Option<u64>,
    held: Held,
    copy: Vec<u8>,
    /// How many of its first entries are the same.
    alike: usize,
    repeated: Repeated,
}

enum Held {
    Zeroes,
    /// A page, from this byte on.
    Page(KeptPage, usize),
    Copy,
}

impl TablePiece {
    /// Makes one for tables of this size.
    pub(super) fn new(table: u64) -> Self {
        Self {
            len: PIECE.min(table),
            offset: None,
            held: Held::Zeroes,
            copy: Vec::new(),
            alike: 0,
            repeated: Repeated::default(),
        }
    }

    /// Returns how many entries it has.
    pub(super) fn entries(&self) -> usize {
        index(self.len / 8)
    }

    /// Takes hold of the piece in which an entry lies. Returns the index of the entry.
    pub(super) fn seek(
        &mut self,
        device: &mut dyn Visible,
        entry_at: u64,
    ) -> Result<usize, InspectError> {
        let offset = entry_at - entry_at % self.len;
        if self.offset != Some(offset) {
            self.offset = None;
            self.load(device, offset)?;
            self.offset = Some(offset);
        }
        Ok(index((entry_at - offset) / 8))
    }

    fn load(&mut self, device: &mut dyn Visible, offset: u64) -> Result<(), InspectError> {
        let Self {
            len,
            held,
            copy,
            alike: count,
            repeated,
            ..
        } = self;
        *held = Held::Copy;
        copy.clear();
        device.visit(ByteRange::new(offset, *len), &mut |piece| match piece {
            Piece::Zeroes(zeroes) if zeroes == *len => {
                (*held, *count) = (Held::Zeroes, index(zeroes / 8));
            }
            Piece::Page(part) if part.bytes().len() as u64 == *len => {
                (*held, *count) = (
                    Held::Page(part.keep(), part.start()),
                    repeated.alike(&piece),
                );
            }
            Piece::Zeroes(zeroes) => copy.resize(copy.len() + index(zeroes), 0),
            Piece::Page(part) => copy.extend_from_slice(part.bytes()),
            Piece::Bytes(bytes) => copy.extend_from_slice(bytes),
        })?;
        if let Held::Copy = held {
            *count = alike(copy.as_chunks().0);
        }
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        match &self.held {
            Held::Zeroes => &ZEROES[..index(self.len)],
            Held::Page(page, start) => &page.bytes()[*start..][..index(self.len)],
            Held::Copy => &self.copy,
        }
    }

    /// Returns an entry.
    pub(super) fn entry(&self, at: usize) -> u64 {
        be64(self.bytes(), at * 8)
    }

    /// Returns how many entries from `at` on, which is one, are what that one is.
    pub(super) fn alike_from(&self, at: usize) -> usize {
        match self.alike.checked_sub(at) {
            Some(left) if left > 0 => left,
            _ => alike(self.bytes()[at * 8..].as_chunks().0),
        }
    }
}
