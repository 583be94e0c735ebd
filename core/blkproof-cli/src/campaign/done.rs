//! Which cases of a campaign are judged.

use serde::{Deserialize, Serialize};

/// A set of numbers, kept as ranges: of a campaign that runs, all numbers up to some, and few
/// beyond that other threads have judged already.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(crate) struct Done {
    /// From the first number of each to the one behind its last; ascending, with gaps between them.
    ranges: Vec<(u64, u64)>,
}

impl Done {
    /// Adds a number; returns whether it was not there.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        let at = self.ranges.partition_point(|range| range.1 < number);
        match self.ranges.get_mut(at) {
            Some(range) if (range.0..range.1).contains(&number) => return false,
            Some(range) if range.1 == number => range.1 += 1,
            Some(range) if range.0 == number + 1 => range.0 = number,
            _ => self.ranges.insert(at, (number, number + 1)),
        }
        if let Some(&(start, end)) = self.ranges.get(at + 1)
            && self.ranges[at].1 == start
        {
            self.ranges[at].1 = end;
            self.ranges.remove(at + 1);
        }
        true
    }

    /// Tells whether a number is there.
    pub(crate) fn contains(&self, number: u64) -> bool {
        let at = self.ranges.partition_point(|range| range.1 <= number);
        self.ranges.get(at).is_some_and(|range| range.0 <= number)
    }

    /// How many numbers there are.
    pub(crate) fn len(&self) -> u64 {
        self.ranges.iter().map(|(start, end)| end - start).sum()
    }

    /// The smallest number that is not there.
    pub(crate) fn first_gap(&self) -> u64 {
        match self.ranges.first() {
            Some(&(0, end)) => end,
            _ => 0,
        }
    }

    /// Tells whether no number is missing below the largest one.
    pub(crate) fn is_whole(&self) -> bool {
        self.first_gap() == self.end()
    }

    /// The number behind the largest one.
    pub(crate) fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |range| range.1)
    }
}

impl TryFrom<Vec<(u64, u64)>> for Done {
    type Error = &'static str;

    fn try_from(ranges: Vec<(u64, u64)>) -> Result<Self, Self::Error> {
        let filled = ranges.iter().all(|(start, end)| start < end);
        let apart = ranges.windows(2).all(|pair| pair[0].1 < pair[1].0);
        if filled && apart {
            Ok(Self { ranges })
        } else {
            Err("expected ascending ranges with gaps between them")
        }
    }
}

impl From<Done> for Vec<(u64, u64)> {
    fn from(done: Done) -> Self {
        done.ranges
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Done;

    #[test]
    fn a_set_of_ranges_is_a_set() {
        let mut seed = 3_u64;
        for _ in 0..200 {
            let mut done = Done::default();
            let mut plain = BTreeSet::new();
            for _ in 0..60 {
                seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let number = (seed >> 40) % 40;
                assert_eq!(done.insert(number), plain.insert(number));
                assert_eq!(done.len(), plain.len() as u64);
                assert_eq!(done.end(), plain.last().map_or(0, |last| last + 1));
                let gap = (0..).find(|number| !plain.contains(number));
                assert_eq!(Some(done.first_gap()), gap);
                assert_eq!(done.is_whole(), done.end() == done.len());
                for number in 0..41 {
                    assert_eq!(done.contains(number), plain.contains(&number), "{done:?}");
                }
            }
            let ranges: Vec<_> = done.clone().into();
            assert_eq!(Done::try_from(ranges), Ok(done));
        }
    }

    #[test]
    fn what_is_no_set_of_ranges_is_refused() {
        for bad in [
            vec![(1, 1)],
            vec![(2, 1)],
            vec![(0, 2), (2, 3)],
            vec![(5, 6), (1, 2)],
        ] {
            assert!(Done::try_from(bad.clone()).is_err(), "{bad:?}");
        }
        assert!(Done::try_from(vec![]).is_ok());
    }
}
