//! Bytes on their way between devices, without a copy of them where they lie in pages.

use core::fmt;
use std::sync::Arc;

use blkproof_spec::ByteRange;

use crate::pool::{PAGE_BYTES, Page, Pool};
use crate::visible::{PagePart, Piece};

/// Bytes that were read: pages shared with the disk that they were read from, zeroes, and bytes of
/// the parcel's own.
///
/// A disk splits off a shared page before it writes there, so what a parcel holds changes no more.
#[derive(Default)]
pub struct Parcel {
    parts: Vec<Part>,
    /// What the parts that are bytes hold; behind `used`, anything.
    bytes: Vec<u8>,
    used: usize,
    /// Where pages go that nobody else holds when the parcel gives them up.
    home: Option<Pool>,
}

#[derive(Clone)]
struct Part {
    /// Where it ends within the parcel.
    end: u64,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Zeroes,
    /// A page, from this byte on.
    Page(Arc<Page>, usize),
    /// The parcel's own bytes, from this one on.
    Bytes(usize),
}

impl Parcel {
    /// Makes an empty parcel.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many bytes it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.end)
    }

    /// Tells whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Gives up what it holds, and keeps its memory.
    pub fn clear(&mut self) {
        self.used = 0;
        let Some(home) = &self.home else {
            self.parts.clear();
            return;
        };
        let mut stock = home.lock();
        for part in self.parts.drain(..) {
            if let Kind::Page(page, _) = part.kind {
                stock.keep_page(page);
            }
        }
    }

    /// Adds zeroes.
    pub fn add_zeroes(&mut self, len: u64) {
        self.add(len, Kind::Zeroes);
    }

    /// Adds bytes that hold anything, for the caller to fill.
    pub fn add_room(&mut self, len: usize) -> &mut [u8] {
        let start = self.used;
        self.used += len;
        if self.bytes.len() < self.used {
            self.bytes.resize(self.used, 0);
        }
        self.add(len as u64, Kind::Bytes(start));
        &mut self.bytes[start..self.used]
    }

    /// Says where pages came from, and can go back to.
    pub(crate) fn set_home(&mut self, pool: &Pool) {
        self.home.get_or_insert_with(|| pool.clone());
    }

    /// Adds `len` bytes of a page.
    pub(crate) fn add_page(&mut self, page: &Arc<Page>, start: usize, len: u64) {
        self.add(len, Kind::Page(Arc::clone(page), start));
    }

    fn add(&mut self, len: u64, kind: Kind) {
        if len > 0 {
            let end = self.len() + len;
            self.parts.push(Part { end, kind });
        }
    }

    /// Tells whether all bytes of `range` are zero.
    #[must_use]
    pub fn is_zero(&self, range: ByteRange) -> bool {
        let mut cursor = Cursor::new(Load::Parcel(self, range));
        let mut left = range.len;
        while left > 0 {
            let piece = cursor.next(left);
            left -= piece.len();
            let zero = match piece {
                Portion::Bytes(bytes) => is_zero(bytes),
                Portion::Page(page) => is_zero(&page[..]),
                Portion::Zeroes(_) => true,
                Portion::Fill(byte, _) => byte == 0,
                Portion::Made(..) => false,
            };
            if !zero {
                return false;
            }
        }
        true
    }

    /// Shows what it holds, piece by piece in ascending order.
    pub fn visit(&self, see: &mut dyn FnMut(Piece<'_>)) {
        let mut start = 0;
        for part in &self.parts {
            let len = index(part.end - start);
            see(match &part.kind {
                Kind::Zeroes => Piece::Zeroes(len as u64),
                Kind::Page(page, start) => Piece::Page(PagePart {
                    page,
                    start: *start,
                    len,
                }),
                Kind::Bytes(first) => Piece::Bytes(&self.bytes[*first..][..len]),
            });
            start = part.end;
        }
    }
}

impl Clone for Parcel {
    /// Copies what it holds; pages stay shared.
    fn clone(&self) -> Self {
        Self {
            parts: self.parts.clone(),
            bytes: self.bytes[..self.used].to_vec(),
            used: self.used,
            home: self.home.clone(),
        }
    }
}

/// Tells whether all bytes are zero. Most data shows in its first bytes that it is not.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (whole, rest) = bytes.as_chunks::<128>();
    let any = |part: &[u8]| part.iter().fold(0, |any, byte| any | byte);
    whole.iter().all(|part| any(part) == 0) && any(rest) == 0
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel")
            .field("len", &self.len())
            .field("parts", &self.parts.len())
            .finish()
    }
}

/// What a write puts down.
#[derive(Clone, Copy)]
pub enum Load<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// This byte, so many times.
    Fill(u8, u64),
    /// This range of what was read before.
    Parcel(&'a Parcel, ByteRange),
    /// What a function of the position puts into a buffer, at the positions of this range: bytes
    /// that nobody has to hold are made where they come to lie.
    Made(&'a dyn Fn(u64, &mut [u8]), ByteRange),
}

impl<'a> Load<'a> {
    /// Takes all that a parcel holds.
    #[must_use]
    pub fn whole(parcel: &'a Parcel) -> Self {
        Self::Parcel(parcel, ByteRange::new(0, parcel.len()))
    }

    /// Returns how many bytes it is.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Fill(_, len) => *len,
            Self::Parcel(_, range) | Self::Made(_, range) => range.len,
        }
    }

    /// Tells whether it is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a part of it: `len` bytes from `start` on, which lie within it.
    #[must_use]
    pub fn part(self, start: u64, len: u64) -> Self {
        let within = |range: ByteRange| ByteRange::new(range.start + start, len);
        match self {
            Self::Bytes(bytes) => Self::Bytes(&bytes[index(start)..index(start + len)]),
            Self::Fill(byte, _) => Self::Fill(byte, len),
            Self::Parcel(parcel, range) => Self::Parcel(parcel, within(range)),
            Self::Made(make, range) => Self::Made(make, within(range)),
        }
    }

    /// Copies it to `buf`, which is as long.
    pub fn copy_to(self, buf: &mut [u8]) {
        let mut cursor = Cursor::new(self);
        let mut rest = buf;
        while !rest.is_empty() {
            let portion = cursor.next(rest.len() as u64);
            let (part, behind) = rest.split_at_mut(index(portion.len()));
            rest = behind;
            match portion {
                Portion::Bytes(bytes) => part.copy_from_slice(bytes),
                Portion::Page(page) => part.copy_from_slice(&page[..]),
                Portion::Zeroes(_) => part.fill(0),
                Portion::Fill(byte, _) => part.fill(byte),
                Portion::Made(make, range) => make(range.start, part),
            }
        }
    }

    /// Returns it in one piece, put together in `scratch` where it does not lie so.
    pub fn flat<'b>(self, scratch: &'b mut Vec<u8>) -> &'b [u8]
    where
        'a: 'b,
    {
        if let Portion::Bytes(bytes) = Cursor::new(self).next(self.len())
            && bytes.len() as u64 == self.len()
        {
            return bytes;
        }
        let len = index(self.len());
        if scratch.len() < len {
            scratch.resize(len, 0);
        }
        self.copy_to(&mut scratch[..len]);
        &scratch[..len]
    }
}

impl fmt::Debug for Load<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Bytes(_) => "Bytes",
            Self::Fill(..) => "Fill",
            Self::Parcel(..) => "Parcel",
            Self::Made(..) => "Made",
        };
        f.debug_tuple(kind).field(&self.len()).finish()
    }
}

/// The next bytes of a load, as they lie.
pub(crate) enum Portion<'a> {
    Bytes(&'a [u8]),
    /// A whole page.
    Page(&'a Arc<Page>),
    Zeroes(u64),
    Fill(u8, u64),
    Made(&'a dyn Fn(u64, &mut [u8]), ByteRange),
}

impl Portion<'_> {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Page(page) => page.len() as u64,
            Self::Zeroes(len) | Self::Fill(_, len) => *len,
            Self::Made(_, range) => range.len,
        }
    }
}

/// Goes through a load.
pub(crate) struct Cursor<'a> {
    rest: Load<'a>,
    /// The part of the parcel in which the rest starts.
    part: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(load: Load<'a>) -> Self {
        let part = match load {
            Load::Parcel(parcel, range) => {
                let parts = &parcel.parts;
                parts.partition_point(|part| part.end <= range.start)
            }
            _ => 0,
        };
        Self { rest: load, part }
    }

    /// Takes the next bytes, at most so many as given, which are at least one, and there are.
    pub(crate) fn next(&mut self, most: u64) -> Portion<'a> {
        let len = most.min(self.rest.len());
        let portion = match self.rest {
            Load::Bytes(bytes) => Portion::Bytes(&bytes[..index(len)]),
            Load::Fill(byte, _) => Portion::Fill(byte, len),
            Load::Made(make, range) => Portion::Made(make, ByteRange::new(range.start, len)),
            Load::Parcel(parcel, range) => self.next_part(parcel, range.start, len),
        };
        let taken = portion.len();
        self.rest = self.rest.part(taken, self.rest.len() - taken);
        portion
    }

    fn next_part(&mut self, parcel: &'a Parcel, at: u64, most: u64) -> Portion<'a> {
        let Some(part) = parcel.parts.get(self.part) else {
            return Portion::Bytes(&[]);
        };
        let start = match self.part.checked_sub(1) {
            Some(before) => parcel.parts[before].end,
            None => 0,
        };
        let len = most.min(part.end - at);
        if at + len == part.end {
            self.part += 1;
        }
        let (skip, len) = (index(at - start), index(len));
        match &part.kind {
            Kind::Zeroes => Portion::Zeroes(len as u64),
            Kind::Page(page, 0) if len == PAGE_BYTES => Portion::Page(page),
            Kind::Page(page, first) => Portion::Bytes(&page[first + skip..][..len]),
            Kind::Bytes(first) => Portion::Bytes(&parcel.bytes[first + skip..][..len]),
        }
    }
}

/// Returns a position within a piece of memory as an index into it.
fn index(position: u64) -> usize {
    usize::try_from(position).expect("positions within memory fit its indices")
}
