//! What each extended rule does to requests, and what it leaves behind.

use blkproof_device::{BlockDevice, Durability, IoError, MemStore, Pool, Store};
use blkproof_spec::fault::{Effect, Extended, Firing, IoType, IoTypes, Kept, Rule, Verdict, When};
use blkproof_spec::{
    ByteRange, Errno, FaultRule, ImageName, Layer, Length, Offset, Place, RuleName,
};

const SIZE: u64 = 1 << 20;

/// A store with one disk, open.
pub(crate) struct Bench {
    pub(crate) store: MemStore,
    pub(crate) device: Box<dyn BlockDevice>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let mut store = MemStore::new(&Pool::new());
        let device = store.create(&name(), Length(SIZE)).unwrap();
        Self { store, device }
    }

    pub(crate) fn install(&self, rule: Rule) {
        let place = Place {
            image: name(),
            layer: Layer::File,
        };
        let name = Some(RuleName::new("r"));
        self.store.install(&FaultRule { name, place, rule });
    }

    pub(crate) fn extended(&self, when: When, effect: Effect) {
        self.install(extended(when, effect));
    }

    pub(crate) fn write(&mut self, start: u64, len: usize, byte: u8) -> Result<(), IoError> {
        let data = vec![byte; len];
        self.device
            .write_at(Offset(start), &data, Durability::Later)
    }

    pub(crate) fn read(&mut self, start: u64, len: usize) -> Result<Vec<u8>, IoError> {
        let mut buf = vec![0xee; len];
        self.device.read_at(Offset(start), &mut buf)?;
        Ok(buf)
    }

    /// Reads beneath the faults: the first byte of each of the sectors from `start` on.
    fn sectors(&self, start: u64, count: u64) -> Vec<u8> {
        let mut plain = self.store.plain(&name()).unwrap();
        let read = |sector| {
            let mut buf = [0];
            plain
                .read_at(Offset(start + sector * 512), &mut buf)
                .unwrap();
            buf[0]
        };
        (0..count).map(read).collect()
    }

    pub(crate) fn ledger(&self) -> Vec<Firing> {
        let mut ledger = Vec::new();
        self.store.drain_ledger(&mut ledger);
        ledger
    }
}

pub(crate) fn name() -> ImageName {
    ImageName::new("d")
}

fn extended(when: When, effect: Effect) -> Rule {
    Rule::Extended(Extended {
        iotypes: IoTypes::ALL_BUT_BLOCK_STATUS.with(IoType::BlockStatus),
        range: None,
        when,
        effect,
    })
}

const EIO: Result<(), IoError> = Err(IoError::Failed(Errno::EIO));

#[test]
fn an_error_applies_nothing_and_is_entered_in_the_ledger() {
    let mut bench = Bench::new();
    bench.extended(When::Always, Effect::Error(Errno::EIO));
    assert_eq!(bench.write(1024, 512, 1), EIO);
    assert_eq!(bench.device.flush(), EIO);
    assert_eq!(bench.device.discard(ByteRange::new(0, 512)), EIO);
    assert!(bench.device.block_status(ByteRange::new(0, 512)).is_err());
    let ledger = bench.ledger();
    assert_eq!(ledger.len(), 4);
    let first = &ledger[0];
    assert_eq!(first.name, Some(RuleName::new("r")));
    assert_eq!(
        (first.kind, first.range),
        (IoType::Write, ByteRange::new(1024, 512))
    );
    assert_eq!(
        (first.errno, first.verdict),
        (Some(Errno::EIO), Verdict::Reported)
    );
    assert!(bench.store.lift(&RuleName::new("r")));
    assert!(!bench.store.lift(&RuleName::new("r")));
    bench.device.flush().unwrap();
    assert_eq!(bench.sectors(1024, 1), [0]);
    assert_eq!(bench.ledger(), []);
}

#[test]
fn an_empty_write_is_torn_into_nothing() {
    let mut bench = Bench::new();
    let (kept, errno) = (Kept::Right, Errno::EIO);
    bench.extended(When::Always, Effect::Torn { kept, errno });
    assert_eq!(bench.write(1024, 0, 1), EIO);
    assert_eq!(bench.sectors(1024, 1), [0]);
}

#[test]
fn when_says_on_which_matches_a_rule_acts() {
    let chosen = |when| {
        let mut bench = Bench::new();
        bench.extended(when, Effect::Error(Errno::EIO));
        (0..7)
            .map(|_| u8::from(bench.read(0, 1).is_err()))
            .collect::<Vec<_>>()
    };
    assert_eq!(chosen(When::Always), [1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(chosen(When::Nth(3)), [0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(chosen(When::Nth(0)), [0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(chosen(When::From(5)), [0, 0, 0, 0, 1, 1, 1]);
    assert_eq!(chosen(When::Every(3)), [0, 0, 1, 0, 0, 1, 0]);
    assert_eq!(chosen(When::Every(0)), [0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_rule_looks_only_at_its_kinds_and_its_range() {
    let mut bench = Bench::new();
    bench.install(Rule::Extended(Extended {
        iotypes: IoTypes::only(IoType::Write),
        range: Some(ByteRange::new(1000, 10)),
        when: When::Always,
        effect: Effect::Error(Errno::EIO),
    }));
    bench.read(0, 4096).unwrap();
    bench.write(0, 1000, 1).unwrap();
    bench.write(1010, 1000, 1).unwrap();
    assert_eq!(bench.write(1009, 1, 1), EIO);
    assert_eq!(bench.write(0, 1001, 1), EIO);
    let counts = bench.store.rule_counts();
    assert_eq!(
        (counts[0].matched, counts[0].fired, counts[0].live),
        (2, 2, true)
    );
}

#[test]
fn chance_moves_no_other_request() {
    let failed = |starts: &[u64]| {
        let mut bench = Bench::new();
        let seed = 5;
        let per_million = 300_000;
        bench.extended(
            When::Chance { seed, per_million },
            Effect::Error(Errno::EIO),
        );
        let fails = |start: &u64| bench.read(*start, 512).is_err();
        starts.iter().map(fails).collect::<Vec<_>>()
    };
    let starts: Vec<u64> = (0..200).map(|number| number * 512).collect();
    let all = failed(&starts);
    assert!((40..80).contains(&all.iter().filter(|failed| **failed).count()));
    assert_eq!(failed(&starts[17..]), all[17..]);
    let again = failed(&[0; 200]);
    assert!(
        again.contains(&true) && again.contains(&false),
        "repetitions differ"
    );
}

#[test]
fn the_first_rule_that_acts_decides_and_all_count() {
    let mut bench = Bench::new();
    bench.extended(When::Nth(2), Effect::Error(Errno::EIO));
    bench.extended(When::From(2), Effect::Error(Errno::ENOSPC));
    let ends: Vec<_> = (0..3).map(|_| bench.read(0, 1).err()).collect();
    let failed = |errno| Some(IoError::Failed(errno));
    assert_eq!(ends, [None, failed(Errno::EIO), failed(Errno::ENOSPC)]);
    let counts = bench.store.rule_counts();
    assert_eq!(
        counts[1].matched, 3,
        "the request that another rule failed counts"
    );
    assert_eq!((counts[0].fired, counts[1].fired), (1, 1));
}

#[test]
fn a_partial_transfer_stops_in_the_middle() {
    let mut bench = Bench::new();
    bench.write(0, 2048, 1).unwrap();
    let partial = Effect::Partial {
        bytes: 700,
        errno: Errno::EIO,
    };
    bench.extended(When::Always, partial);
    assert_eq!(bench.write(0, 2048, 2), EIO);
    assert_eq!(bench.sectors(0, 4), [2, 2, 1, 1]);
    assert_eq!(bench.sectors(699, 1), [2]);
    assert_eq!(bench.sectors(700, 1), [1]);
    assert_eq!(
        bench.device.write_zeroes(ByteRange::new(0, 2048), false),
        EIO
    );
    assert_eq!(bench.sectors(0, 4), [0, 0, 1, 1]);
    let mut buf = [9; 1024];
    assert_eq!(bench.device.read_at(Offset(512), &mut buf), EIO);
    assert_eq!((buf[0], buf[699], buf[700]), (0, 1, 9));
}

#[test]
fn a_torn_write_keeps_some_sectors() {
    let torn = |kept, sectors: usize| {
        let mut bench = Bench::new();
        let errno = Errno::EIO;
        bench.extended(When::Always, Effect::Torn { kept, errno });
        assert_eq!(bench.write(4096, sectors * 512, 1), EIO);
        bench.sectors(4096, sectors as u64)
    };
    assert_eq!(torn(Kept::Left, 5), [1, 1, 1, 0, 0]);
    assert_eq!(torn(Kept::Right, 5), [0, 0, 1, 1, 1]);
    assert_eq!(torn(Kept::Middle, 5), [0, 0, 1, 0, 0]);
    assert_eq!(torn(Kept::Middle, 8), [0, 0, 1, 1, 1, 1, 0, 0]);
    assert_eq!(torn(Kept::Middle, 1), [0]);
    let some = torn(Kept::Some(3), 64);
    let kept = some.iter().filter(|byte| **byte == 1).count();
    assert!((16..48).contains(&kept), "{kept} of 64");
    assert_eq!(torn(Kept::Some(3), 64), some);
}

#[test]
fn a_torn_discard_of_a_huge_disk_costs_little() {
    let mut bench = Bench::new();
    bench.device.set_size(Length(16 << 40)).unwrap();
    bench.write(0, 512, 1).unwrap();
    let errno = Errno::EIO;
    for kept in [Kept::Some(1), Kept::Right] {
        bench.extended(When::Always, Effect::Torn { kept, errno });
        assert_eq!(bench.device.discard(ByteRange::new(0, 16 << 40)), EIO);
        bench.store.lift_all();
    }
}

#[test]
fn applied_but_failed_is_applied() {
    let mut bench = Bench::new();
    bench.extended(When::Always, Effect::AppliedButFailed(Errno::EIO));
    assert_eq!(bench.write(0, 1024, 3), EIO);
    assert_eq!(bench.sectors(0, 3), [3, 3, 0]);
    assert_eq!(bench.device.flush(), EIO);
    bench.read(0, 1).unwrap();
}

#[test]
fn a_misdirected_write_lands_elsewhere() {
    let misdirected = |by, start| {
        let mut bench = Bench::new();
        bench.device.set_size(Length(8 * 512)).unwrap();
        bench.extended(When::Always, Effect::Misdirected { by });
        bench.write(start, 1024, 3).unwrap();
        assert_eq!(bench.device.size(), Length(8 * 512));
        assert_eq!(bench.ledger()[0].verdict, Verdict::Silent);
        bench.sectors(0, 8)
    };
    assert_eq!(misdirected(1024, 0), [0, 0, 3, 3, 0, 0, 0, 0]);
    assert_eq!(misdirected(-512, 1024), [0, 3, 3, 0, 0, 0, 0, 0]);
    assert_eq!(misdirected(-1536, 1024), [3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(misdirected(512, 6 * 512), [0, 0, 0, 0, 0, 0, 0, 3]);
    for by in [i64::MIN, i64::MAX] {
        assert_eq!(misdirected(by, 0), [0; 8]);
    }
}

#[test]
fn a_phantom_write_and_a_lying_flush_do_nothing() {
    let mut bench = Bench::new();
    bench.extended(When::Nth(1), Effect::Phantom);
    bench.extended(When::Always, Effect::LyingFlush);
    bench.write(0, 512, 3).unwrap();
    assert_eq!(bench.sectors(0, 1), [0]);
    bench.device.flush().unwrap();
    let kinds: Vec<_> = bench.ledger().iter().map(|firing| firing.kind).collect();
    assert_eq!(kinds, [IoType::Write, IoType::Flush]);
}

#[test]
fn rot_is_stable_until_the_sector_is_written_and_gone_when_lifted() {
    let mut bench = Bench::new();
    let sound = vec![0x55; 16 * 512];
    bench.write(0, sound.len(), 0x55).unwrap();
    bench.extended(When::Always, Effect::BitRot { seed: 1 });
    let rotten = bench.read(0, sound.len()).unwrap();
    let flips = |bytes: &[u8]| {
        let differs = |(is, was): (&u8, &u8)| (is ^ was).count_ones();
        let sectors = bytes.chunks(512).zip(sound.chunks(512));
        let count = |(is, was): (&[u8], &[u8])| is.iter().zip(was).map(differs).sum::<u32>();
        sectors.map(count).collect::<Vec<u32>>()
    };
    let before = flips(&rotten);
    assert!(before.iter().all(|flips| *flips <= 1));
    assert!((3..14).contains(&before.iter().sum::<u32>()), "{before:?}");
    assert_eq!(bench.read(0, sound.len()).unwrap(), rotten);
    let piecewise: Vec<u8> = (0..16 * 4)
        .flat_map(|piece| bench.read(piece * 128, 128).unwrap())
        .collect();
    assert_eq!(piecewise, rotten);
    let bad = before.iter().position(|flips| *flips == 1).unwrap() as u64;
    bench.write(bad * 512 + 10, 1, 0x55).unwrap();
    let mut after = before.clone();
    after[usize::try_from(bad).unwrap()] = 0;
    assert_eq!(flips(&bench.read(0, sound.len()).unwrap()), after);
    assert!(
        bench
            .ledger()
            .iter()
            .all(|firing| firing.verdict == Verdict::Silent)
    );
    bench.store.lift_all();
    assert_eq!(bench.read(0, sound.len()).unwrap(), sound);
}

#[test]
fn a_stale_read_returns_what_stood_there_before_the_last_write() {
    let mut bench = Bench::new();
    bench.write(0, 2048, 1).unwrap();
    bench.extended(When::Always, Effect::StaleRead);
    assert_eq!(bench.read(0, 2048).unwrap(), [1; 2048]);
    assert_eq!(
        bench.ledger(),
        [],
        "nothing was written since the rule is there"
    );
    bench.write(512, 100, 2).unwrap();
    assert_eq!(bench.read(0, 2048).unwrap(), [1; 2048]);
    assert_eq!(bench.ledger().len(), 1);
    bench.write(512, 512, 3).unwrap();
    let now = bench.read(512, 512).unwrap();
    assert_eq!((now[0], now[99], now[100]), (2, 2, 1));
    bench
        .device
        .write_zeroes(ByteRange::new(0, SIZE), true)
        .unwrap();
    let now = bench.read(0, 2048).unwrap();
    assert_eq!((now[0], now[512], now[1024]), (1, 3, 1));
    bench.store.lift_all();
    assert_eq!(bench.read(0, 2048).unwrap(), [0; 2048]);
}

#[test]
fn a_full_device_takes_what_it_holds_already() {
    let mut bench = Bench::new();
    bench.write(0, 4096, 1).unwrap();
    bench.extended(When::Always, Effect::Capacity { bytes: 3 * 4096 });
    bench.write(8192, 8192, 1).unwrap();
    assert_eq!(bench.ledger(), []);
    let full = Err(IoError::Failed(Errno::ENOSPC));
    assert_eq!(bench.write(4096, 1, 2), full);
    assert_eq!(bench.write(SIZE, 1, 2), full);
    bench.write(0, 4096, 2).unwrap();
    bench.device.discard(ByteRange::new(8192, 4096)).unwrap();
    bench.write(4096, 1, 2).unwrap();
    assert_eq!(bench.write(SIZE, 1, 2), full);
    assert_eq!(bench.ledger().len(), 3);
}
