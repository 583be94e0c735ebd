//! Pages of which it is known what they hold, and the comparison that makes use of it.
//!
//! A backup shares the pages that it copies with its source, and both are looked at again and
//! again: behind the job, at the end, through the subject and by the inspector. What was compared
//! once need not be compared again as long as it is the same page and the same is to stand there.
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
    /// Where it was found.
    range: ByteRange,
    /// What it holds there.
    bytes: Bytes,
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

    /// Tells whether this part of a page is known to hold `bytes`, as they stand at `range`.
    fn knows(&self, part: &PagePart<'_>, range: ByteRange, bytes: Bytes) -> bool {
        let known = self.slots.get(Self::slot(part)).and_then(Option::as_ref);
        known.is_some_and(|known| {
            (known.start, known.range, known.bytes) == (part.start(), range, bytes)
                && known.page.has(part)
        })
    }

    /// Remembers that this part of a page was found to hold `bytes`, as they stand at `range`.
    fn note(&mut self, part: &PagePart<'_>, range: ByteRange, bytes: Bytes) {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        let slot = Self::slot(part);
        let known = Known {
            page: part.keep(),
            start: part.start(),
            range,
            bytes,
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
}

impl Comparing<'_> {
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
            let Some((expected, until)) = self.model.certain(self.demand, position) else {
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
        if self.verified.knows(&part, range, expected) {
            return;
        }
        if expected.mismatch(range.start, part.bytes()).is_none() {
            self.verified.note(&part, range, expected);
        } else {
            self.model
                .compare(self.demand, range.start, part.bytes(), self.out);
        }
    }
}
