//! Pages of which it is known what they hold, and the comparison that makes use of it.
//!
//! A backup shares the pages that it copies with its source, and both are looked at again and
//! again: behind the job, at the end, through the subject and by the inspector. What was compared
//! once need not be compared again as long as it is the same page and the same is to stand there.
//! A fill is one page that stands in many places, and is compared once.
//! Keeping a page keeps it from being changed: whoever writes there, a guest, a job, a fault or a
//! loss of power, splits another page off, so nothing has to be forgotten.

use blkproof_device::{KeptPage, PagePart, Piece};
use blkproof_spec::content::Bytes;
use blkproof_spec::model::{Demand, Judgement};
use blkproof_spec::{ByteRange, Model};

/// How many parts of pages are remembered at most, so that 4 MiB are kept.
const SLOTS: usize = 1024;

/// Parts of pages, each where its address puts it; one that comes to stand where another does takes
/// its place.
#[derive(Default, Debug)]
pub(super) struct Verified {
    slots: Vec<Option<Known>>,
    /// The slots that are in use.
    used: Vec<usize>,
}

/// A part of a page that was compared.
#[derive(Debug)]
struct Known {
    page: KeptPage,
    /// Where it starts on the page.
    start: usize,
    /// What it holds.
    holds: Holds,
}

/// What a part of a page holds, all of it from one write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Holds {
    bytes: Bytes,
    /// Where that stands; the same fill is the same anywhere.
    start: u64,
    len: u64,
}

impl Holds {
    fn new(range: ByteRange, bytes: Bytes) -> Self {
        let start = match bytes {
            Bytes::Fill(_) => 0,
            Bytes::Stamp { .. } => range.start,
        };
        Self {
            bytes,
            start,
            len: range.len,
        }
    }
}

impl Verified {
    /// Forgets everything, and lets go of the pages.
    pub(super) fn clear(&mut self) {
        for slot in self.used.drain(..) {
            self.slots[slot] = None;
        }
    }

    fn slot(part: &PagePart<'_>) -> usize {
        // Pages lie apart by a little more than their size.
        let hash = (part.address() >> 4) ^ (part.address() >> 12) ^ (part.start() >> 3);
        hash % SLOTS
    }

    /// Tells whether this part of a page is known to hold this.
    fn knows(&self, part: &PagePart<'_>, holds: Holds) -> bool {
        let known = self.slots.get(Self::slot(part)).and_then(Option::as_ref);
        known.is_some_and(|known| {
            (known.start, known.holds) == (part.start(), holds) && known.page.has(part)
        })
    }

    /// Remembers that this part of a page was found to hold this.
    fn note(&mut self, part: &PagePart<'_>, holds: Holds) {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        let slot = Self::slot(part);
        let known = Known {
            page: part.keep(),
            start: part.start(),
            holds,
        };
        if self.slots[slot].replace(known).is_none() {
            self.used.push(slot);
        }
    }
}

/// A comparison of what is read with what a demand says.
pub(super) struct Comparing<'a> {
    pub(super) model: &'a mut Model,
    pub(super) verified: &'a mut Verified,
    pub(super) demand: &'a Demand,
    pub(super) out: &'a mut Judgement,
    /// What must stand at a range for certain: pages in a row mostly come from one write.
    certain: Option<(ByteRange, Bytes)>,
}

impl<'a> Comparing<'a> {
    pub(super) fn new(
        model: &'a mut Model,
        verified: &'a mut Verified,
        demand: &'a Demand,
        out: &'a mut Judgement,
    ) -> Self {
        Self {
            model,
            verified,
            demand,
            out,
            certain: None,
        }
    }

    /// Returns what must stand at a position, and up to where, if that is certain. What is certain
    /// stays so, whatever else is learned meanwhile.
    fn certain_at(&mut self, position: u64) -> Option<(Bytes, u64)> {
        if let Some((range, bytes)) = self.certain
            && range.contains(position)
        {
            return Some((bytes, range.end()));
        }
        let (bytes, until) = self.model.certain(self.demand, position)?;
        self.certain = Some((ByteRange::between(position, until), bytes));
        Some((bytes, until))
    }

    /// Compares what was read at `at`.
    pub(super) fn see(&mut self, at: u64, piece: Piece<'_>) {
        match piece {
            Piece::Bytes(bytes) => self.model.compare(self.demand, at, bytes, self.out),
            Piece::Page(part) => self.see_page(at, part),
            Piece::Zeroes(len) => {
                let range = ByteRange::new(at, len);
                self.model.compare_zeroes(self.demand, range, self.out);
            }
        }
    }

    fn see_page(&mut self, at: u64, part: PagePart<'_>) {
        let end = at + part.bytes().len() as u64;
        let mut position = at;
        while position < end {
            let rest = part.from(position - at);
            let Some((expected, until)) = self.certain_at(position) else {
                return self
                    .model
                    .compare(self.demand, position, rest.bytes(), self.out);
            };
            let range = ByteRange::between(position, until.min(end));
            self.see_alike(range, rest.first(range.len), expected);
            position = range.end();
        }
    }

    /// Compares a part of a page all of which is to be of one write.
    fn see_alike(&mut self, range: ByteRange, part: PagePart<'_>, expected: Bytes) {
        let holds = Holds::new(range, expected);
        if self.verified.knows(&part, holds) {
            return;
        }
        if expected.mismatch(range.start, part.bytes()).is_none() {
            self.verified.note(&part, holds);
        } else {
            self.model
                .compare(self.demand, range.start, part.bytes(), self.out);
        }
    }
}
