//! Looking at bytes where they lie.

use blkproof_spec::{ByteRange, Offset};

use crate::block_device::{BlockDevice, IoResult};

/// How much is read at once of a device that does not show its bytes.
const READ: u64 = 32 << 10;

/// What stands at the next position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// So many zeroes, which nobody had to look at to know.
    Zeroes(u64),
}

impl Piece<'_> {
    /// Returns how many bytes it is.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeroes(len) => *len,
        }
    }

    /// Tells whether it is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A device whose bytes can be looked at without a copy of them.
pub trait Visible: BlockDevice {
    /// Shows what [`read_at`](BlockDevice::read_at) would read, piece by piece in ascending order.
    fn visit(&mut self, range: ByteRange, see: &mut dyn FnMut(Piece<'_>)) -> IoResult<()>;
}

impl Visible for Box<dyn BlockDevice> {
    fn visit(&mut self, range: ByteRange, see: &mut dyn FnMut(Piece<'_>)) -> IoResult<()> {
        visit_copy(self, range, see)
    }
}

/// Shows copies of a device's bytes.
pub(crate) fn visit_copy<D: BlockDevice>(
    device: &mut D,
    range: ByteRange,
    see: &mut dyn FnMut(Piece<'_>),
) -> IoResult<()> {
    let mut buf = vec![0; usize::try_from(range.len.min(READ)).unwrap_or(0)];
    let mut at = range.start;
    while at < range.end() {
        let len = usize::try_from(range.end() - at).unwrap_or(usize::MAX);
        let len = len.min(buf.len());
        let piece = &mut buf[..len];
        device.read_at(Offset(at), piece)?;
        see(Piece::Bytes(piece));
        at += len as u64;
    }
    Ok(())
}
