//! A set of byte ranges, kept merged.

use std::collections::BTreeMap;

use blkproof_spec::ByteRange;

/// A set of bytes that lie in runs.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct RangeSet(BTreeMap<u64, u64>);

impl RangeSet {
    /// Adds all bytes of `range`.
    pub fn insert(&mut self, range: ByteRange) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end());
        while let Some((&run_start, &run_end)) = self.0.range(..=end).next_back() {
            if run_end < start {
                break;
            }
            self.0.remove(&run_start);
            start = start.min(run_start);
            end = end.max(run_end);
        }
        self.0.insert(start, end);
    }

    /// Takes all bytes of `range` out.
    pub fn remove(&mut self, range: ByteRange) {
        while let Some((&start, &end)) = self.0.range(..range.end()).next_back()
            && end > range.start
            && !range.is_empty()
        {
            self.0.remove(&start);
            self.insert(ByteRange::between(start, range.start));
            self.insert(ByteRange::between(range.end(), end));
        }
    }

    /// Returns how many bytes are in.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Tells whether the byte at `position` is in.
    #[must_use]
    pub fn contains(&self, position: u64) -> bool {
        self.runs(ByteRange::new(position, 1)).next().is_some()
    }

    /// Returns the runs that are in, clipped to `range`, in order.
    pub fn runs(&self, range: ByteRange) -> impl Iterator<Item = ByteRange> + '_ {
        let before = self.0.range(..range.start).next_back();
        let within = self.0.range(range.start..range.end().max(range.start));
        before
            .into_iter()
            .chain(within)
            .map(move |(start, end)| ByteRange::between(*start, *end).intersect(range))
            .filter(|run| !run.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_leaves_both_sides() {
        let mut set = RangeSet::default();
        set.insert(ByteRange::new(10, 20));
        set.insert(ByteRange::new(40, 10));
        set.remove(ByteRange::new(15, 0));
        set.remove(ByteRange::new(30, 10));
        assert_eq!(set.runs(ByteRange::new(0, 100)).count(), 2);
        set.remove(ByteRange::new(15, 5));
        set.remove(ByteRange::new(25, 20));
        let runs: Vec<_> = set.runs(ByteRange::new(0, 100)).collect();
        let left = [(10, 5), (20, 5), (45, 5)];
        assert_eq!(runs, left.map(|(start, len)| ByteRange::new(start, len)));
        assert_eq!(set.total(), 15);
    }

    #[test]
    fn neighbours_merge_and_gaps_stay() {
        let mut set = RangeSet::default();
        for (start, len) in [(10, 5), (20, 5), (15, 5), (40, 0), (30, 2)] {
            set.insert(ByteRange::new(start, len));
        }
        let runs: Vec<_> = set.runs(ByteRange::new(12, 19)).collect();
        assert_eq!(runs, [ByteRange::new(12, 13), ByteRange::new(30, 1)]);
        assert!(set.contains(24) && !set.contains(25) && !set.contains(40));
        set.insert(ByteRange::new(0, 100));
        assert_eq!(set.runs(ByteRange::new(0, 200)).count(), 1);
    }
}
