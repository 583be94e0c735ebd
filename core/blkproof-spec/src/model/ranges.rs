//! Maps from ranges of bytes to values, and sets of ranges.
//!
//! Runs are kept sorted, disjoint and merged. A few lie in place; more lie in chunks of bounded
//! size that copies share: a copy costs a few pointers, a change costs one chunk, whatever the map
//! holds.

mod few;

use std::sync::Arc;

use crate::units::ByteRange;
use few::{FEW, Few};

/// The most runs in a chunk.
const CHUNK_MAX: usize = 64;

/// Room for so many is made at first.
const CHUNK_LEAST: usize = 2 * FEW;

/// A range with one value.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Run<V> {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) value: V,
}

impl<V> Run<V> {
    pub(crate) fn range(&self) -> ByteRange {
        ByteRange::between(self.start, self.end)
    }
}

/// A map from bytes to values; most bytes of a disk have none.
#[derive(Clone, Debug)]
pub(crate) struct RangeMap<V> {
    /// All runs, as long as there are no chunks.
    few: Few<V>,
    /// Never an empty chunk; all runs of a chunk lie before all runs of the next.
    chunks: Vec<Arc<Vec<Run<V>>>>,
}

impl<V: Copy + Default> Default for RangeMap<V> {
    fn default() -> Self {
        Self {
            few: Few::default(),
            chunks: Vec::new(),
        }
    }
}

impl<V: Copy + Default + PartialEq> PartialEq for RangeMap<V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<V: Copy + Default + Eq> Eq for RangeMap<V> {}

impl<V: Copy + Default + PartialEq> RangeMap<V> {
    /// Gives every byte of `range` this value.
    pub(crate) fn set(&mut self, range: ByteRange, value: V) {
        self.splice(range, Some(value));
    }

    /// Takes every byte of `range` its value.
    pub(crate) fn clear(&mut self, range: ByteRange) {
        self.splice(range, None);
    }

    /// Takes every byte from `end` on its value.
    pub(crate) fn truncate(&mut self, end: u64) {
        self.clear(ByteRange::between(end, u64::MAX));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.few.is_empty() && self.chunks.is_empty()
    }

    /// Returns how many runs there are, rounded up to whole chunks.
    pub(crate) fn runs_max(&self) -> usize {
        self.chunks.len().max(usize::from(!self.few.is_empty())) * CHUNK_MAX
    }

    /// Returns the value at `position`, and where another one (or none) may begin.
    pub(crate) fn lookup(&self, position: u64) -> (Option<V>, u64) {
        match self.iter_from(position).next() {
            Some(run) if run.start <= position => (Some(run.value), run.end),
            Some(run) => (None, run.start),
            None => (None, u64::MAX),
        }
    }

    /// Returns all runs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Run<V>> + '_ {
        let many = self.chunks.iter().flat_map(|chunk| chunk.iter());
        self.few.iter().chain(many).copied()
    }

    /// Returns the runs that end behind `position`.
    fn iter_from(&self, position: u64) -> impl Iterator<Item = Run<V>> + '_ {
        let behind = |runs: &[Run<V>]| runs.partition_point(|run| run.end <= position);
        let passed = self.few.iter().filter(|run| run.end <= position).count();
        let few = &self.few[passed..];
        let chunk = self.chunk_of(position.saturating_add(1));
        let (first, rest): (&[_], &[_]) = match self.chunks[chunk..].split_first() {
            Some((first, rest)) => (&first[behind(first)..], rest),
            None => (few, &[]),
        };
        let rest = rest.iter().flat_map(|chunk| chunk.iter());
        first.iter().chain(rest).copied()
    }

    /// Returns the runs within `range`, clipped to it.
    pub(crate) fn within(&self, range: ByteRange) -> impl Iterator<Item = Run<V>> + '_ {
        self.iter_from(range.start)
            .take_while(move |run| run.start < range.end())
            .map(move |run| Run {
                start: run.start.max(range.start),
                end: run.end.min(range.end()),
                value: run.value,
            })
    }

    /// Returns `range` cut into stretches with one value, or none, each.
    pub(crate) fn stretches(
        &self,
        range: ByteRange,
    ) -> impl Iterator<Item = (ByteRange, Option<V>)> + '_ {
        let mut runs = self.within(range).peekable();
        let mut at = range.start;
        std::iter::from_fn(move || {
            let (end, value) = match runs.peek() {
                Some(run) if run.start <= at => (run.end, Some(run.value)),
                Some(run) => (run.start, None),
                None => (range.end(), None),
            };
            if value.is_some() {
                runs.next();
            }
            let stretch = ByteRange::between(at, end);
            at = at.max(end);
            (!stretch.is_empty()).then_some((stretch, value))
        })
    }

    /// Returns a copy of what stands within `range`.
    pub(crate) fn cut(&self, range: ByteRange) -> Self {
        let mut out = Self::default();
        for run in self.within(range) {
            out.set(run.range(), run.value);
        }
        out
    }

    /// Returns the ranges in which the two may differ, in ascending order. Where both share their
    /// runs, which are as they are in both, nothing is looked at.
    pub(crate) fn difference(&self, other: &Self) -> Vec<ByteRange> {
        let (mine, theirs) = self.unshared(other);
        let runs = |map: &Self, chunks: &[usize]| -> Vec<Run<V>> {
            let chunks = chunks.iter().map(|index| &map.chunks[*index]);
            let many = chunks.flat_map(|chunk| chunk.iter());
            map.few.iter().chain(many).copied().collect()
        };
        let (mut mine, mut theirs) = (runs(self, &mine), runs(other, &theirs));
        drop_common(&mut mine, &mut theirs);
        let mut out = RangeSet::default();
        uncovered(&mine, &theirs, &mut out);
        uncovered(&theirs, &mine, &mut out);
        out.to_vec()
    }

    /// Returns the indices of the chunks that the two do not share, of each.
    fn unshared(&self, other: &Self) -> (Vec<usize>, Vec<usize>) {
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        let (mut i, mut j) = (0, 0);
        let start = |map: &Self, index: usize| {
            let chunk = map.chunks.get(index)?;
            chunk.first().map(|run| run.start)
        };
        loop {
            match (start(self, i), start(other, j)) {
                (None, None) => return (mine, theirs),
                (Some(a), Some(b)) if a == b => {
                    if !Arc::ptr_eq(&self.chunks[i], &other.chunks[j]) {
                        mine.push(i);
                        theirs.push(j);
                    }
                    (i, j) = (i + 1, j + 1);
                }
                (Some(a), b) if b.is_none_or(|b| a < b) => {
                    mine.push(i);
                    i += 1;
                }
                _ => {
                    theirs.push(j);
                    j += 1;
                }
            }
        }
    }

    /// Returns the index of the first chunk that ends at or behind `position`.
    fn chunk_of(&self, position: u64) -> usize {
        self.chunks
            .partition_point(|chunk| chunk.last().is_some_and(|run| run.end < position))
    }

    fn splice(&mut self, range: ByteRange, value: Option<V>) {
        if range.is_empty() {
            return;
        }
        if self.chunks.is_empty() {
            if let Some(value) = value
                && self.few.append(range, value)
            {
                return;
            }
            let cut = Cut::of(&self.few, range, value);
            if self.few.replace(cut.first, cut.last, cut.pieces()) {
                return;
            }
            let mut chunk = Vec::with_capacity(CHUNK_LEAST);
            chunk.extend_from_slice(&self.few);
            self.few.clear();
            self.chunks.push(Arc::new(chunk));
        }
        let mut at = self.chunk_of(range.start);
        if at == self.chunks.len() {
            let Some(value) = value else { return };
            self.append(Run {
                start: range.start,
                end: range.end(),
                value,
            });
            return;
        }
        self.join_chunks(at, range.end());
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        splice_runs(chunk, range, value);
        if chunk.is_empty() {
            self.chunks.remove(at);
            return;
        }
        while self.chunks[at].len() > CHUNK_MAX {
            let chunk = Arc::make_mut(&mut self.chunks[at]);
            let rest = chunk.split_off(CHUNK_MAX / 2);
            at += 1;
            self.chunks.insert(at, Arc::new(rest));
        }
    }

    /// Adds a run behind all others, none of which it touches.
    fn append(&mut self, run: Run<V>) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_MAX => Arc::make_mut(last).push(run),
            _ => self.chunks.push(Arc::new(vec![run])),
        }
    }

    /// Moves the runs of all chunks behind `at` that begin at or before `end` into chunk `at`.
    fn join_chunks(&mut self, at: usize, end: u64) {
        let behind = self.chunks[at + 1..]
            .partition_point(|chunk| chunk.first().is_some_and(|run| run.start <= end));
        if behind == 0 {
            return;
        }
        let joined: Vec<_> = self.chunks.drain(at + 1..=at + behind).collect();
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        for other in joined {
            chunk.extend_from_slice(&other);
        }
    }
}

/// Drops the runs that both have, which are in order.
fn drop_common<V: PartialEq>(mine: &mut Vec<Run<V>>, theirs: &mut Vec<Run<V>>) {
    let mut kept = (0, 0);
    let (mut i, mut j) = (0, 0);
    while i < mine.len() || j < theirs.len() {
        match (mine.get(i), theirs.get(j)) {
            (Some(one), Some(other)) if one == other => (i, j) = (i + 1, j + 1),
            (Some(one), other) if other.is_none_or(|other| one.start <= other.start) => {
                mine.swap(kept.0, i);
                (kept.0, i) = (kept.0 + 1, i + 1);
            }
            _ => {
                theirs.swap(kept.1, j);
                (kept.1, j) = (kept.1 + 1, j + 1);
            }
        }
    }
    mine.truncate(kept.0);
    theirs.truncate(kept.1);
}

/// Adds what `runs` have and `others` do not have just so; both are in order.
fn uncovered<V: Copy + Default + PartialEq>(
    runs: &[Run<V>],
    others: &[Run<V>],
    out: &mut RangeSet,
) {
    let mut next = 0;
    for run in runs {
        while others.get(next).is_some_and(|other| other.end <= run.start) {
            next += 1;
        }
        let mut at = run.start;
        let overlapping = others[next..].iter().take_while(|o| o.start < run.end);
        for other in overlapping.filter(|other| other.value == run.value) {
            out.insert(ByteRange::between(at, other.start.max(at)));
            at = at.max(other.end);
        }
        out.insert(ByteRange::between(at.min(run.end), run.end));
    }
}

/// Gives `range` this value, or none, within sorted runs, and merges equal neighbours.
fn splice_runs<V: Copy + Default + PartialEq>(
    runs: &mut Vec<Run<V>>,
    range: ByteRange,
    value: Option<V>,
) {
    let cut = Cut::of(runs, range, value);
    let pieces = cut.pieces();
    if pieces.len() == cut.last - cut.first {
        runs[cut.first..cut.last].copy_from_slice(pieces);
    } else {
        runs.splice(cut.first..cut.last, pieces.iter().copied());
    }
}

/// Returns the indices of the first run that a range overlaps or touches, and of the first behind.
fn touched<V>(runs: &[Run<V>], start: u64, end: u64) -> (usize, usize) {
    if runs.len() > FEW {
        let first = runs.partition_point(|run| run.end < start);
        let count = runs[first..].partition_point(|run| run.start <= end);
        return (first, first + count);
    }
    // Of a few it is quicker to look at all.
    let before = runs.iter().filter(|run| run.end < start).count();
    let begun = runs.iter().filter(|run| run.start <= end).count();
    (before, begun)
}

/// What has to be done to sorted runs so that a range gets a value, or none.
struct Cut<V> {
    /// The runs from here on, up to `last`, touch the range,
    first: usize,
    last: usize,
    /// and these take their place.
    pieces: [Run<V>; 3],
    count: usize,
}

impl<V: Copy + Default + PartialEq> Cut<V> {
    fn of(runs: &[Run<V>], range: ByteRange, value: Option<V>) -> Self {
        let (mut start, mut end) = (range.start, range.end());
        let (first, last) = touched(runs, start, end);
        let mut cut = Self {
            first,
            last,
            pieces: [Run::default(); 3],
            count: 0,
        };
        let mut right = None;
        if first < last {
            let (head, tail) = (runs[first], runs[last - 1]);
            if head.start < start {
                if value == Some(head.value) {
                    start = head.start;
                } else {
                    let end = head.end.min(start);
                    cut.push(Run { end, ..head });
                }
            }
            if tail.end > end {
                if value == Some(tail.value) {
                    end = tail.end;
                } else {
                    let start = tail.start.max(end);
                    right = Some(Run { start, ..tail });
                }
            }
        }
        if let Some(value) = value {
            cut.push(Run { start, end, value });
        }
        if let Some(right) = right {
            cut.push(right);
        }
        cut
    }

    fn push(&mut self, piece: Run<V>) {
        self.pieces[self.count] = piece;
        self.count += 1;
    }

    fn pieces(&self) -> &[Run<V>] {
        &self.pieces[..self.count]
    }
}

/// A set of bytes, in ranges.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct RangeSet(RangeMap<()>);

impl RangeSet {
    pub(crate) fn of(range: ByteRange) -> Self {
        let mut out = Self::default();
        out.insert(range);
        out
    }

    pub(crate) fn insert(&mut self, range: ByteRange) {
        self.0.set(range, ());
    }

    pub(crate) fn remove(&mut self, range: ByteRange) {
        self.0.clear(range);
    }

    pub(crate) fn truncate(&mut self, end: u64) {
        self.0.truncate(end);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn runs_max(&self) -> usize {
        self.0.runs_max()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ByteRange> + '_ {
        self.0.iter().map(|run| run.range())
    }

    pub(crate) fn within(&self, range: ByteRange) -> impl Iterator<Item = ByteRange> + '_ {
        self.0.within(range).map(|run| run.range())
    }

    /// Returns the parts of `range` that are not in the set.
    pub(crate) fn gaps(&self, range: ByteRange) -> impl Iterator<Item = ByteRange> + '_ {
        self.0
            .stretches(range)
            .filter(|(_, value)| value.is_none())
            .map(|(stretch, _)| stretch)
    }

    /// Returns how many bytes are in the set.
    pub(crate) fn total(&self) -> u64 {
        self.iter().map(|range| range.len).sum()
    }

    pub(crate) fn overlaps(&self, range: ByteRange) -> bool {
        self.within(range).next().is_some()
    }

    pub(crate) fn covers(&self, range: ByteRange) -> bool {
        self.gaps(range).next().is_none()
    }

    pub(crate) fn extend(&mut self, ranges: impl IntoIterator<Item = ByteRange>) {
        for range in ranges {
            self.insert(range);
        }
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        for range in other.iter() {
            self.remove(range);
        }
    }

    /// Returns the set clipped to `size` bytes and rounded outward to whole units.
    pub(crate) fn outward(&self, size: u64, unit: u64) -> Self {
        let mut out = Self::default();
        for range in self.within(ByteRange::between(0, size)) {
            out.insert(range.outward(unit));
        }
        out
    }

    pub(crate) fn to_vec(&self) -> Vec<ByteRange> {
        self.iter().collect()
    }
}

impl FromIterator<ByteRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = ByteRange>>(ranges: I) -> Self {
        let mut out = Self::default();
        out.extend(ranges);
        out
    }
}

#[cfg(test)]
mod tests;
