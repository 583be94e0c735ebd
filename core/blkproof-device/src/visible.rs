//! Looking at bytes where they lie.

use core::fmt;
use std::sync::Arc;

use blkproof_spec::{ByteRange, Offset};

use crate::block_device::{BlockDevice, IoResult};
use crate::pool::Page;

/// How much is read at once of a device that does not show its bytes.
const READ: u64 = 32 << 10;

/// What stands at the next position.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// These bytes of a page that may be kept.
    Page(PagePart<'a>),
    /// So many zeroes, which nobody had to look at to know.
    Zeroes(u64),
}

impl Piece<'_> {
    /// Returns how many bytes it is.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Page(part) => part.bytes().len() as u64,
            Self::Zeroes(len) => *len,
        }
    }

    /// Tells whether it is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bytes that lie together on a page of a memory disk.
#[derive(Clone, Copy)]
pub struct PagePart<'a> {
    pub(crate) page: &'a Arc<Page>,
    pub(crate) start: usize,
    pub(crate) len: usize,
}

impl<'a> PagePart<'a> {
    /// Returns the bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        &self.page[self.start..][..self.len]
    }

    /// Returns where they start on their page.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }

    /// Returns the part of it from the byte at `skip` on.
    #[must_use]
    pub fn from(&self, skip: u64) -> Self {
        let skip = usize::try_from(skip).map_or(self.len, |skip| skip.min(self.len));
        Self {
            start: self.start + skip,
            len: self.len - skip,
            ..*self
        }
    }

    /// Returns the first `len` bytes of it, or all.
    #[must_use]
    pub fn first(&self, len: u64) -> Self {
        let len = usize::try_from(len).map_or(self.len, |len| len.min(self.len));
        Self { len, ..*self }
    }

    /// Keeps the page. Disks that hold it too split it off before they write there, so as long as
    /// it is kept it changes no more.
    #[must_use]
    pub fn keep(&self) -> KeptPage {
        KeptPage(Arc::clone(self.page))
    }

    /// Returns a number that no other page has that is there at the same time.
    #[must_use]
    pub fn address(&self) -> usize {
        Arc::as_ptr(self.page).addr()
    }
}

impl fmt::Debug for PagePart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagePart")
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// A page that changes no more, since somebody keeps it.
#[derive(Clone)]
pub struct KeptPage(Arc<Page>);

impl KeptPage {
    /// Returns all bytes of the page.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0[..]
    }

    /// Tells whether these bytes lie on this page.
    #[must_use]
    pub fn has(&self, part: &PagePart<'_>) -> bool {
        Arc::ptr_eq(&self.0, part.page)
    }
}

impl fmt::Debug for KeptPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptPage").finish_non_exhaustive()
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
