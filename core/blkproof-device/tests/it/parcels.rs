//! Requests that share pages against the same requests with bytes.

use blkproof_device::{
    BlockDevice, Durability, IoError, KeptPage, Load, MemDisk, MemStore, Parcel, Piece, Pool, Store,
};
use blkproof_spec::fault::{Effect, Extended, Kept, Rule, When};
use blkproof_spec::power::{Cache, Lost, PowerCut};
use blkproof_spec::{ByteRange, Errno, FaultRule, ImageName, Length, Millis, Offset};
use proptest::prelude::*;

use crate::cases::cases;
use crate::program::{at_file, iotypes, rule};

const SIZE: u64 = 64 << 10;

/// What is done to a disk: reads into parcels, and writes of all that a write can put down.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Reads a range, and writes what was read at another place.
    Copy(ByteRange, u64),
    /// Writes bytes that are made where they come to lie.
    Made(ByteRange, u8),
    /// Writes a part of what was read last, which may not lie there any more.
    Again(ByteRange, u64),
    Zeroes(ByteRange),
    Flush,
}

fn range() -> impl Strategy<Value = ByteRange> {
    let sectors = (0..100_u64, 1..28_u64).prop_map(|(start, len)| (start * 512, len * 512));
    let pages = (0..12_u64, 1..4_u64).prop_map(|(start, len)| (start * 4096, len * 4096));
    prop_oneof![sectors, pages].prop_map(|(start, len)| ByteRange::new(start, len))
}

fn position() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..100_u64).prop_map(|sector| sector * 512),
        (0..12_u64).prop_map(|page| page * 4096)
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let byte = prop_oneof![Just(0), 1..4_u8];
    prop_oneof![
        4 => (range(), position()).prop_map(|(range, to)| Op::Copy(range, to)),
        4 => (range(), byte).prop_map(|(range, byte)| Op::Made(range, byte)),
        2 => (range(), position()).prop_map(|(range, to)| Op::Again(range, to)),
        1 => range().prop_map(Op::Zeroes),
        1 => Just(Op::Flush),
    ]
}

fn effect() -> impl Strategy<Value = Effect> {
    prop::sample::select(vec![
        Effect::Error(Errno::EIO),
        Effect::Delay(Millis(5)),
        Effect::Partial {
            bytes: 3000,
            errno: Errno::EIO,
        },
        Effect::Torn {
            kept: Kept::Right,
            errno: Errno::EIO,
        },
        Effect::AppliedButFailed(Errno::EIO),
        Effect::Misdirected { by: 4096 },
        Effect::Misdirected { by: -512 },
        Effect::Phantom,
        Effect::BitRot { seed: 3 },
        Effect::StaleRead,
        Effect::Capacity { bytes: 30_000 },
    ])
}

fn extended() -> impl Strategy<Value = Rule> {
    let when = prop_oneof![
        Just(When::Always),
        (1..5_u64).prop_map(When::Nth),
        (1..5_u64).prop_map(When::Every)
    ];
    (iotypes(), prop::option::of(range()), when, effect()).prop_map(
        |(iotypes, range, when, effect)| {
            Rule::Extended(Extended {
                iotypes,
                range,
                when,
                effect,
            })
        },
    )
}

fn rules() -> impl Strategy<Value = Vec<FaultRule>> {
    let any = prop_oneof![2 => extended(), 1 => rule()];
    prop::collection::vec(any.prop_map(at_file), 0..4)
}

fn stamp(position: u64, byte: u8) -> u8 {
    match byte {
        0 => 0,
        byte => byte ^ u8::try_from(position / 512 % 256).unwrap(),
    }
}

/// Clips a range to the first `len` bytes.
fn within(range: ByteRange, len: u64) -> ByteRange {
    ByteRange::between(range.start.min(len), range.end().min(len))
}

fn made(byte: u8) -> impl Fn(u64, &mut [u8]) {
    move |position, buf| {
        for (index, out) in buf.iter_mut().enumerate() {
            *out = stamp(position + index as u64, byte);
        }
    }
}

/// A disk in a store, with what was last read of it.
struct Bench {
    store: MemStore,
    device: Box<dyn BlockDevice>,
    parcel: Parcel,
    bytes: Vec<u8>,
}

fn name() -> ImageName {
    ImageName::new("d")
}

impl Bench {
    fn new(rules: &[FaultRule], caching: bool) -> Self {
        let mut store = MemStore::new(&Pool::new());
        for rule in rules {
            store.install(rule);
        }
        let device = store.create(&name(), Length(SIZE)).unwrap();
        if caching {
            store.set_caching(true);
        }
        Self {
            store,
            device,
            parcel: Parcel::new(),
            bytes: Vec::new(),
        }
    }

    /// Carries an operation out with parcels.
    fn by_parcel(&mut self, op: Op) -> Result<(), IoError> {
        let later = Durability::Later;
        match op {
            Op::Copy(range, to) => {
                self.parcel.clear();
                if let Err(error) = self.device.read_parcel(range, &mut self.parcel) {
                    self.parcel.clear();
                    return Err(error);
                }
                assert_eq!(self.parcel.len(), range.len);
                let load = Load::whole(&self.parcel);
                self.device.write_load(Offset(to), load, later)
            }
            Op::Made(range, byte) => {
                let load = Load::Made(&made(byte), range);
                self.device.write_load(Offset(range.start), load, later)
            }
            Op::Again(part, to) => {
                let part = within(part, self.parcel.len());
                let load = Load::whole(&self.parcel).part(part.start, part.len);
                self.device.write_load(Offset(to), load, later)
            }
            Op::Zeroes(range) => self.device.write_zeroes(range, true),
            Op::Flush => self.device.flush(),
        }
    }

    /// Carries an operation out with bytes.
    fn by_bytes(&mut self, op: Op) -> Result<(), IoError> {
        let later = Durability::Later;
        let index = |position: u64| usize::try_from(position).unwrap();
        match op {
            Op::Copy(range, to) => {
                self.bytes.resize(index(range.len), 0xee);
                let read = self.device.read_at(Offset(range.start), &mut self.bytes);
                if let Err(error) = read {
                    self.bytes.clear();
                    return Err(error);
                }
                self.device.write_at(Offset(to), &self.bytes, later)
            }
            Op::Made(range, byte) => {
                let mut data = vec![0xee; index(range.len)];
                made(byte)(range.start, &mut data);
                self.device.write_at(Offset(range.start), &data, later)
            }
            Op::Again(part, to) => {
                let part = within(part, self.bytes.len() as u64);
                let data = &self.bytes[index(part.start)..index(part.end())];
                self.device.write_at(Offset(to), data, later)
            }
            Op::Zeroes(range) => self.device.write_zeroes(range, true),
            Op::Flush => self.device.flush(),
        }
    }

    /// Returns all that can be seen of the disk afterwards.
    fn seen(&mut self) -> impl PartialEq + core::fmt::Debug + use<> {
        let mut ledger = Vec::new();
        self.store.drain_ledger(&mut ledger);
        let mut trace = Vec::new();
        self.store.drain_trace(&mut trace);
        let mut disk = self.store.snapshot(&name()).unwrap();
        let mut contents = vec![0; usize::try_from(disk.size().0).unwrap()];
        disk.read_at(Offset(0), &mut contents).unwrap();
        let mut kinds = Vec::new();
        let mut at = 0;
        while at < disk.size().0 {
            let status = disk
                .block_status(ByteRange::between(at, disk.size().0))
                .unwrap();
            kinds.push((at, status.kind));
            at += status.len.0;
        }
        let counters = self.store.counters(&name()).unwrap();
        let version = self.store.version(&name()).unwrap();
        let counts = self.store.rule_counts();
        (ledger, trace, contents, kinds, (counters, version, counts))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(256)))]

    #[test]
    fn rules_caches_and_traces_see_what_pages_carry(
        rules in rules(),
        ops in prop::collection::vec(op(), 1..24),
        caching in prop::bool::weighted(0.2),
        tracing in prop::bool::weighted(0.2),
    ) {
        let mut parcels = Bench::new(&rules, caching);
        let mut bytes = Bench::new(&rules, caching);
        for bench in [&parcels, &bytes] {
            bench.store.set_tracing(tracing);
        }
        for (number, op) in ops.into_iter().enumerate() {
            prop_assert_eq!(parcels.by_parcel(op), bytes.by_bytes(op), "{}: {:?}", number, op);
            prop_assert_eq!(&flat(&parcels.parcel), &bytes.bytes, "{}: {:?}", number, op);
        }
        prop_assert_eq!(parcels.seen(), bytes.seen());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(256)))]

    #[test]
    fn a_page_that_is_kept_changes_no_more(
        rules in rules(),
        ops in prop::collection::vec(op(), 1..24),
        caching in any::<bool>(),
        lost in 1..6_u64,
        size in 0..2 * SIZE,
    ) {
        let mut bench = Bench::new(&rules, caching);
        let mut kept = Vec::new();
        for op in ops {
            // How it ended makes no difference: any part of it may have been done.
            let _ = bench.by_parcel(op);
            keep(&bench, &mut kept);
        }
        let mut plain = bench.store.plain(&name()).unwrap();
        plain.write_at(Offset(4000), &[0xaa; 9000], Durability::Now).unwrap();
        keep(&bench, &mut kept);
        bench.store.cut_power(&PowerCut::new(Lost::From(lost)), Cache::default()).unwrap();
        keep(&bench, &mut kept);
        plain.set_size(Length(size)).unwrap();
        keep(&bench, &mut kept);
        plain.discard(ByteRange::new(1000, SIZE)).unwrap();
        for (page, bytes) in kept {
            prop_assert!(*page.bytes() == *bytes);
        }
    }
}

/// Keeps all pages that the disk has now, with a copy of what they hold.
fn keep(bench: &Bench, kept: &mut Vec<(KeptPage, Vec<u8>)>) {
    let mut plain = bench.store.plain(&name()).unwrap();
    let whole = ByteRange::new(0, plain.size().0);
    plain
        .visit(whole, &mut |piece| {
            if let Piece::Page(part) = piece {
                let page = part.keep();
                assert!(page.has(&part));
                let bytes = page.bytes().to_vec();
                kept.push((page, bytes));
            }
        })
        .unwrap();
}

fn flat(parcel: &Parcel) -> Vec<u8> {
    let mut bytes = Vec::new();
    parcel.visit(&mut |piece| match piece {
        Piece::Bytes(part) => bytes.extend_from_slice(part),
        Piece::Page(part) => bytes.extend_from_slice(part.bytes()),
        Piece::Zeroes(len) => bytes.resize(bytes.len() + usize::try_from(len).unwrap(), 0),
    });
    let zero = bytes.iter().all(|byte| *byte == 0);
    assert_eq!(parcel.is_zero(ByteRange::new(0, parcel.len())), zero);
    assert_eq!(Load::whole(parcel).flat(&mut Vec::new()), bytes);
    bytes
}

#[test]
fn whole_pages_are_shared_until_either_side_writes() {
    let pool = Pool::new();
    let (mut from, mut to) = (
        MemDisk::new(&pool, Length(SIZE)),
        MemDisk::new(&pool, Length(SIZE)),
    );
    from.write_at(Offset(0), &[7; 8192], Durability::Later)
        .unwrap();
    let mut parcel = Parcel::new();
    from.read_parcel(ByteRange::new(0, 16384), &mut parcel)
        .unwrap();
    to.write_load(Offset(4096), Load::whole(&parcel), Durability::Later)
        .unwrap();
    let address = |disk: &mut MemDisk, at| {
        let mut found = None;
        let page = ByteRange::new(at, 4096);
        blkproof_device::Visible::visit(disk, page, &mut |piece| {
            if let Piece::Page(part) = piece {
                found = Some(part.address());
            }
        })
        .unwrap();
        found.unwrap()
    };
    assert_eq!(address(&mut from, 4096), address(&mut to, 8192));
    from.write_at(Offset(4196), &[9; 10], Durability::Later)
        .unwrap();
    assert_ne!(address(&mut from, 4096), address(&mut to, 8192));
    assert_eq!(flat(&parcel)[..8192], [7; 8192]);
    let mut read = [0; 8192];
    to.read_at(Offset(4096), &mut read).unwrap();
    assert_eq!(read, [7; 8192]);
    // What lay behind them were zeroes, and is there now.
    assert_eq!(to.allocated(), Length(16384));
}

#[test]
fn a_load_is_taken_apart_where_it_is_asked_to_be() {
    let mut parcel = Parcel::new();
    parcel.add_room(3).copy_from_slice(&[1, 2, 3]);
    parcel.add_zeroes(2);
    parcel.add_room(2).copy_from_slice(&[4, 5]);
    let whole = Load::whole(&parcel);
    assert_eq!(whole.flat(&mut Vec::new()), [1, 2, 3, 0, 0, 4, 5]);
    assert_eq!(whole.part(2, 4).flat(&mut Vec::new()), [3, 0, 0, 4]);
    assert_eq!(whole.part(2, 4).part(1, 2).flat(&mut vec![9; 9]), [0, 0]);
    assert!(parcel.is_zero(ByteRange::new(3, 2)) && !parcel.is_zero(ByteRange::new(2, 2)));
    assert!(whole.part(7, 0).is_empty());
    parcel.clear();
    assert!(parcel.is_empty());
    assert_eq!(parcel.add_room(1).len(), 1);
}
