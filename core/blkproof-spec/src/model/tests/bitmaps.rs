//! Dirty bitmaps: counts that QEMU was seen to report, and a naive account.

use super::{K, M, Stage, add, bitmap, device, disk, firing, read, report, write};
use crate::content::{Bytes, DiskId, WriteNumber};
use crate::errno::Errno;
use crate::fault::IoType;
use crate::model::Observation;
use crate::model::bitmaps::Track;
use crate::property::Property::{DirtyPrecise, DirtySound};
use crate::reply::Reply;
use crate::step::{Action, BitmapCommand};
use crate::units::{ByteRange, Length};

fn granules(parts: &[(u64, u64)]) -> Vec<ByteRange> {
    parts
        .iter()
        .map(|(start, len)| ByteRange::new(*start, *len))
        .collect()
}

/// The writes of golden numbers G1 and G10.
fn first_round(stage: &mut Stage) {
    stage.done(&write(0, 512), &[]);
    stage.done(&write(16 * M, 256 * K), &[]);
    stage.done(&write(32736 * K, 64 * K), &[]);
}

#[test]
fn counts_in_whole_granules() {
    for (granularity, count) in [(64 * K, 458_752), (128 * K, 655_360), (32 * K, 7 * 64 * K)] {
        let mut stage = Stage::new(vec![disk("d", 64 * M)]);
        stage.done(&add("b", Some(granularity)), &[]);
        first_round(&mut stage);
        let view = stage.model.bitmaps().next().unwrap();
        let expected = if granularity == 32 * K {
            // One granule of 32 KiB where the others have one of 64 KiB, and no rounding elsewhere.
            32 * K + 256 * K + 64 * K
        } else {
            count
        };
        assert_eq!(view.dirty, expected);
    }
}

#[test]
fn a_granule_too_few_is_unsound_and_one_too_many_imprecise() {
    let mut stage = Stage::new(vec![disk("d", 64 * M)]);
    stage.done(&add("b", None), &[]);
    first_round(&mut stage);
    let right = granules(&[(0, 64 * K), (16 * M, 256 * K), (32704 * K, 128 * K)]);
    assert_eq!(stage.report(report(&right)), []);
    assert_eq!(stage.report(report(&right[..2])), [DirtySound]);
    let mut more = right.clone();
    more.push(ByteRange::new(60 * M, 64 * K));
    assert_eq!(stage.report(report(&more)), [DirtyPrecise]);
}

#[test]
fn discards_and_zeroes_dirty_and_zero_length_does_not() {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&add("b", None), &[]);
    let guest = |op| Action::Guest {
        at: device("d"),
        op,
    };
    let range = ByteRange::new(100 * K, 60 * K);
    stage.done(&guest(crate::step::GuestOp::Discard { range }), &[]);
    stage.done(&write(512 * K, 0), &[]);
    let dirty = granules(&[(64 * K, 128 * K)]);
    assert_eq!(stage.report(report(&dirty)), []);
    let range = ByteRange::new(M - 512, 512);
    let zeroes = crate::step::GuestOp::WriteZeroes { range, unmap: true };
    stage.done(&guest(zeroes), &[]);
    let dirty = granules(&[(64 * K, 128 * K), (M - 64 * K, 64 * K)]);
    assert_eq!(stage.report(report(&dirty)), []);
}

#[test]
fn merges_round_outward() {
    // G20: 1 KiB at 100 KiB, merged upwards, down again, and up to 1 MiB.
    let mut stage = Stage::new(vec![disk("d", 4 * M)]);
    stage.done(&add("fine", Some(4 * K)), &[]);
    stage.done(&write(100 * K, K), &[]);
    for (name, granularity) in [("b", 64 * K), ("back", 4 * K), ("coarse", M)] {
        stage.done(&add(name, Some(granularity)), &[]);
    }
    let merge = |from: &str| BitmapCommand::Merge {
        sources: vec![(None, from.into())],
    };
    stage.done(&bitmap("b", merge("fine")), &[]);
    stage.done(&bitmap("back", merge("b")), &[]);
    stage.done(&bitmap("coarse", merge("back")), &[]);
    let dirty: Vec<_> = stage.model.bitmaps().map(|bitmap| bitmap.dirty).collect();
    assert_eq!(dirty, [4096, 65536, 65536, 1_048_576]);
}

#[test]
fn a_regrown_range_is_dirty_and_a_grown_one_is_not() {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&add("b", None), &[]);
    let resize = |size| Action::Resize {
        at: device("d"),
        size: Length(size),
    };
    stage.done(&resize(2 * M), &[]);
    assert_eq!(stage.report(report(&[])), []);
    stage.done(&resize(512 * K), &[]);
    assert_eq!(stage.report(report(&[])), []);
    stage.done(&resize(3 * M), &[]);
    let dirty = granules(&[(512 * K, 2 * M - 512 * K)]);
    assert_eq!(stage.report(report(&dirty)), []);
    assert_eq!(stage.report(report(&[])), [DirtySound]);
}

#[test]
fn a_failed_write_may_be_dirty_until_a_read_tells() {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&add("b", None), &[]);
    let fired = [firing("d", IoType::Write, Errno::EIO)];
    let seen = Observation {
        fired: &fired,
        ..Observation::of(Reply::Failed(Errno::EIO))
    };
    stage.show(&write(0, K), &seen);
    assert_eq!(stage.said.violations, []);
    // No job's filter was above the disk: the write reached it.
    assert_eq!(stage.report(report(&[])), [DirtySound]);

    let mut data = vec![0; 1024];
    let new = Bytes::Stamp {
        disk: DiskId(0),
        write: WriteNumber(2),
    };
    new.generate(512, &mut data[512..]);
    let seen = Observation {
        data: &data,
        ..Observation::of(Reply::Done)
    };
    stage.show(&read(0, K), &seen);
    assert_eq!(stage.said.violations, []);
    // Each sector is pinned by now: neither may change again.
    let zeroes = vec![0; 1024];
    let seen = Observation {
        data: &zeroes,
        ..Observation::of(Reply::Done)
    };
    stage.show(&read(0, K), &seen);
    assert!(!stage.said.violations.is_empty());
}

/// Bits of 512 bytes each, changed one by one.
struct Naive {
    bits: Vec<bool>,
    high: u64,
}

impl Naive {
    fn set(&mut self, start: u64, end: u64, unit: u64) {
        let (start, end) = (start / unit, end.div_ceil(unit));
        for index in start..end {
            let index = usize::try_from(index).unwrap();
            if index >= self.bits.len() {
                self.bits.resize(index + 1, false);
            }
            self.bits[index] = true;
        }
    }
}

#[test]
fn tracks_agree_with_single_bits() {
    const UNIT: u64 = 1024;
    let mut seed = 5_u64;
    let mut number = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % bound
    };
    let mut size = 20 * UNIT;
    let mut track = Track::new(true, 0, size);
    let mut naive = Naive {
        bits: Vec::new(),
        high: size,
    };
    for _ in 0..5000 {
        if number(10) < 8 {
            let start = number(size + 1);
            let len = number(3 * UNIT).min(size - start);
            if len > 0 {
                track.dirty(ByteRange::new(start, len).outward(UNIT));
                naive.set(start, start + len, UNIT);
            }
        } else {
            let new = number(40) * 512;
            track.resize(size, new, UNIT);
            let kept = usize::try_from(new.div_ceil(UNIT)).unwrap();
            naive.bits.truncate(kept);
            if new > size && naive.high > size {
                naive.set(size, new.min(naive.high), UNIT);
            }
            naive.high = naive.high.max(new);
            size = new;
        }
        for (index, bit) in naive.bits.iter().enumerate() {
            let at = index as u64 * UNIT;
            assert_eq!(track.must.covers(ByteRange::new(at, UNIT)), *bit);
        }
        let count = naive.bits.iter().filter(|bit| **bit).count() as u64;
        assert_eq!(track.count(), (count * UNIT, count * UNIT));
    }
}
