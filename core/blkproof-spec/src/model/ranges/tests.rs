//! The range map against an array of values.

use super::{CHUNK_MAX, RangeMap, RangeSet};
use crate::units::ByteRange;

/// A small generator of numbers (SplitMix64), so that the tests need no dependency.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % bound
    }
}

fn assert_canonical(map: &RangeMap<u8>) {
    let runs: Vec<_> = map.iter().collect();
    for run in &runs {
        assert!(run.start < run.end);
    }
    for pair in runs.windows(2) {
        assert!(pair[0].end <= pair[1].start);
        assert!(pair[0].end < pair[1].start || pair[0].value != pair[1].value);
    }
    assert!(map.few.is_empty() || map.chunks.is_empty());
    for chunk in &map.chunks {
        assert!(!chunk.is_empty() && chunk.len() <= CHUNK_MAX);
    }
}

#[test]
fn agrees_with_an_array() {
    const SIZE: usize = 700;
    let mut numbers = Numbers(1);
    for longest in [3, 40, 700] {
        let mut map = RangeMap::default();
        let mut naive = [None; SIZE];
        let mut copies = Vec::new();
        for step in 0..3000 {
            let start = numbers.below(SIZE as u64);
            let len = numbers.below(longest).min(SIZE as u64 - start);
            let value = u8::try_from(numbers.below(4))
                .ok()
                .filter(|value| *value < 3);
            let range = ByteRange::new(start, len);
            map.splice(range, value);
            let at = usize::try_from(start).unwrap();
            naive[at..at + usize::try_from(len).unwrap()].fill(value);
            assert_canonical(&map);
            if step % 100 == 0 {
                copies.push((map.clone(), naive));
            }
        }
        copies.push((map, naive));
        for (map, naive) in copies {
            for (at, expected) in naive.iter().enumerate() {
                assert_eq!(map.lookup(at as u64).0, *expected);
            }
        }
    }
}

#[test]
fn stretches_and_cuts_cover_their_range() {
    let mut map = RangeMap::default();
    map.set(ByteRange::new(10, 10), 1);
    map.set(ByteRange::new(20, 5), 2);
    map.set(ByteRange::new(40, 5), 1);
    let stretches: Vec<_> = map.stretches(ByteRange::new(5, 37)).collect();
    assert_eq!(
        stretches,
        [
            (ByteRange::new(5, 5), None),
            (ByteRange::new(10, 10), Some(1)),
            (ByteRange::new(20, 5), Some(2)),
            (ByteRange::new(25, 15), None),
            (ByteRange::new(40, 2), Some(1)),
        ]
    );
    let cut = map.cut(ByteRange::new(15, 7));
    assert_eq!(cut.lookup(14), (None, 15));
    assert_eq!(cut.lookup(15), (Some(1), 20));
    assert_eq!(cut.lookup(22), (None, u64::MAX));
}

#[test]
fn sets_round_outward_within_the_size() {
    let mut set = RangeSet::of(ByteRange::new(100, 1));
    set.insert(ByteRange::new(1 << 20, 1 << 20));
    let rounded = set.outward((1 << 20) + 512, 65536);
    assert_eq!(
        rounded.to_vec(),
        [ByteRange::new(0, 65536), ByteRange::new(1 << 20, 65536)]
    );
    assert_eq!(rounded.total(), 131_072);
    assert!(rounded.covers(ByteRange::new(5, 100)));
    assert!(!rounded.covers(ByteRange::new(65000, 1000)));
    assert!(rounded.overlaps(ByteRange::new(65000, 1000)));
}

#[test]
fn two_maps_differ_where_their_arrays_do() {
    const SIZE: u64 = 4000;
    let mut numbers = Numbers(7);
    let mut map = RangeMap::default();
    for round in 0..200 {
        let mut other = map.clone();
        for _ in 0..numbers.below(40) {
            let range = ByteRange::new(numbers.below(SIZE), 1 + numbers.below(12));
            let value = u8::try_from(numbers.below(4)).ok();
            other.splice(range, value.filter(|value| *value < 3));
        }
        let naive: RangeSet = (0..SIZE + 12)
            .filter(|at| map.lookup(*at).0 != other.lookup(*at).0)
            .map(|at| ByteRange::new(at, 1))
            .collect();
        assert_eq!(map.difference(&other), naive.to_vec(), "round {round}");
        assert_eq!(other.difference(&map), naive.to_vec(), "round {round}");
        map = other;
    }
    assert!(map.chunks.len() > 4, "chunks are shared and split");
    assert_eq!(map.difference(&map.clone()), []);
}
