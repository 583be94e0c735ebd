//! Sets of numbers as sorted runs: what bitmaps and copiers are made of.
//!
//! A set costs what its runs cost, whatever the size of the disk: 16 TiB that are dirty throughout
//! are one run. Most sets of a scenario have a handful of runs, and most insertions extend the last
//! one or stand behind it, which is tried first.

/// A set of `u64` as disjoint runs `[start, end)` that do not touch, in ascending order.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Runs {
    runs: Vec<(u64, u64)>,
    total: u64,
}

impl Runs {
    /// Returns the set of all numbers below `end`.
    pub(crate) fn below(end: u64) -> Self {
        let mut set = Self::default();
        set.insert(0, end);
        set
    }

    /// Returns how many numbers are in the set.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the runs in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().copied()
    }

    /// Puts the numbers from `start` up to `end` in.
    pub(crate) fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if start <= last.1 => {
                if start < last.0 {
                    self.splice(start, end);
                } else if end > last.1 {
                    self.total += end - last.1;
                    last.1 = end;
                }
            }
            _ => {
                self.runs.push((start, end));
                self.total += end - start;
            }
        }
    }

    /// Puts a run in that starts before the last one.
    fn splice(&mut self, start: u64, end: u64) {
        let first = self.runs.partition_point(|run| run.1 < start);
        let behind = first + self.runs[first..].partition_point(|run| run.0 <= end);
        if first == behind {
            self.runs.insert(first, (start, end));
            self.total += end - start;
            return;
        }
        let merged = (
            start.min(self.runs[first].0),
            end.max(self.runs[behind - 1].1),
        );
        let had: u64 = self.runs[first..behind]
            .iter()
            .map(|run| run.1 - run.0)
            .sum();
        self.total += merged.1 - merged.0 - had;
        self.runs[first] = merged;
        self.runs.drain(first + 1..behind);
    }

    /// Takes the numbers from `start` up to `end` out.
    pub(crate) fn remove(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let first = self.runs.partition_point(|run| run.1 <= start);
        let behind = first + self.runs[first..].partition_point(|run| run.0 < end);
        if first == behind {
            return;
        }
        let left = (self.runs[first].0, start);
        let right = (end, self.runs[behind - 1].1);
        let had: u64 = self.runs[first..behind]
            .iter()
            .map(|run| run.1 - run.0)
            .sum();
        let kept = [left, right].into_iter().filter(|run| run.0 < run.1);
        self.total = self.total - had + kept.clone().map(|run| run.1 - run.0).sum::<u64>();
        self.runs.splice(first..behind, kept);
    }

    /// Returns the part from `from` on of the first run that reaches behind `from`.
    pub(crate) fn first_from(&self, from: u64) -> Option<(u64, u64)> {
        let index = self.runs.partition_point(|run| run.1 <= from);
        self.runs
            .get(index)
            .map(|&(start, end)| (start.max(from), end))
    }

    /// Puts in what `other` holds, where one of its numbers stands for `from` bytes and one of
    /// these for `to` bytes: every number whose bytes intersect those of a number of `other`.
    pub(crate) fn insert_scaled(&mut self, other: &Self, from: u64, to: u64) {
        for (start, end) in other.iter() {
            let (first, last) = (start.saturating_mul(from), end.saturating_mul(from));
            self.insert(first / to, last.div_ceil(to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Runs;

    fn set(runs: &[(u64, u64)]) -> Runs {
        let mut set = Runs::default();
        for &(start, end) in runs {
            set.insert(start, end);
        }
        set
    }

    #[test]
    fn runs_that_touch_become_one() {
        assert_eq!(set(&[(4, 6), (0, 2), (2, 4)]), Runs::below(6));
        assert_eq!(set(&[(0, 1), (2, 3), (4, 5), (1, 4)]).total(), 5);
        assert_eq!(set(&[(3, 3)]), Runs::default());
    }

    #[test]
    fn a_removal_splits_a_run() {
        let mut runs = Runs::below(10);
        runs.remove(3, 5);
        assert_eq!(runs.iter().collect::<Vec<_>>(), [(0, 3), (5, 10)]);
        assert_eq!(runs.total(), 8);
        runs.remove(0, 20);
        assert_eq!(runs.first_from(0), None);
        assert_eq!(runs.total(), 0);
    }

    #[test]
    fn the_first_run_from_within_a_run_is_its_rest() {
        let runs = set(&[(2, 4), (8, 9)]);
        assert_eq!(runs.first_from(3), Some((3, 4)));
        assert_eq!(runs.first_from(4), Some((8, 9)));
        assert_eq!(runs.first_from(9), None);
    }

    #[test]
    fn scaling_rounds_outward() {
        let mut coarse = Runs::default();
        coarse.insert_scaled(&set(&[(25, 26)]), 4096, 65536);
        assert_eq!(coarse.iter().collect::<Vec<_>>(), [(1, 2)]);
        let mut fine = Runs::default();
        fine.insert_scaled(&coarse, 65536, 4096);
        assert_eq!(fine.iter().collect::<Vec<_>>(), [(16, 32)]);
    }
}
