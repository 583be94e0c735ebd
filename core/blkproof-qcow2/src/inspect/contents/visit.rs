//! Showing what a guest sees where it lies, without a copy of it.

use blkproof_device::Piece;
use blkproof_spec::ByteRange;

use super::{Contents, Found};
use crate::inspect::InspectError;

impl Contents {
    /// Shows the bytes of `range` where they lie, piece by piece in ascending order, each with its
    /// position; behind the end of the image there are zeroes.
    ///
    /// # Errors
    ///
    /// If a device fails, or a table or compressed data cannot be read as such.
    pub fn visit(
        &mut self,
        range: ByteRange,
        see: &mut dyn FnMut(u64, Piece<'_>),
    ) -> Result<(), InspectError> {
        let mut at = range.start;
        while at < range.end() {
            let extent = self.extent(ByteRange::between(at, range.end()))?;
            let len = extent.range.len;
            match extent.found {
                Found::Zero => see(at, Piece::Zeroes(len)),
                Found::Data { layer, offset } => {
                    let mut position = at;
                    let there = ByteRange::new(offset.0, len);
                    self.layers[layer].device.visit(there, &mut |piece| {
                        see(position, piece);
                        position += piece.len();
                    })?;
                }
                Found::Compressed { layer, entry } => {
                    let bytes = self.unpack(layer, entry, at, len)?;
                    see(at, Piece::Bytes(bytes));
                }
            }
            at += len;
        }
        Ok(())
    }
}
