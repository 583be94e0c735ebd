//! Comparing bytes that were read with what may stand there, and learning from them.

use super::{Absent, CellId, Choice, Contents, ImageId, Images, Value};
use crate::content::{Bytes, provenance};
use crate::model::judgement::{Held, Mismatches};
use crate::units::{ByteRange, SECTOR};

/// What bytes are compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// An image, through its chain.
    Chain(ImageId),
    /// Frozen contents.
    Frozen(&'a Contents),
}

/// What a comparison brought.
#[derive(Default, Debug)]
pub(crate) struct Comparison {
    /// Where the bytes are wrong, merged.
    pub(crate) mismatches: Mismatches,
    /// Which sectors of cells showed which value they have.
    pub(crate) pins: Vec<(CellId, ByteRange, Choice)>,
}

fn held(position: u64, bytes: &[u8]) -> Held {
    if let Some(found) = provenance(position, bytes) {
        return Held::Stamp(found);
    }
    match bytes {
        [first, rest @ ..] if rest.iter().all(|byte| byte == first) => Held::Fill(*first),
        _ => Held::Other,
    }
}

/// Splits `range` at sector borders.
fn sectors(range: ByteRange) -> impl Iterator<Item = ByteRange> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let end = (at - at % SECTOR).saturating_add(SECTOR).min(range.end());
        let part = ByteRange::between(at, end);
        at = end;
        (!part.is_empty()).then_some(part)
    })
}

/// Returns the part of `bytes`, read at `offset`, that stands at `range`.
fn slice(bytes: &[u8], offset: u64, range: ByteRange) -> &[u8] {
    let index = |position: u64| usize::try_from(position - offset).unwrap_or(usize::MAX);
    bytes
        .get(index(range.start)..index(range.end()))
        .unwrap_or_default()
}

impl Images {
    /// Compares `bytes`, read at `offset`, with what may stand there.
    pub(crate) fn compare(
        &self,
        source: Source<'_>,
        offset: u64,
        bytes: &[u8],
        mismatches_max: usize,
    ) -> Comparison {
        let mut out = Comparison {
            mismatches: Mismatches::new(mismatches_max),
            pins: Vec::new(),
        };
        let end = offset.saturating_add(bytes.len() as u64);
        let mut candidates = Vec::new();
        let mut at = offset;
        while at < end {
            if let Some((only, stretch)) = self.certain(source, at) {
                let range = ByteRange::between(at, stretch.min(end));
                if only.mismatch(at, slice(bytes, offset, range)).is_none() {
                    at = range.end();
                    continue;
                }
            }
            candidates.clear();
            let stretch = match source {
                Source::Chain(id) => self.candidates(id, at, &mut candidates),
                Source::Frozen(contents) => self.candidates_of(contents, at, &mut candidates),
            };
            let range = ByteRange::between(at, stretch.min(end));
            let part = slice(bytes, offset, range);
            at = range.end();
            if let [only] = candidates[..] {
                let Some(index) = only.mismatch(range.start, part) else {
                    continue;
                };
                let first = range.start + index as u64;
                let wrong = ByteRange::between(first - first % SECTOR, range.end());
                for sector in sectors(wrong.intersect(range)) {
                    let part = slice(bytes, offset, sector);
                    if only.mismatch(sector.start, part).is_some() {
                        out.mismatches
                            .add(sector, held(sector.start, part), &candidates);
                    }
                }
                continue;
            }
            for sector in sectors(range) {
                let part = slice(bytes, offset, sector);
                if !self.learn(source, sector, part, &mut out.pins) {
                    out.mismatches
                        .add(sector, held(sector.start, part), &candidates);
                }
            }
        }
        out
    }

    /// Returns what must stand at `position`, where one value is certain, and where another one may
    /// begin.
    pub(crate) fn certain(&self, source: Source<'_>, position: u64) -> Option<(Bytes, u64)> {
        match source {
            Source::Chain(id) => self.certain_through(Some(id), position),
            Source::Frozen(contents) => match contents.lookup(position) {
                (None, end) => Some((Bytes::ZERO, end)),
                (Some(Value::Bytes(bytes)), end) => Some((bytes, end)),
                (Some(Value::Cell(_)), _) => None,
            },
        }
    }

    /// Returns from where on, at or behind `position`, something else than zeroes may have to
    /// stand. Where a request over terabytes may or may not have made zeroes of zeroes, it is not
    /// certain which of both stands there, and makes no difference.
    pub(crate) fn zeroes_end(&self, source: Source<'_>, mut position: u64, end: u64) -> u64 {
        let mut candidates = Vec::new();
        while position < end {
            position = match self.certain(source, position) {
                Some((Bytes::ZERO, stretch)) => stretch,
                Some(_) => return position,
                None => {
                    candidates.clear();
                    let stretch = match source {
                        Source::Chain(id) => self.candidates(id, position, &mut candidates),
                        Source::Frozen(contents) => {
                            self.candidates_of(contents, position, &mut candidates)
                        }
                    };
                    if candidates[..] != [Bytes::ZERO] {
                        return position;
                    }
                    stretch
                }
            }
        }
        end
    }

    /// Tells whether the bytes of (a part of) one sector are allowed, and what they show of cells.
    fn learn(
        &self,
        source: Source<'_>,
        part: ByteRange,
        bytes: &[u8],
        pins: &mut Vec<(CellId, ByteRange, Choice)>,
    ) -> bool {
        let mut walk = Walk {
            images: self,
            offset: part.start,
            bytes,
            pins: None,
        };
        let matches = walk.source(source, part);
        if matches {
            walk.pins = Some(pins);
            walk.source(source, part);
        }
        matches
    }
}

/// One pass over what stands at (a part of) a sector: first to see whether the bytes are allowed,
/// then, where they are, to collect what they show.
struct Walk<'a> {
    images: &'a Images,
    offset: u64,
    bytes: &'a [u8],
    pins: Option<&'a mut Vec<(CellId, ByteRange, Choice)>>,
}

impl Walk<'_> {
    fn source(&mut self, source: Source<'_>, part: ByteRange) -> bool {
        match source {
            Source::Chain(id) => self.through(Some(id), part),
            Source::Frozen(contents) => self.contents(contents, None, Absent::Zero, part),
        }
    }

    fn through(&mut self, home: Option<ImageId>, part: ByteRange) -> bool {
        let images = self.images;
        let Some(id) = home else {
            return self.bytes(Bytes::ZERO, part);
        };
        let image = images.get(id);
        let inside = part.intersect(image.whole());
        let outside = ByteRange::between(part.start.max(inside.end()), part.end());
        self.contents(&image.layer, home, image.absent, inside) && self.bytes(Bytes::ZERO, outside)
    }

    fn contents(
        &mut self,
        contents: &Contents,
        home: Option<ImageId>,
        absent: Absent,
        part: ByteRange,
    ) -> bool {
        let images = self.images;
        contents
            .stretches(part)
            .all(|(stretch, value)| match (value, absent) {
                (Some(value), _) => self.value(value, home, stretch),
                (None, Absent::Zero) => self.bytes(Bytes::ZERO, stretch),
                (None, Absent::Through) => {
                    self.through(home.and_then(|home| images.backing_of(home)), stretch)
                }
            })
    }

    fn value(&mut self, value: Value, home: Option<ImageId>, part: ByteRange) -> bool {
        let id = match value {
            Value::Bytes(bytes) => return self.bytes(bytes, part),
            Value::Cell(id) => id,
        };
        let cell = self.images.cell(id);
        if let (Some(pin), _) = cell.pins.lookup(part.start) {
            return self.side(id, pin, home, part);
        }
        let pins = self.pins.take();
        let old = self.side(id, Choice::Old, home, part);
        let new = self.side(id, Choice::New, home, part);
        self.pins = pins;
        let choice = match (old, new) {
            (true, false) => Choice::Old,
            (false, true) => Choice::New,
            _ => return old,
        };
        if choice == Choice::Old && cell.open {
            return true;
        }
        if let Some(pins) = &mut self.pins {
            pins.push((id, cell.unit(part.start), choice));
            self.side(id, choice, home, part);
        }
        true
    }

    fn side(&mut self, id: CellId, choice: Choice, home: Option<ImageId>, part: ByteRange) -> bool {
        let cell = self.images.cell(id);
        let absent = match choice {
            Choice::Old => cell.absent,
            Choice::New => Absent::Zero,
        };
        self.contents(cell.side(choice), home, absent, part)
    }

    fn bytes(&self, bytes: Bytes, part: ByteRange) -> bool {
        bytes
            .mismatch(part.start, slice(self.bytes, self.offset, part))
            .is_none()
    }
}
