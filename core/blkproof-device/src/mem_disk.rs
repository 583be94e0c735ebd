//! A disk in memory: sparse, copied on write, made of pages from a pool.

mod table;

use core::fmt;
use core::ops::Range;
use std::sync::Arc;

use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno, Length, Offset};

use crate::block_device::{BlockDevice, BlockStatus, Durability, IoResult, StatusKind};
use crate::parcel::{Cursor, Load, Parcel, Portion, is_zero};
use crate::pool::{PAGE, PAGE_BYTES, Page, Pool, Supply};
use crate::visible::{PagePart, Piece, Visible};
use table::{EXTENT_PAGES, Table};

pub(crate) use table::Extent;

const EXTENT: u64 = PAGE * EXTENT_PAGES;

/// The largest size of a disk: that of a file.
const MAX_SIZE: u64 = i64::MAX.unsigned_abs();

/// A disk in memory.
///
/// It is an image file: it grows where it is written behind its end and reads as zeroes there. What
/// it costs follows what was written, never its size. [`MemDisk::snapshot`] costs a few bytes per
/// 256 KiB that hold any data; after that the two share what neither has written. A page that was
/// written and holds zeroes counts as data and takes no memory. A fill takes one page
/// that stands in many places, and so do whole pages of bytes where each is as the one before it:
/// who looks at pages where they lie sees that they are the same.
pub struct MemDisk {
    pool: Pool,
    table: Table,
    size: u64,
}

impl MemDisk {
    /// Makes a disk of `size` that reads as zeroes.
    #[must_use]
    pub fn new(pool: &Pool, size: Length) -> Self {
        Self {
            pool: pool.clone(),
            table: Table::default(),
            size: size.0.min(MAX_SIZE),
        }
    }

    /// Returns a copy that changes no more when this disk is written, nor the other way round.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            table: self.table.clone(),
            size: self.size,
        }
    }

    /// Returns how many bytes are held, in whole pages, shared ones included.
    #[must_use]
    pub fn allocated(&self) -> Length {
        Length(self.table.pages() * PAGE)
    }

    /// Shows every page that only one of two disks has, or both have and do not share, by its
    /// number and in order: what stands there on the first, and what on the second. Zeroes are no
    /// page.
    pub(crate) fn each_difference(
        one: Option<&Self>,
        other: Option<&Self>,
        see: impl FnMut(u64, Option<&Page>, Option<&Page>),
    ) {
        let none = Table::default();
        let [one, other] = [one, other].map(|disk| disk.map_or(&none, |disk| &disk.table));
        one.each_difference(other, see);
    }

    /// Makes `range`, which need not end on page boundaries, read as zeroes.
    fn zero(&mut self, range: ByteRange) {
        let whole = range.inward(PAGE);
        if whole.is_empty() {
            let next = (range.start - range.start % PAGE).saturating_add(PAGE);
            let middle = next.min(range.end());
            self.zero_within_page(range.start, middle);
            self.zero_within_page(middle, range.end());
            return;
        }
        self.zero_within_page(range.start, whole.start);
        self.zero_within_page(whole.end(), range.end());
        let mut stock = self.pool.lock();
        self.table
            .drop_pages(whole.start / PAGE, whole.end() / PAGE, &mut stock);
    }

    /// Shows `range` in ascending order: parts of pages, and the lengths of zeroes between them.
    fn each_piece(
        &mut self,
        range: ByteRange,
        mut see: impl FnMut(Result<(&Arc<Page>, Range<usize>), u64>),
    ) -> IoResult<()> {
        let end = end_of(range.start, range.len)?;
        let mut position = range.start;
        while position < end {
            let next = end.min((position - position % EXTENT).saturating_add(EXTENT));
            let Some(extent) = self.table.extent(position / EXTENT) else {
                see(Err(next - position));
                position = next;
                continue;
            };
            while position < next {
                let behind = next.min((position - position % PAGE).saturating_add(PAGE));
                see(match extent.shared(page_index(position)) {
                    Some(page) => Ok((page, within_page(position, behind))),
                    None => Err(behind - position),
                });
                position = behind;
            }
        }
        Ok(())
    }

    /// Puts a load down, page by page.
    fn put(&mut self, mut position: u64, load: Load<'_>) -> IoResult<()> {
        let end = end_of(position, load.len())?;
        let mut supply = self.pool.supply();
        let mut cursor = Cursor::new(load);
        let mut filled = None;
        while position < end {
            let next = end.min((position - position % EXTENT).saturating_add(EXTENT));
            let extent = self.table.extent_mut(position / EXTENT, &mut supply);
            let mut fresh_pages = 0;
            while position < next {
                let most = (next - position).min(PAGE - position % PAGE);
                let portion = cursor.next(most);
                let behind = position + portion.len();
                let fresh = put_portion(extent, position, portion, &mut filled, &mut supply);
                fresh_pages += u64::from(fresh);
                position = behind;
            }
            self.table.note_fresh_pages(fresh_pages);
        }
        self.size = self.size.max(end);
        Ok(())
    }

    /// Zeroes the bytes from `start` up to `end`, which lie on one page, if that page is there.
    fn zero_within_page(&mut self, start: u64, end: u64) {
        let extent = self.table.extent(start / EXTENT);
        if start >= end || extent.is_none_or(|extent| extent.page(page_index(start)).is_none()) {
            return;
        }
        let mut supply = self.pool.supply();
        let extent = self.table.extent_mut(start / EXTENT, &mut supply);
        let within = within_page(start, end);
        let (page, _) = extent.page_mut(page_index(start), within.clone(), &mut supply);
        page[within].fill(0);
    }
}

/// Puts down bytes that lie on one page, and tells whether the page is new. `filled` is a page that
/// was filled as the load says, if there is one yet.
fn put_portion(
    extent: &mut Extent,
    position: u64,
    portion: Portion<'_>,
    filled: &mut Option<Arc<Page>>,
    supply: &mut Supply<'_>,
) -> bool {
    let index = page_index(position);
    let within = within_page(position, position + portion.len());
    // What is all zeroes then takes no memory.
    let is_all = within.len() == PAGE_BYTES || extent.page(index).is_none();
    if let (Portion::Fill(_, PAGE), Some(page)) = (&portion, &*filled) {
        return extent.put_page(index, page, supply);
    }
    match portion {
        Portion::Zeroes(_) | Portion::Fill(0, _) if is_all => extent.put_zeroes(index, supply),
        Portion::Bytes(bytes) if is_all && is_zero(bytes) => extent.put_zeroes(index, supply),
        Portion::Bytes(bytes) if extent.goes_on(index, bytes) => extent.repeat(index, supply),
        Portion::Page(page) => extent.put_page(index, page, supply),
        portion => {
            let (page, fresh) = extent.page_mut(index, within.clone(), supply);
            let bytes = &mut page[within];
            match portion {
                Portion::Bytes(from) => copy(bytes, from),
                Portion::Made(make, range) => {
                    make(range.start, bytes);
                    if is_all && is_zero(bytes) {
                        extent.put_zeroes(index, supply);
                    }
                }
                Portion::Fill(byte, _) => {
                    bytes.fill(byte);
                    if bytes.len() == PAGE_BYTES {
                        *filled = extent.shared(index).cloned();
                    }
                }
                Portion::Page(_) | Portion::Zeroes(_) => bytes.fill(0),
            }
            fresh
        }
    }
}

/// Copies bytes of a page.
///
/// What is longer than half a page the C library copies with `rep movsb`, which was measured to
/// take 1.05 to 1.2 times as long as vector instructions do between pages and buffers, whose
/// addresses are seldom aligned alike.
fn copy(to: &mut [u8], from: &[u8]) {
    const PIECE: usize = PAGE_BYTES / 2;
    let middle = to.len().min(PIECE);
    let (to_head, to_tail) = to.split_at_mut(middle);
    let (head, tail) = from.split_at(middle);
    to_head.copy_from_slice(head);
    if !tail.is_empty() {
        to_tail.copy_from_slice(tail);
    }
}

/// Returns the index of the page of `position` within its extent.
fn page_index(position: u64) -> usize {
    index(position % EXTENT / PAGE)
}

/// Returns where the bytes from `start` up to `end` lie on the page of `start`.
fn within_page(start: u64, end: u64) -> Range<usize> {
    let base = start - start % PAGE;
    index(start - base)..index(end - base)
}

/// Returns a position within a piece of memory as an index into it.
fn index(position: u64) -> usize {
    usize::try_from(position).expect("positions within memory fit its indices")
}

/// Returns how many of the `left` bytes at `position` lie within the same piece of `unit` bytes.
fn step(position: u64, unit: u64, left: usize) -> usize {
    left.min(index(unit - position % unit))
}

impl BlockDevice for MemDisk {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        let (mut position, mut rest) = (offset.0, buf);
        end_of(position, rest.len() as u64)?;
        while !rest.is_empty() {
            let (mut piece, behind) = rest.split_at_mut(step(position, EXTENT, rest.len()));
            rest = behind;
            let next = position.saturating_add(piece.len() as u64);
            if let Some(extent) = self.table.extent(position / EXTENT) {
                while !piece.is_empty() {
                    let len = step(position, PAGE, piece.len());
                    let (bytes, behind) = piece.split_at_mut(len);
                    let start = index(position % PAGE);
                    match extent.page(page_index(position)) {
                        Some(page) => copy(bytes, &page[start..start + len]),
                        None => bytes.fill(0),
                    }
                    position += len as u64;
                    piece = behind;
                }
            } else {
                piece.fill(0);
            }
            position = next;
        }
        Ok(())
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], _: Durability) -> IoResult<()> {
        self.put(offset.0, Load::Bytes(data))
    }

    fn write_compressed(&mut self, _: Offset, _: &[u8]) -> IoResult<()> {
        Err(Errno::ENOTSUP.into())
    }

    fn write_zeroes(&mut self, range: ByteRange, _: bool) -> IoResult<()> {
        let end = end_of(range.start, range.len)?;
        self.zero(range);
        if !range.is_empty() {
            self.size = self.size.max(end);
        }
        Ok(())
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.zero(range);
        Ok(())
    }

    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }

    fn size(&self) -> Length {
        Length(self.size)
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        end_of(0, size.0)?;
        if size.0 < self.size {
            let end = ByteRange::new(0, self.size).outward(PAGE).end();
            self.zero(ByteRange::between(size.0, end));
        }
        self.size = size.0;
        Ok(())
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        let first = range.start / PAGE;
        let limit = range.outward(PAGE).len / PAGE;
        let (pages, there) = self.table.run(first, limit.max(1));
        let end = (first + pages).saturating_mul(PAGE).min(range.end());
        Ok(BlockStatus {
            len: Length(end - range.start),
            kind: if there {
                StatusKind::Data
            } else {
                StatusKind::Hole
            },
        })
    }

    fn event(&mut self, _: Event) -> IoResult<()> {
        Ok(())
    }

    fn read_parcel(&mut self, range: ByteRange, parcel: &mut Parcel) -> IoResult<()> {
        parcel.set_home(&self.pool);
        let mut zeroes = 0;
        self.each_piece(range, |found| match found {
            Ok((page, within)) => {
                parcel.add_zeroes(core::mem::take(&mut zeroes));
                parcel.add_page(page, within.start, within.len() as u64);
            }
            Err(len) => zeroes += len,
        })?;
        parcel.add_zeroes(zeroes);
        Ok(())
    }

    fn write_load(&mut self, offset: Offset, load: Load<'_>, _: Durability) -> IoResult<()> {
        self.put(offset.0, load)
    }
}

impl Visible for MemDisk {
    fn visit(&mut self, range: ByteRange, see: &mut dyn FnMut(Piece<'_>)) -> IoResult<()> {
        let mut zeroes = 0;
        self.each_piece(range, |found| match found {
            Ok((page, within)) => {
                show_zeroes(&mut zeroes, see);
                see(Piece::Page(PagePart {
                    page,
                    start: within.start,
                    len: within.len(),
                }));
            }
            Err(len) => zeroes += len,
        })?;
        show_zeroes(&mut zeroes, see);
        Ok(())
    }
}

/// Shows the zeroes that were found, if any.
fn show_zeroes(zeroes: &mut u64, see: &mut dyn FnMut(Piece<'_>)) {
    let len = core::mem::take(zeroes);
    if len > 0 {
        see(Piece::Zeroes(len));
    }
}

/// Returns the end of a request, which must not be larger than a file can be.
pub(crate) fn end_of(start: u64, len: u64) -> Result<u64, Errno> {
    start
        .checked_add(len)
        .filter(|end| *end <= MAX_SIZE)
        .ok_or(Errno::EFBIG)
}

impl Drop for MemDisk {
    fn drop(&mut self) {
        if self.table.extents() > 0 {
            self.table.clear(&mut self.pool.lock());
        }
    }
}

impl fmt::Debug for MemDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemDisk")
            .field("size", &self.size)
            .field("allocated", &self.allocated().0)
            .finish()
    }
}
