//! A partition of a disk into stretches of equal state.

use blkproof_spec::ByteRange;

/// Stretches that follow each other without a gap, each with its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cells<T> {
    /// Where each stretch begins, in order; the first one at 0.
    stretches: Vec<(u64, T)>,
    end: u64,
}

impl<T: Clone + PartialEq> Cells<T> {
    /// Makes a partition of `len` bytes, all in this state.
    pub(super) fn new(len: u64, state: T) -> Self {
        Self {
            stretches: vec![(0, state)],
            end: len,
        }
    }

    /// Makes it longer; what is new is in this state.
    pub(super) fn extend(&mut self, len: u64, state: T) {
        if len > self.end {
            self.stretches.push((self.end, state));
            self.end = len;
        }
    }

    /// Changes the state of every byte of `range`, which is cut at the end.
    pub(super) fn update(&mut self, range: ByteRange, mut change: impl FnMut(&mut T)) {
        let range = range.intersect(ByteRange::between(0, self.end));
        if range.is_empty() {
            return;
        }
        self.split(range.start);
        self.split(range.end());
        for (start, state) in &mut self.stretches {
            if range.contains(*start) {
                change(state);
            }
        }
        self.stretches.dedup_by(|next, before| next.1 == before.1);
    }

    /// Changes the state of every byte.
    pub(super) fn update_all(&mut self, change: impl FnMut(&mut T)) {
        self.update(ByteRange::between(0, self.end), change);
    }

    /// Returns the stretches within `range`, clipped to it.
    pub(super) fn within(&self, range: ByteRange) -> impl Iterator<Item = (ByteRange, &T)> {
        let ends = self.stretches.iter().skip(1).map(|(start, _)| *start);
        let ends = ends.chain([self.end]);
        let all = self.stretches.iter().zip(ends);
        let all = all.map(|((start, state), end)| (ByteRange::between(*start, end), state));
        all.map(move |(stretch, state)| (stretch.intersect(range), state))
            .filter(|(stretch, _)| !stretch.is_empty())
    }

    fn split(&mut self, position: u64) {
        let behind = self
            .stretches
            .partition_point(|(start, _)| *start < position);
        let begins = self.stretches.get(behind).map(|(start, _)| *start);
        if position >= self.end || begins == Some(position) {
            return;
        }
        if let Some((_, state)) = behind.checked_sub(1).and_then(|at| self.stretches.get(at)) {
            let state = state.clone();
            self.stretches.insert(behind, (position, state));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(cells: &Cells<u32>) -> Vec<(u64, u64, u32)> {
        let all = cells.within(ByteRange::between(0, u64::MAX));
        all.map(|(range, state)| (range.start, range.end(), *state))
            .collect()
    }

    #[test]
    fn changes_split_and_join_stretches() {
        let mut cells = Cells::new(100, 0);
        cells.update(ByteRange::new(10, 20), |state| *state = 1);
        assert_eq!(seen(&cells), [(0, 10, 0), (10, 30, 1), (30, 100, 0)]);
        cells.update(ByteRange::new(20, 20), |state| *state += 1);
        let states = [
            (0, 10, 0),
            (10, 20, 1),
            (20, 30, 2),
            (30, 40, 1),
            (40, 100, 0),
        ];
        assert_eq!(seen(&cells), states);
        cells.update(ByteRange::new(90, 90), |state| *state = 7);
        cells.extend(120, 7);
        cells.update_all(|state| *state = 3);
        assert_eq!(seen(&cells), [(0, 120, 3)]);
    }

    #[test]
    fn a_part_is_clipped() {
        let mut cells = Cells::new(100, 0);
        cells.update(ByteRange::new(50, 50), |state| *state = 1);
        let part: Vec<_> = cells.within(ByteRange::new(40, 20)).collect();
        let wanted = [(ByteRange::new(40, 10), &0), (ByteRange::new(50, 10), &1)];
        assert_eq!(part, wanted);
    }
}
