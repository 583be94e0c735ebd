//! What becomes of each pending operation when the power is cut.

use std::collections::BTreeMap;

use blkproof_spec::power::{Cache, Lost, PowerCut, Rest, Torn};
use blkproof_spec::{ByteRange, ImageName, IoType};

use super::{Pending, Volatile};
use crate::layer::{chance, keeps};
use crate::range_set::RangeSet;

/// How many units a torn operation has at most: one per sector up to 2 MiB. Larger ones, which only
/// zeroes and discards are in practice, are torn in larger units, so that they cost no more.
const UNITS: u64 = 4096;

/// What becomes of an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It reaches the medium.
    Kept,
    /// It does not.
    Lost,
    /// It does in part.
    Parts {
        /// These bytes of it reach the medium.
        kept: Vec<ByteRange>,
        /// Where bytes stand then that nobody wrote, each part with what they follow from.
        garbage: Vec<(ByteRange, u64)>,
    },
}

impl Fate {
    /// Adds what does not reach the medium of an operation on `range`.
    pub(crate) fn add_lost(&self, range: ByteRange, lost: &mut RangeSet) {
        match self {
            Self::Kept => {}
            Self::Lost => lost.insert(range),
            Self::Parts { kept, .. } => {
                let mut gone = RangeSet::default();
                gone.insert(range);
                kept.iter().for_each(|part| gone.remove(*part));
                gone.runs(range).for_each(|run| lost.insert(run));
            }
        }
    }
}

/// Decides what becomes of the operations on one image, one after the other.
pub(crate) struct Fates<'a> {
    cut: &'a PowerCut,
    cache: Cache,
    image: &'a ImageName,
    /// How many of each kind and range there were.
    seen: BTreeMap<(Option<IoType>, ByteRange), u64>,
    /// Something was lost already.
    broken: bool,
}

impl<'a> Fates<'a> {
    pub(crate) fn new(cut: &'a PowerCut, cache: Cache, image: &'a ImageName) -> Self {
        Self {
            cut,
            cache,
            image,
            seen: BTreeMap::new(),
            broken: false,
        }
    }

    /// Tells whether the operations reach the image in the opposite order.
    pub(crate) fn reversed(&self) -> bool {
        let reversed = match self.cut.lost {
            Lost::Reordered => true,
            Lost::Some(seed) => {
                chance::mix(chance::mix_text(seed, self.image.as_str()), 1) & 1 == 1
            }
            _ => false,
        };
        reversed && !self.cache.ordered
    }

    /// Decides on all operations of an image; `numbers` are those of all that is pending in the
    /// store.
    pub(crate) fn all(&mut self, volatile: &Volatile, numbers: &[u64]) -> Vec<Fate> {
        let youngest = volatile.pending().last().map(|one| one.number);
        let pending = volatile.pending().map(|one| {
            let before = numbers.partition_point(|number| *number < one.number);
            self.next(one, before as u64 + 1, Some(one.number) == youngest)
        });
        pending.collect()
    }

    /// Decides on the next operation, the `number`-th of the store; `youngest` says whether it is
    /// the last one on its image.
    fn next(&mut self, pending: &Pending, number: u64, youngest: bool) -> Fate {
        let times = self.seen.entry((pending.kind, pending.range)).or_insert(0);
        let before = *times;
        *times += 1;
        if self.broken {
            return Fate::Lost;
        }
        let fate = self.decide(pending, number, youngest, before);
        self.broken = self.cache.ordered && fate != Fate::Kept;
        fate
    }

    fn decide(&self, pending: &Pending, number: u64, youngest: bool, before: u64) -> Fate {
        let torn = |otherwise| match self.cut.torn {
            Some(torn) => tear(torn, self.cache, self.image, pending),
            None => otherwise,
        };
        match &self.cut.lost {
            Lost::All => Fate::Lost,
            Lost::None | Lost::Reordered => Fate::Kept,
            Lost::From(first) if number < *first => Fate::Kept,
            Lost::From(first) if number == *first => torn(Fate::Lost),
            Lost::From(_) => Fate::Lost,
            Lost::Only(only) if number == *only => torn(Fate::Lost),
            Lost::Only(_) => Fate::Kept,
            Lost::Worst if youngest => torn(Fate::Kept),
            Lost::Worst => Fate::Lost,
            Lost::Some(seed) => by_chance(*seed, self.cache, self.image, pending, before),
            Lost::These(parts) => {
                let lost = parts.iter().filter(|(name, _)| name == self.image);
                without(self.cache, pending, lost.map(|(_, range)| *range))
            }
        }
    }
}

/// Tears an operation. A change of size is not torn: it does not reach the medium.
fn tear(torn: Torn, cache: Cache, image: &ImageName, pending: &Pending) -> Fate {
    if pending.kind.is_none() {
        return Fate::Lost;
    }
    let units = Units::of(torn.unit.len().0, cache, pending.range);
    let seed = chance::mix_text(0, image.as_str());
    let (mut kept, mut garbage) = (Vec::new(), Vec::new());
    for index in 0..units.count {
        let unit = units.at(index);
        if keeps(torn.kept, index, units.count, unit.start / units.len) {
            push(&mut kept, unit);
        } else if torn.rest == Rest::Garbage {
            garbage.push((unit, chance::mix(seed, unit.start)));
        }
    }
    Fate::Parts { kept, garbage }
}

/// Lets chance decide, by what the operation is and not by what else is pending.
fn by_chance(seed: u64, cache: Cache, image: &ImageName, pending: &Pending, times: u64) -> Fate {
    let ByteRange { start, len } = pending.range;
    let kind = pending.kind.map_or(u64::MAX, |kind| kind as u64);
    let hash = chance::mix_text(seed, image.as_str());
    let hash = chance::mix_all(hash, [kind, start, len, times]);
    let len = match (hash >> 32) & 3 {
        0 => return Fate::Lost,
        1 => return Fate::Kept,
        _ if pending.kind.is_none() => return Fate::Lost,
        2 => 4096,
        _ => 512,
    };
    let units = Units::of(len, cache, pending.range);
    let mut kept = Vec::new();
    for index in 0..units.count {
        let unit = units.at(index);
        if chance::keeps(hash, unit.start / units.len) {
            push(&mut kept, unit);
        }
    }
    Fate::Parts {
        kept,
        garbage: Vec::new(),
    }
}

/// Keeps all of an operation but these bytes.
fn without(cache: Cache, pending: &Pending, lost: impl Iterator<Item = ByteRange>) -> Fate {
    let mut gone = RangeSet::default();
    for range in lost {
        gone.insert(range.outward(cache.atomic.0));
    }
    if pending.kind.is_none() {
        return Fate::Kept;
    }
    let range = pending.range;
    let (mut kept, mut position) = (Vec::new(), range.start);
    for run in gone.runs(range) {
        push(&mut kept, ByteRange::between(position, run.start));
        position = run.end();
    }
    push(&mut kept, ByteRange::between(position, range.end()));
    if kept == [range] {
        return Fate::Kept;
    }
    Fate::Parts {
        kept,
        garbage: Vec::new(),
    }
}

fn push(parts: &mut Vec<ByteRange>, part: ByteRange) {
    if part.is_empty() {
        return;
    }
    match parts.last_mut() {
        Some(last) if last.end() == part.start => last.len += part.len,
        _ => parts.push(part),
    }
}

/// The units of an operation, aligned on the device.
struct Units {
    first: u64,
    len: u64,
    count: u64,
}

impl Units {
    fn of(len: u64, cache: Cache, range: ByteRange) -> Self {
        let fewest = range.len.div_ceil(UNITS).next_power_of_two();
        let len = len.max(cache.atomic.0).max(fewest);
        let first = range.start - range.start % len;
        let count = (range.end() - first).div_ceil(len);
        Self { first, len, count }
    }

    fn at(&self, index: u64) -> ByteRange {
        let start = self.first + index * self.len;
        ByteRange::between(start, start.saturating_add(self.len))
    }
}

/// Returns bytes that nobody wrote.
pub(super) fn garbage(seed: u64, range: ByteRange) -> Vec<u8> {
    let words = range.len.div_ceil(8);
    let bytes = (0..words).flat_map(|word| chance::mix(seed, word).to_le_bytes());
    let len = usize::try_from(range.len).expect("what a request carries fits memory");
    bytes.take(len).collect()
}
