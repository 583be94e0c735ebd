use blkproof_spec::{BitmapName, ByteRange, Refusal};
use proptest::prelude::*;

use super::{Bitmap, check_granularity};
use crate::bugs::Bugs;

const SIZE: u64 = 64 * 512;

#[test]
fn granularities_are_powers_of_two_that_fit_32_bits() {
    assert_eq!(check_granularity(512), Ok(512));
    assert_eq!(check_granularity(1 << 31), Ok(1 << 31));
    assert_eq!(check_granularity(64000), Err(Refusal::BadGranularity));
    assert_eq!(check_granularity(256), Err(Refusal::BadGranularity));
    assert_eq!(check_granularity(0), Err(Refusal::BadGranularity));
    assert_eq!(
        check_granularity(1 << 32),
        Err(Refusal::GranularityTooLarge)
    );
}

#[test]
fn a_disabled_bitmap_stays_as_it_is_through_a_job() {
    let mut bitmap = Bitmap::new(BitmapName::new("b"), 512, true, SIZE, Bugs::NONE);
    bitmap.record(ByteRange::new(0, 1));
    bitmap.enabled = false;
    bitmap.freeze();
    bitmap.record(ByteRange::new(4096, 512));
    bitmap.reclaim();
    assert_eq!((bitmap.count(), bitmap.enabled), (512, false));
    bitmap.freeze();
    bitmap.sync(SIZE);
    assert_eq!((bitmap.count(), bitmap.enabled), (0, false));
}

/// What a bitmap is, written down as plainly as can be.
#[derive(Clone)]
struct Naive {
    granularity: u64,
    size: u64,
    dirty: Vec<bool>,
    successor: Option<Vec<bool>>,
    peak: u64,
}

impl Naive {
    fn new(granularity: u64, size: u64) -> Self {
        let mut naive = Self {
            granularity,
            size,
            dirty: Vec::new(),
            successor: None,
            peak: size,
        };
        naive.dirty = vec![false; naive.granules()];
        naive
    }

    fn granules(&self) -> usize {
        usize::try_from(self.size.div_ceil(self.granularity)).unwrap()
    }

    fn record(&mut self, range: ByteRange) {
        let granularity = self.granularity;
        let dirty = self.successor.as_mut().unwrap_or(&mut self.dirty);
        for (index, bit) in dirty.iter_mut().enumerate() {
            let granule = ByteRange::new(index as u64 * granularity, granularity);
            *bit |= granule.overlaps(range);
        }
    }

    fn resize(&mut self, size: u64) {
        let old = std::mem::replace(&mut self.size, size);
        let granules = self.granules();
        self.dirty.resize(granules, false);
        if let Some(successor) = &mut self.successor {
            successor.resize(granules, false);
        }
        self.record(ByteRange::between(old, size.min(self.peak)));
        self.peak = self.peak.max(size);
    }

    fn merge(&mut self, other: &Self) {
        let dirty: Vec<usize> = (0..other.dirty.len())
            .filter(|&index| other.dirty[index])
            .collect();
        for index in dirty {
            let start = index as u64 * other.granularity;
            let end = (start + other.granularity).min(other.size);
            for granule in start / self.granularity..end.div_ceil(self.granularity) {
                self.dirty[usize::try_from(granule).unwrap()] = true;
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Record(u64, u64),
    Freeze,
    Sync,
    Reclaim,
    Resize(u64),
    Merge(Vec<(u64, u64)>, u32),
}

fn range() -> impl Strategy<Value = (u64, u64)> {
    (0..SIZE, 0..SIZE / 4)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => range().prop_map(|(start, len)| Op::Record(start, len)),
        1 => Just(Op::Freeze),
        1 => Just(Op::Sync),
        1 => Just(Op::Reclaim),
        1 => (1..=SIZE / 512).prop_map(|sectors| Op::Resize(sectors * 512)),
        1 => (prop::collection::vec(range(), 0..4), 9_u32..13)
            .prop_map(|(writes, bits)| Op::Merge(writes, bits)),
    ]
}

fn apply(op: &Op, bitmap: &mut Bitmap, naive: &mut Naive) {
    let clip = |start: u64, len: u64, size: u64| {
        let start = start.min(size);
        ByteRange::new(start, len.min(size - start))
    };
    match op {
        Op::Record(start, len) => {
            let range = clip(*start, *len, naive.size);
            bitmap.record(range);
            naive.record(range);
        }
        Op::Freeze if naive.successor.is_none() => {
            bitmap.freeze();
            naive.successor = Some(vec![false; naive.granules()]);
        }
        Op::Sync => {
            bitmap.sync(naive.size);
            naive.peak = naive.size;
            if let Some(successor) = naive.successor.take() {
                naive.dirty = successor;
            }
        }
        Op::Reclaim => {
            bitmap.reclaim();
            let successor = naive.successor.take().unwrap_or_default();
            for (bit, new) in naive.dirty.iter_mut().zip(successor) {
                *bit |= new;
            }
        }
        Op::Resize(size) => {
            bitmap.resize(naive.size, *size);
            naive.resize(*size);
        }
        Op::Merge(writes, bits) => merge(writes, 1 << bits, bitmap, naive),
        Op::Freeze => {}
    }
}

fn merge(writes: &[(u64, u64)], granularity: u64, bitmap: &mut Bitmap, naive: &mut Naive) {
    let mut other = Bitmap::new(
        BitmapName::new("other"),
        granularity,
        true,
        naive.size,
        Bugs::NONE,
    );
    let mut plain = Naive::new(granularity, naive.size);
    for &(start, len) in writes {
        let start = start.min(naive.size);
        let range = ByteRange::new(start, len.min(naive.size - start));
        other.record(range);
        plain.record(range);
    }
    bitmap.merge(&other, naive.size);
    naive.merge(&plain);
}

proptest! {
    #[test]
    fn bitmaps_equal_their_naive_twin(
        bits in 9_u32..14,
        ops in prop::collection::vec(op(), 0..40),
    ) {
        let granularity = 1 << bits;
        let mut bitmap = Bitmap::new(BitmapName::new("b"), granularity, true, SIZE, Bugs::NONE);
        let mut naive = Naive::new(granularity, SIZE);
        for op in &ops {
            apply(op, &mut bitmap, &mut naive);
            let seen: Vec<bool> = (0..naive.granules() as u64)
                .map(|granule| bitmap.dirty.first_from(granule).is_some_and(|run| run.0 == granule))
                .collect();
            prop_assert_eq!(&seen, &naive.dirty);
            let count = naive.dirty.iter().filter(|bit| **bit).count() as u64;
            prop_assert_eq!(bitmap.count(), count * granularity);
        }
    }
}
