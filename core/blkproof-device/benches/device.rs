//! What requests cost: bare, behind the seam, through the fault layer with 0 to 64 rules armed, and
//! where two threads have a store each. Compare within one run.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on fails"
)]

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use blkproof_device::{BlockDevice, Durability, MemDisk, MemStore, Pool, Store};
use blkproof_spec::fault::{Effect, Event, Extended, InjectError, IoType, IoTypes, Rule, When};
use blkproof_spec::{
    ByteRange, Errno, FaultRule, ImageName, Layer, Length, Offset, Place, SectorNumber,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const SIZE: u64 = 64 << 20;

fn name() -> ImageName {
    ImageName::new("d")
}

fn at_file(rule: Rule) -> FaultRule {
    let place = Place {
        image: name(),
        layer: Layer::File,
    };
    FaultRule {
        name: None,
        place,
        rule,
    }
}

/// A rule that watches reads of a range where none happens.
fn elsewhere(number: u64) -> Rule {
    Rule::Extended(Extended {
        iotypes: IoTypes::only(IoType::Read),
        range: Some(ByteRange::new(SIZE + number * 512, 512)),
        when: When::Always,
        effect: Effect::Error(Errno::EIO),
    })
}

/// A rule that watches reads of every other page.
fn between(number: u64) -> Rule {
    let Rule::Extended(extended) = elsewhere(number) else {
        unreachable!("it is an extended rule");
    };
    Rule::Extended(Extended {
        range: Some(ByteRange::new(number * 8192, 4096)),
        ..extended
    })
}

/// A rule of `blkdebug` on one of 32 events that requests do not raise.
fn idle(number: usize) -> Rule {
    let event = Event::ALL[number % 32];
    Rule::InjectError(InjectError {
        state: 9,
        ..InjectError::new(event)
    })
}

/// A rule of `blkdebug` that is active and waits for a sector that nobody touches.
fn active(number: u64) -> Rule {
    Rule::InjectError(InjectError {
        sector: Some(SectorNumber(SIZE + number)),
        ..InjectError::new(Event::ReadAio)
    })
}

fn store(rules: impl IntoIterator<Item = Rule>) -> (MemStore, Box<dyn BlockDevice>) {
    let mut store = MemStore::new(&Pool::new());
    let mut device = store.create(&name(), Length(SIZE)).unwrap();
    let data = [7; 4096];
    for page in 0..64 {
        device
            .write_at(Offset(page * 4096), &data, Durability::Later)
            .unwrap();
    }
    for rule in rules {
        store.install(&at_file(rule));
    }
    device.event(Event::ReadAio).unwrap();
    (store, device)
}

fn read(device: &mut dyn BlockDevice, buf: &mut [u8]) {
    black_box(device)
        .read_at(black_box(Offset(8192)), buf)
        .unwrap();
}

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("read 512 bytes");
    let mut buf = [0; 512];
    let mut bare = MemDisk::new(&Pool::new(), Length(SIZE));
    bare.write_at(Offset(8192), &[7; 512], Durability::Later)
        .unwrap();
    group.bench_function("bare disk", |b| b.iter(|| read(&mut bare, &mut buf)));
    let (plain, _) = store([]);
    let mut device = plain.plain(&name()).unwrap();
    group.bench_function("behind the seam", |b| {
        b.iter(|| read(&mut *device, &mut buf))
    });
    let (_store, mut device) = store([]);
    group.bench_function("no rules", |b| b.iter(|| read(&mut *device, &mut buf)));
    for count in [1, 4, 16, 64] {
        let (_store, mut device) = store((0..count).map(elsewhere));
        let id = BenchmarkId::new("rules watching elsewhere", count);
        group.bench_function(id, |b| b.iter(|| read(&mut *device, &mut buf)));
        let (_store, mut device) = store((0..count).map(between));
        let id = BenchmarkId::new("rules between the reads", count);
        let mut turn = 0;
        group.bench_function(id, |b| {
            b.iter(|| {
                turn = (turn + 1) % count;
                let place = Offset(black_box(turn * 8192 + 4096));
                device.read_at(place, &mut buf).unwrap();
            });
        });
        let (_store, mut device) = store((0..count).map(active));
        let id = BenchmarkId::new("blkdebug rules active", count);
        group.bench_function(id, |b| b.iter(|| read(&mut *device, &mut buf)));
        let count = usize::try_from(count).unwrap();
        let (_store, mut device) = store((0..count).map(idle));
        let id = BenchmarkId::new("blkdebug rules on events", count);
        group.bench_function(id, |b| b.iter(|| read(&mut *device, &mut buf)));
    }
    group.finish();
}

fn events(c: &mut Criterion) {
    let mut group = c.benchmark_group("event");
    for count in [0, 4, 64] {
        let (_store, mut device) = store((0..count).map(idle));
        let id = BenchmarkId::new("without a rule of its own", count);
        let raise = |device: &mut dyn BlockDevice, event| black_box(device).event(event).unwrap();
        group.bench_function(id, |b| b.iter(|| raise(&mut *device, Event::CorWrite)));
    }
    let (_store, mut device) = store((0..64).map(idle));
    group.bench_function("with two rules of 64", |b| {
        b.iter(|| black_box(&mut device).event(Event::L2Load).unwrap());
    });
    group.finish();
}

fn pages(c: &mut Criterion) {
    let mut group = c.benchmark_group("memory disk");
    let pool = Pool::new();
    let data = vec![7; 1 << 20];
    let mut buf = vec![0; 1 << 20];
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("floor: copy 1 MiB", |b| {
        b.iter(|| black_box(&mut buf).copy_from_slice(&data))
    });
    group.bench_function("write 1 MiB to a new disk", |b| {
        b.iter(|| {
            let mut disk = MemDisk::new(&pool, Length(SIZE));
            disk.write_at(Offset(0), &data, Durability::Later).unwrap();
        });
    });
    let mut disk = MemDisk::new(&pool, Length(SIZE));
    group.bench_function("write 1 MiB again", |b| {
        b.iter(|| disk.write_at(Offset(0), &data, Durability::Later).unwrap());
    });
    group.bench_function("write 1 MiB under a snapshot", |b| {
        b.iter(|| {
            let _snapshot = disk.snapshot();
            disk.write_at(Offset(0), &data, Durability::Later).unwrap();
        });
    });
    group.bench_function("read 1 MiB", |b| {
        b.iter(|| disk.read_at(Offset(0), &mut buf).unwrap())
    });
    group.finish();
    sizes(c);
}

/// The same requests on disks of different sizes: 1000 places, spread evenly.
fn sizes(c: &mut Criterion) {
    let mut group = c.benchmark_group("1000 places");
    let pool = Pool::new();
    for shift in [26, 40, 44] {
        let size = 1_u64 << shift;
        let place = |number: u64| Offset(number * 7919 % 1000 * (size / 1000));
        let mut disk = MemDisk::new(&pool, Length(size));
        group.bench_function(BenchmarkId::new("write and give up", size), |b| {
            b.iter(|| {
                for number in 0..1000 {
                    disk.write_at(place(number), &[1; 512], Durability::Later)
                        .unwrap();
                }
                disk.discard(ByteRange::new(0, size)).unwrap();
            });
        });
        for number in 0..1000 {
            disk.write_at(place(number), &[1; 512], Durability::Later)
                .unwrap();
        }
        let mut buf = [0; 512];
        group.bench_function(BenchmarkId::new("read", size), |b| {
            b.iter(|| {
                for number in 0..1000 {
                    disk.read_at(place(number), &mut buf).unwrap();
                }
            });
        });
        group.bench_function(BenchmarkId::new("walk the blocks", size), |b| {
            b.iter(|| {
                let mut position = 0;
                while position < size {
                    let rest = ByteRange::between(position, size);
                    position += disk.block_status(rest).unwrap().len.0;
                }
            });
        });
        group.bench_function(BenchmarkId::new("snapshot", size), |b| {
            b.iter(|| disk.snapshot())
        });
    }
    group.finish();
}

/// Reads and writes of a store of its own.
fn work(rounds: u64) {
    let (_store, mut device) = store([elsewhere(0)]);
    let mut buf = [0; 512];
    for round in 0..rounds {
        let offset = Offset(round % 64 * 4096);
        device.write_at(offset, &buf, Durability::Later).unwrap();
        device.read_at(offset, &mut buf).unwrap();
    }
}

fn threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("a store per thread");
    for count in [1, 2] {
        group.bench_function(BenchmarkId::new("threads", count), |b| {
            b.iter_custom(|rounds| {
                let start = Instant::now();
                thread::scope(|scope| {
                    for _ in 0..count {
                        scope.spawn(|| work(rounds));
                    }
                });
                start.elapsed()
            });
        });
    }
    group.finish();
}

fn stores(c: &mut Criterion) {
    let mut group = c.benchmark_group("store");
    let pool = Pool::new();
    group.bench_function("made, with a disk of a page, and dropped", |b| {
        b.iter(|| {
            let mut store = MemStore::new(&pool);
            let mut device = store.create(&name(), Length(SIZE)).unwrap();
            device
                .write_at(Offset(0), &[1; 512], Durability::Later)
                .unwrap();
        });
    });
    let (store, _device) = store([]);
    group.bench_function("forked", |b| b.iter(|| store.fork()));
    group.finish();
}

/// The same requests without a volatile cache and with one. Reads never pass it.
fn caches(c: &mut Criterion) {
    let mut group = c.benchmark_group("volatile cache");
    let (mut buf, data) = ([0; 512], [7; 4096]);
    let mut bare = MemDisk::new(&Pool::new(), Length(SIZE));
    bare.write_at(Offset(8192), &data, Durability::Later)
        .unwrap();
    let mut devices: Vec<(&str, Box<dyn BlockDevice>)> = vec![("bare disk", Box::new(bare))];
    for (name, caching) in [("off", false), ("on", true)] {
        let (store, device) = store([]);
        store.set_caching(caching);
        devices.push((name, device));
    }
    for (name, mut device) in devices {
        group.bench_function(BenchmarkId::new("read 512 bytes", name), |b| {
            b.iter(|| read(&mut *device, &mut buf));
        });
        group.bench_function(BenchmarkId::new("flush nothing", name), |b| {
            b.iter(|| black_box(&mut device).flush().unwrap());
        });
        group.bench_function(
            BenchmarkId::new("write 4 KiB 64 times and flush", name),
            |b| {
                b.iter(|| {
                    for page in 0..64 {
                        let place = black_box(Offset(page * 4096));
                        device.write_at(place, &data, Durability::Later).unwrap();
                    }
                    device.flush().unwrap();
                });
            },
        );
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(core::time::Duration::from_millis(200))
        .measurement_time(core::time::Duration::from_millis(600));
    targets = requests, events, pages, threads, stores, caches
}
criterion_main!(benches);
