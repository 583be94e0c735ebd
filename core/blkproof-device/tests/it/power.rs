//! The volatile cache: what a loss of power takes back, and what it does not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use blkproof_device::{BlockDevice, Durability, IoError, MemStore, Pool, PowerLoss, Store};
use blkproof_spec::fault::{Effect, Extended, IoType, IoTypes, Kept, Rule, When};
use blkproof_spec::power::{Cache, Lost, PowerCut, Rest, Torn, TornUnit};
use blkproof_spec::{ByteRange, Errno, FaultRule, ImageName, Layer, Length, Offset, Place};
use proptest::prelude::*;

const SECTORS: u64 = 32;

/// A store whose disks have caches.
struct Bench {
    store: MemStore,
}

fn image(name: &str) -> ImageName {
    ImageName::new(name)
}

impl Bench {
    /// Each sector of each disk holds 1, durably.
    fn new(disks: &[&str]) -> Self {
        let mut store = MemStore::new(&Pool::new());
        for disk in disks {
            let mut device = store.create(&image(disk), Length(SECTORS * 512)).unwrap();
            let ones = vec![1; usize::try_from(SECTORS * 512).unwrap()];
            device
                .write_at(Offset(0), &ones, Durability::Later)
                .unwrap();
        }
        store.set_caching(true);
        Self { store }
    }

    fn open(&self, disk: &str) -> Box<dyn BlockDevice> {
        self.store.clone().open(&image(disk)).unwrap()
    }

    fn write(&self, disk: &str, sector: u64, count: u64, byte: u8) {
        write(&mut *self.open(disk), sector, count, byte).unwrap();
    }

    fn flush(&self, disk: &str) {
        self.open(disk).flush().unwrap();
    }

    fn cut(&self, lost: Lost) {
        self.cut_as(&PowerCut::new(lost), Cache::default());
    }

    fn cut_torn(&self, lost: Lost, kept: Kept, unit: TornUnit, rest: Rest) {
        let torn = Some(Torn { kept, unit, rest });
        let cut = PowerCut {
            torn,
            ..PowerCut::new(lost)
        };
        self.cut_as(&cut, Cache::default());
    }

    fn cut_as(&self, cut: &PowerCut, cache: Cache) {
        self.store.cut_power(cut, cache).unwrap();
        assert!(
            self.store.pending().is_empty(),
            "all is durable after a cut"
        );
    }

    /// The first byte of each sector.
    fn sectors(&self, disk: &str) -> Vec<u8> {
        sectors(&mut *self.store.plain(&image(disk)).unwrap())
    }
}

fn write(device: &mut dyn BlockDevice, sector: u64, count: u64, byte: u8) -> Result<(), IoError> {
    let data = vec![byte; usize::try_from(count * 512).unwrap()];
    device.write_at(Offset(sector * 512), &data, Durability::Later)
}

fn sectors(device: &mut dyn BlockDevice) -> Vec<u8> {
    let size = usize::try_from(device.size().0).unwrap();
    let mut bytes = vec![0; size];
    device.read_at(Offset(0), &mut bytes).unwrap();
    for sector in bytes.chunks(512) {
        assert!(
            sector.iter().all(|byte| *byte == sector[0]),
            "no sector is torn"
        );
    }
    bytes.chunks(512).map(|sector| sector[0]).collect()
}

/// Sectors that all hold 1 but for these.
fn ones_but(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut all = vec![1; usize::try_from(SECTORS).unwrap()];
    for (sector, byte) in changes {
        all[*sector] = *byte;
    }
    all
}

#[test]
fn a_cache_that_is_full_makes_all_of_it_durable() {
    let bench = Bench::new(&["a", "b"]);
    bench.write("a", 0, 4, 2);
    bench.write("b", 0, 1, 2);
    // What is written and what stood there: 4 KiB of one, 1 KiB of the other.
    bench.store.destage(4096);
    assert_eq!(bench.store.pending().len(), 2);
    bench.store.destage(2048);
    let left: Vec<_> = bench.store.pending();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].0, image("b"));
}

#[test]
fn what_was_flushed_stays_and_the_rest_goes() {
    let bench = Bench::new(&["a"]);
    bench.write("a", 3, 1, 2);
    bench.flush("a");
    bench.write("a", 3, 2, 3);
    assert_eq!(bench.sectors("a"), ones_but(&[(3, 3), (4, 3)]));
    bench.cut(Lost::All);
    assert_eq!(bench.sectors("a"), ones_but(&[(3, 2)]));
}

#[test]
fn a_flush_is_of_one_disk() {
    let bench = Bench::new(&["a", "b"]);
    bench.write("a", 0, 1, 2);
    bench.write("b", 0, 1, 2);
    bench.flush("b");
    bench.cut(Lost::All);
    assert_eq!(bench.sectors("a"), ones_but(&[]));
    assert_eq!(bench.sectors("b"), ones_but(&[(0, 2)]));
}

#[test]
fn a_prefix_is_counted_over_the_whole_store() {
    let bench = Bench::new(&["a", "b"]);
    bench.write("a", 0, 1, 2);
    bench.write("b", 0, 1, 2);
    bench.write("a", 1, 1, 2);
    bench.write("b", 1, 1, 2);
    bench.cut(Lost::From(3));
    assert_eq!(bench.sectors("a"), ones_but(&[(0, 2)]));
    assert_eq!(bench.sectors("b"), ones_but(&[(0, 2)]));
}

#[test]
fn one_operation_alone_is_lost() {
    let bench = Bench::new(&["a"]);
    for sector in 0..4 {
        bench.write("a", sector, 1, 2);
    }
    bench.cut(Lost::Only(2));
    assert_eq!(bench.sectors("a"), ones_but(&[(0, 2), (2, 2), (3, 2)]));
}

#[test]
fn at_worst_each_disk_keeps_its_last_operation_alone() {
    let bench = Bench::new(&["a", "b"]);
    bench.write("a", 0, 1, 2);
    bench.write("a", 1, 1, 3);
    bench.write("b", 0, 1, 4);
    bench.write("b", 1, 1, 5);
    bench.write("a", 2, 1, 6);
    bench.cut(Lost::Worst);
    assert_eq!(bench.sectors("a"), ones_but(&[(2, 6)]));
    assert_eq!(bench.sectors("b"), ones_but(&[(1, 5)]));
}

#[test]
fn reordered_the_first_of_several_writes_remains_but_never_across_a_flush() {
    let bench = Bench::new(&["a"]);
    bench.write("a", 0, 1, 2);
    bench.flush("a");
    bench.write("a", 0, 2, 3);
    bench.write("a", 0, 1, 4);
    bench.cut(Lost::Reordered);
    assert_eq!(bench.sectors("a"), ones_but(&[(0, 3), (1, 3)]));
}

#[test]
fn a_write_that_is_durable_by_itself_stays_over_older_ones() {
    for lost in [Lost::All, Lost::Reordered, Lost::Worst, Lost::Some(5)] {
        let bench = Bench::new(&["a"]);
        bench.write("a", 0, 1, 2);
        let mut device = bench.open("a");
        device
            .write_at(Offset(0), &[3; 512], Durability::Now)
            .unwrap();
        drop(device);
        bench.cut(lost);
        assert_eq!(bench.sectors("a")[0], 3);
    }
}

#[test]
fn an_operation_is_torn_in_sectors_or_pages() {
    let torn = |kept, unit, rest| {
        let bench = Bench::new(&["a"]);
        bench.write("a", 4, 16, 2);
        bench.cut_torn(Lost::From(1), kept, unit, rest);
        bench.sectors("a")[2..22].to_vec()
    };
    let old = |kept, unit| torn(kept, unit, Rest::Old);
    let runs = |parts: &[(usize, u8)]| -> Vec<u8> {
        let parts = parts.iter();
        parts
            .flat_map(|(count, byte)| vec![*byte; *count])
            .collect()
    };
    let sector = TornUnit::Sector;
    assert_eq!(old(Kept::Left, sector), runs(&[(2, 1), (8, 2), (10, 1)]));
    assert_eq!(old(Kept::Right, sector), runs(&[(10, 1), (8, 2), (2, 1)]));
    assert_eq!(old(Kept::Middle, sector), runs(&[(6, 1), (8, 2), (6, 1)]));
    // Pages lie on the device where they lie: the write has half of one, a whole one, half of one.
    assert_eq!(
        old(Kept::Left, TornUnit::Page),
        runs(&[(2, 1), (12, 2), (6, 1)])
    );
}

#[test]
fn garbage_is_what_nobody_wrote_and_always_the_same() {
    let spoilt = || {
        let bench = Bench::new(&["a"]);
        bench.write("a", 0, 2, 2);
        bench.cut_torn(Lost::Only(1), Kept::Left, TornUnit::Sector, Rest::Garbage);
        let mut bytes = vec![0; 1024];
        let mut plain = bench.store.plain(&image("a")).unwrap();
        plain.read_at(Offset(0), &mut bytes).unwrap();
        bytes
    };
    let bytes = spoilt();
    assert_eq!(bytes[..512], [2; 512]);
    let kinds: std::collections::BTreeSet<u8> = bytes[512..].iter().copied().collect();
    assert!(kinds.len() > 64, "it is no fill");
    assert_eq!(bytes, spoilt());
}

#[test]
fn sizes_zeroes_and_discards_are_taken_back() {
    let bench = Bench::new(&["a"]);
    let mut device = bench.open("a");
    device.set_size(Length(8 * 512)).unwrap();
    device.set_size(Length(64 * 512)).unwrap();
    write(&mut *device, 70, 1, 9).unwrap();
    device.write_zeroes(ByteRange::new(0, 1024), true).unwrap();
    device.discard(ByteRange::new(1024, 1024)).unwrap();
    drop(device);
    assert_eq!(bench.sectors("a").len(), 71);
    bench.cut(Lost::All);
    assert_eq!(bench.sectors("a"), ones_but(&[]));
}

#[test]
fn a_shrunken_disk_that_grew_again_reads_as_zeroes() {
    let bench = Bench::new(&["a"]);
    let mut device = bench.open("a");
    device.set_size(Length(8 * 512)).unwrap();
    device.set_size(Length(16 * 512)).unwrap();
    drop(device);
    bench.cut(Lost::None);
    let expected: Vec<u8> = [[1; 8], [0; 8]].concat();
    assert_eq!(bench.sectors("a"), expected);
}

#[test]
fn another_size_is_not_reordered_with_what_came_before_it() {
    let bench = Bench::new(&["a"]);
    bench.write("a", 20, 4, 2);
    bench.write("a", 4, 4, 3);
    bench.write("a", 4, 2, 4);
    bench.open("a").set_size(Length(8 * 512)).unwrap();
    bench.cut(Lost::Reordered);
    assert_eq!(bench.sectors("a"), [1, 1, 1, 1, 3, 3, 3, 3]);
}

#[test]
fn what_was_written_behind_an_end_that_did_not_move_is_gone() {
    let bench = Bench::new(&["a"]);
    let mut device = bench.open("a");
    device.set_size(Length(64 * 512)).unwrap();
    write(&mut *device, 30, 4, 2).unwrap();
    write(&mut *device, 40, 4, 2).unwrap();
    drop(device);
    bench.cut(Lost::Only(1));
    assert_eq!(bench.sectors("a"), ones_but(&[(30, 2), (31, 2)]));
}

#[test]
fn what_is_not_durable_now_can_be_asked_for_at_any_time() {
    let mut bench = Bench::new(&["a", "b"]);
    let sectors = |start: u64, count: u64| ByteRange::new(start * 512, count * 512);
    assert_eq!(bench.store.undurable(&image("a")), []);
    bench.write("a", 2, 2, 2);
    bench.write("a", 4, 1, 3);
    bench.write("a", 10, 4, 4);
    bench.write("b", 0, 1, 5);
    let undurable = |bench: &Bench| bench.store.undurable(&image("a"));
    assert_eq!(undurable(&bench), [sectors(2, 3), sectors(10, 4)]);
    // What is written through is durable, whatever stood there; not what comes behind it.
    let through = vec![6; 3 * 512];
    let mut device = bench.open("a");
    device
        .write_at(Offset(10 * 512), &through, Durability::Now)
        .unwrap();
    assert_eq!(undurable(&bench), [sectors(2, 3), sectors(13, 1)]);
    bench.write("a", 12, 1, 7);
    assert_eq!(undurable(&bench), [sectors(2, 3), sectors(12, 2)]);
    bench.flush("b");
    assert_eq!(undurable(&bench), [sectors(2, 3), sectors(12, 2)]);
    bench.flush("a");
    assert_eq!(undurable(&bench), []);
    // Without a cache everything is durable at once.
    bench.store.set_caching(false);
    bench.write("a", 0, 1, 8);
    assert_eq!(undurable(&bench), []);
    bench.store.remove(&image("b")).unwrap();
    assert_eq!(bench.store.undurable(&image("b")), []);
}

#[test]
fn what_a_cut_would_take_can_be_asked_for_and_lost_by_name() {
    let sectors = |start: u64, count: u64| ByteRange::new(start * 512, count * 512);
    for lost in [
        Lost::All,
        Lost::From(2),
        Lost::Only(2),
        Lost::Worst,
        Lost::None,
    ] {
        let written = || {
            let bench = Bench::new(&["a", "b"]);
            bench.write("a", 1, 2, 2);
            bench.write("b", 4, 3, 3);
            bench.write("a", 8, 4, 4);
            bench
        };
        let bench = written();
        let cut = PowerCut::new(lost.clone());
        let gone = bench.store.losses(&cut, Cache::default());
        let (a, b) = (image("a"), image("b"));
        let expected = match lost {
            Lost::All => vec![
                (a.clone(), sectors(1, 2)),
                (a, sectors(8, 4)),
                (b, sectors(4, 3)),
            ],
            Lost::From(_) => vec![(a, sectors(8, 4)), (b, sectors(4, 3))],
            Lost::Only(_) => vec![(b, sectors(4, 3))],
            Lost::Worst => vec![(a, sectors(1, 2))],
            _ => Vec::new(),
        };
        assert_eq!(gone, expected);
        bench.cut(lost);
        let named = written();
        named.cut(Lost::These(gone));
        for disk in ["a", "b"] {
            assert_eq!(bench.sectors(disk), named.sectors(disk));
        }
    }
}

#[test]
fn bytes_that_are_not_pending_take_nothing_with_them_on_an_ordered_device() {
    let bench = Bench::new(&["a"]);
    bench.write("a", 0, 1, 2);
    bench.write("a", 1, 1, 2);
    let cache = Cache {
        ordered: true,
        ..Cache::default()
    };
    let lost = Lost::These(vec![(image("a"), ByteRange::new(512, 512))]);
    bench.cut_as(&PowerCut::new(lost), cache);
    assert_eq!(bench.sectors("a"), ones_but(&[(0, 2)]));
}

#[test]
fn a_process_that_is_killed_loses_nothing_it_issued() {
    let bench = Bench::new(&["a"]);
    let mut old = bench.open("a");
    write(&mut *old, 0, 1, 2).unwrap();
    bench.store.kill();
    assert_eq!(bench.sectors("a"), ones_but(&[(0, 2)]));
    // Whoever had it open is gone.
    assert_eq!(write(&mut *old, 1, 1, 3), Err(IoError::Failed(Errno::EIO)));
    assert_eq!(old.flush(), Err(IoError::Failed(Errno::EIO)));
    assert_eq!(bench.sectors("a"), ones_but(&[(0, 2)]));
    // What it issued is as volatile as before.
    assert_eq!(bench.store.undurable(&image("a")), [ByteRange::new(0, 512)]);
    bench.cut(Lost::All);
    assert_eq!(bench.sectors("a"), ones_but(&[]));
}

#[test]
fn the_power_goes_off_in_the_midst_of_an_operation() {
    let bench = Bench::new(&["a", "b"]);
    let (mut a, mut b) = (bench.open("a"), bench.open("b"));
    write(&mut *a, 0, 1, 2).unwrap();
    let next = bench.store.operations() + 2;
    bench.store.strike_at(Some(next));
    write(&mut *b, 0, 1, 2).unwrap();
    let struck = catch_unwind(AssertUnwindSafe(|| a.flush()));
    assert!(struck.unwrap_err().is::<PowerLoss>());
    assert!(bench.store.is_off());
    // Nothing goes on: neither the flush, nor what a caller does on its way out.
    assert_eq!(write(&mut *b, 1, 1, 3), Err(IoError::Failed(Errno::EIO)));
    bench.cut(Lost::All);
    assert!(!bench.store.is_off());
    assert_eq!(bench.sectors("a"), ones_but(&[]));
    assert_eq!(bench.sectors("b"), ones_but(&[]));
}

#[test]
fn a_fault_is_in_the_ledger_though_the_power_goes_off_in_its_midst() {
    let bench = Bench::new(&["a"]);
    bench.store.install(&FaultRule {
        name: None,
        place: Place {
            image: image("a"),
            layer: Layer::File,
        },
        rule: Rule::Extended(Extended {
            iotypes: IoTypes::only(IoType::Write),
            range: None,
            when: When::Always,
            effect: Effect::Misdirected { by: 512 },
        }),
    });
    let mut device = bench.open("a");
    bench.store.strike_at(Some(bench.store.operations() + 1));
    let struck = catch_unwind(AssertUnwindSafe(|| write(&mut *device, 0, 1, 2)));
    assert!(struck.unwrap_err().is::<PowerLoss>());
    let mut ledger = Vec::new();
    bench.store.drain_ledger(&mut ledger);
    assert_eq!(ledger.len(), 1);
    bench.cut(Lost::None);
    assert_eq!(bench.sectors("a"), ones_but(&[(1, 2)]));
}

#[test]
fn the_operation_under_way_may_have_reached_the_medium() {
    for (lost, expected) in [(Lost::None, 2), (Lost::All, 1)] {
        let bench = Bench::new(&["a"]);
        let mut device = bench.open("a");
        bench.store.strike_at(Some(bench.store.operations() + 1));
        let struck = catch_unwind(AssertUnwindSafe(|| {
            device.write_at(Offset(0), &[2; 512], Durability::Now)
        }));
        assert!(struck.is_err());
        bench.cut(lost);
        assert_eq!(bench.sectors("a")[0], expected);
    }
}

#[test]
fn on_an_ordered_device_what_is_behind_something_lost_is_lost_too() {
    let bench = Bench::new(&["a"]);
    for sector in 0..4 {
        bench.write("a", sector, 1, 2);
    }
    let cache = Cache {
        ordered: true,
        ..Cache::default()
    };
    bench.cut_as(&PowerCut::new(Lost::Only(2)), cache);
    assert_eq!(bench.sectors("a"), ones_but(&[(0, 2)]));
}

#[test]
fn atomic_units_are_not_torn() {
    let bench = Bench::new(&["a"]);
    bench.write("a", 0, 32, 2);
    let cache = Cache {
        ordered: false,
        atomic: Length(4096),
    };
    let some = Torn {
        kept: Kept::Some(3),
        unit: TornUnit::Sector,
        rest: Rest::Old,
    };
    let cut = PowerCut {
        torn: Some(some),
        ..PowerCut::new(Lost::From(1))
    };
    bench.cut_as(&cut, cache);
    let found = bench.sectors("a");
    for page in found.chunks(8) {
        assert!(page.iter().all(|sector| *sector == page[0]), "{found:?}");
    }
    assert!(found.contains(&1) && found.contains(&2), "{found:?}");
}

#[test]
fn these_bytes_are_lost_and_no_others() {
    let bench = Bench::new(&["a", "b"]);
    bench.write("a", 0, 4, 2);
    bench.write("a", 2, 4, 3);
    bench.write("b", 0, 4, 4);
    bench.cut(Lost::These(vec![
        (image("a"), ByteRange::new(1024, 512)),
        (image("a"), ByteRange::new(2560, 1)),
    ]));
    let expected = ones_but(&[(0, 2), (1, 2), (3, 3), (4, 3)]);
    assert_eq!(bench.sectors("a"), expected);
    assert_eq!(bench.sectors("b")[..4], [4; 4]);
}

#[test]
fn a_flush_that_lies_leaves_all_pending() {
    let bench = Bench::new(&["a"]);
    let place = Place {
        image: image("a"),
        layer: Layer::File,
    };
    bench.store.install(&FaultRule {
        name: None,
        place,
        rule: Rule::Extended(Extended {
            iotypes: IoTypes::only(IoType::Flush),
            range: None,
            when: When::Always,
            effect: Effect::LyingFlush,
        }),
    });
    bench.write("a", 0, 1, 2);
    bench.flush("a");
    assert_eq!(bench.store.pending().len(), 1);
    bench.cut(Lost::All);
    assert_eq!(bench.sectors("a"), ones_but(&[]));
}

#[test]
fn a_fork_has_a_cache_of_its_own() {
    let bench = Bench::new(&["a"]);
    bench.write("a", 0, 1, 2);
    let fork = Bench {
        store: bench.store.fork(),
    };
    bench.flush("a");
    fork.cut(Lost::All);
    bench.cut(Lost::All);
    assert_eq!(fork.sectors("a"), ones_but(&[]));
    assert_eq!(bench.sectors("a"), ones_but(&[(0, 2)]));
}

#[test]
fn chance_looks_at_the_operation_and_not_at_its_neighbours() {
    let survives = |others: u64| {
        let bench = Bench::new(&["a"]);
        for sector in 0..others {
            bench.write("a", 16 + sector, 1, 3);
        }
        bench.write("a", 0, 16, 2);
        bench.cut(Lost::Some(11));
        bench.sectors("a")[..16].to_vec()
    };
    assert_eq!(survives(0), survives(5));
    let differs = (0..20).map(|number| {
        let bench = Bench::new(&["a"]);
        bench.write("a", 0, 16, 2);
        bench.cut(Lost::Some(number));
        bench.sectors("a")
    });
    let kinds: std::collections::BTreeSet<_> = differs.collect();
    assert!(kinds.len() > 5, "numbers differ");
}

fn lost() -> impl Strategy<Value = Lost> {
    prop_oneof![
        Just(Lost::All),
        Just(Lost::None),
        Just(Lost::Worst),
        Just(Lost::Reordered),
        (1..8_u64).prop_map(Lost::From),
        (1..8_u64).prop_map(Lost::Only),
        any::<u64>().prop_map(Lost::Some),
        (0..SECTORS, 1..4_u64).prop_map(|(sector, count)| {
            let range = ByteRange::new(sector * 512, count * 512);
            Lost::These(vec![(image("a"), range)])
        }),
    ]
}

fn kept() -> impl Strategy<Value = Kept> {
    prop_oneof![
        Just(Kept::Left),
        Just(Kept::Right),
        Just(Kept::Middle),
        any::<u64>().prop_map(Kept::Some),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Write(u64, u64, bool),
    Zeroes(u64, u64),
    Flush,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..SECTORS - 8, 1..8_u64, prop::bool::weighted(0.1))
            .prop_map(|(sector, count, fua)| Op::Write(sector, count, fua)),
        // Whole pages, which are shared and not copied, and parts beside them.
        2 => (0..8_u64, 8..24_u64, prop::bool::weighted(0.1))
            .prop_map(|(sector, count, fua)| Op::Write(sector, count, fua)),
        1 => (0..SECTORS - 8, 1..8_u64).prop_map(|(sector, count)| Op::Zeroes(sector, count)),
        1 => Just(Op::Flush),
    ]
}

proptest! {
    /// Whatever the policy: a sector holds what was durable, or something pending on it; and the
    /// simple policies are what a naive account of them says.
    #[test]
    fn every_cut_is_legal(
        ops in prop::collection::vec(op(), 0..16),
        lost in lost(),
        torn in prop::option::of((kept(), prop::bool::ANY)),
        ordered in prop::bool::ANY,
    ) {
        let bench = Bench::new(&["a"]);
        let count = usize::try_from(SECTORS).unwrap();
        let mut durable = vec![1_u8; count];
        let mut pending: Vec<(u64, u64, u8)> = Vec::new();
        let mut allowed: Vec<Vec<u8>> = vec![Vec::new(); count];
        let mut device = bench.open("a");
        let mut byte = 1;
        for op in &ops {
            let (sector, len, value, fua) = match *op {
                Op::Flush => {
                    device.flush().unwrap();
                    for (sector, len, value) in pending.drain(..) {
                        for at in sector..sector + len {
                            durable[usize::try_from(at).unwrap()] = value;
                        }
                    }
                    allowed.iter_mut().for_each(Vec::clear);
                    continue;
                }
                Op::Zeroes(sector, len) => {
                    let range = ByteRange::new(sector * 512, len * 512);
                    device.write_zeroes(range, true).unwrap();
                    (sector, len, 0, false)
                }
                Op::Write(sector, len, fua) => {
                    byte += 1;
                    let data = vec![byte; usize::try_from(len * 512).unwrap()];
                    let durability = if fua { Durability::Now } else { Durability::Later };
                    device.write_at(Offset(sector * 512), &data, durability).unwrap();
                    (sector, len, byte, fua)
                }
            };
            pending.push((sector, len, value));
            for at in sector..sector + len {
                let at = usize::try_from(at).unwrap();
                if fua {
                    durable[at] = value;
                    allowed[at].clear();
                } else {
                    allowed[at].push(value);
                }
            }
        }
        let now = bench.sectors("a");
        let torn = torn.map(|(kept, page)| Torn {
            kept,
            unit: if page { TornUnit::Page } else { TornUnit::Sector },
            rest: Rest::Old,
        });
        let cut = PowerCut { lost: lost.clone(), torn, at: None };
        let cache = Cache { ordered, ..Cache::default() };
        drop(device);
        bench.cut_as(&cut, cache);
        let found = bench.sectors("a");
        for at in 0..count {
            let legal = found[at] == durable[at] || allowed[at].contains(&found[at]);
            prop_assert!(legal, "sector {at} holds {}: {ops:?} {cut:?}", found[at]);
        }
        match lost {
            Lost::All => prop_assert_eq!(found, durable),
            Lost::None => prop_assert_eq!(found, now),
            _ => {}
        }
    }
}
