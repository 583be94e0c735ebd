//! What single requests to an image in memory cost, beside the same requests to the bare memory
//! disk.
//!
//! Every kind runs on 64 MiB and on 16 TiB: the two should cost the same.

use std::hint::black_box;

use blkproof_device::{BlockDevice, Durability, MemDisk, Pool};
use blkproof_qcow2::inspect::{Contents, Layer, Limits, inspect};
use blkproof_qcow2::{CreateOptions, OpenOptions, Qcow2};
use blkproof_spec::{ByteRange, DiscardMode, Length, Offset};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main};

const K: u64 = 1 << 10;
const SIZES: [(&str, u64); 2] = [("64M", 64 << 20), ("16T", 16 << 40)];
const UNMAP: OpenOptions = OpenOptions {
    discard: DiscardMode::Unmap,
    read_only: false,
    l2_cache: Length(1 << 20),
};

fn fresh(pool: &Pool, size: u64) -> Qcow2<MemDisk> {
    let disk = MemDisk::new(pool, Length(0));
    Qcow2::create(disk, &CreateOptions::new(Length(size)), &UNMAP)
        .expect("a memory disk takes an image")
}

fn write(device: &mut impl BlockDevice, at: u64, data: &[u8]) {
    device
        .write_at(Offset(at), data, Durability::Later)
        .expect("a memory disk takes a write");
}

fn read(device: &mut impl BlockDevice, at: u64, buf: &mut [u8]) {
    device
        .read_at(Offset(at), buf)
        .expect("a memory disk gives what it has");
}

/// An image whose last 2 MiB are written.
fn filled(pool: &Pool, size: u64) -> Qcow2<MemDisk> {
    let mut image = fresh(pool, size);
    write(&mut image, size - (2 << 20), &vec![1; 2 << 20]);
    image.flush().expect("a memory disk takes a flush");
    image
}

fn making(group: &mut BenchmarkGroup<'_, WallTime>, pool: &Pool, name: &str, size: u64) {
    group.bench_function(format!("create-open/{name}"), |bencher| {
        bencher.iter(|| fresh(pool, size));
    });
    let image = filled(pool, size).into_file();
    group.bench_function(format!("open/{name}"), |bencher| {
        bencher.iter_batched(
            || image.snapshot(),
            |disk| Qcow2::open(disk, &UNMAP),
            BatchSize::SmallInput,
        );
    });
    let data = vec![7; 64 << 10];
    group.bench_function(format!("create-open-write-64k-flush/{name}"), |bencher| {
        bencher.iter(|| {
            let mut image = fresh(pool, size);
            write(&mut image, size - 64 * K, &data);
            image.flush().expect("a memory disk takes a flush");
            image
        });
    });
    group.bench_function(format!("zero-all-discard-all-status/{name}"), |bencher| {
        let whole = ByteRange::new(0, size);
        let mut image = fresh(pool, size);
        bencher.iter(|| {
            image.write_zeroes(whole, true).expect("zeroes");
            image.discard(whole).expect("a discard");
            image.block_status(whole).expect("a status")
        });
    });
}

fn requests(group: &mut BenchmarkGroup<'_, WallTime>, pool: &Pool, name: &str, size: u64) {
    let data = vec![7; 1 << 20];
    let mut buf = vec![0; 1 << 20];
    let base = size - (2 << 20);
    let mut image = filled(pool, size);
    for (label, len) in [("512", 512), ("64k", 64 << 10), ("1M", 1 << 20)] {
        group.bench_function(format!("rewrite-{label}/{name}"), |bencher| {
            bencher.iter(|| write(&mut image, base + 64 * K, &data[..len]));
        });
        group.bench_function(format!("read-{label}/{name}"), |bencher| {
            bencher.iter(|| read(&mut image, base + 64 * K, black_box(&mut buf[..len])));
        });
    }
    group.bench_function(format!("rewrite-512-flush/{name}"), |bencher| {
        bencher.iter(|| {
            write(&mut image, base, &data[..512]);
            image.flush().expect("a memory disk takes a flush");
        });
    });
    for (label, len) in [("512", 512), ("64k", 64 << 10)] {
        group.bench_function(format!("first-write-{label}/{name}"), |bencher| {
            let mut image = fresh(pool, size);
            let mut at = 0;
            bencher.iter(|| {
                write(&mut image, size - 64 * K - at, &data[..len]);
                at += 64 * K;
                if at == 32 << 20 {
                    image = fresh(pool, size);
                    at = 0;
                }
            });
        });
    }
}

fn looking(group: &mut BenchmarkGroup<'_, WallTime>, pool: &Pool, name: &str, size: u64) {
    let mut file = filled(pool, size).into_file();
    group.bench_function(format!("inspect/{name}"), |bencher| {
        bencher.iter(|| inspect(&mut file, &Limits::default()).expect("an image"));
    });
    group.bench_function(format!("contents-open-extents/{name}"), |bencher| {
        bencher.iter(|| {
            let layer = Layer::qcow2(Box::new(file.snapshot())).expect("an image");
            let mut contents = Contents::new(vec![layer]);
            let mut at = 0;
            while at < size {
                let extent = contents.extent(ByteRange::between(at, size));
                at = extent.expect("an extent").range.end();
            }
        });
    });
}

fn benches(criterion: &mut Criterion) {
    let pool = Pool::new();
    let mut group = criterion.benchmark_group("qcow2");
    for (name, size) in SIZES {
        making(&mut group, &pool, name, size);
        requests(&mut group, &pool, name, size);
        looking(&mut group, &pool, name, size);
    }
    group.finish();

    let mut group = criterion.benchmark_group("memory");
    let mut disk = MemDisk::new(&pool, Length(64 << 20));
    let mut buf = vec![7; 1 << 20];
    for (label, len) in [("512", 512), ("64k", 64 << 10), ("1M", 1 << 20)] {
        group.bench_function(format!("rewrite-{label}"), |bencher| {
            bencher.iter(|| write(&mut disk, 64 * K, &buf[..len]));
        });
        group.bench_function(format!("read-{label}"), |bencher| {
            bencher.iter(|| read(&mut disk, 64 * K, black_box(&mut buf[..len])));
        });
    }
    group.bench_function("first-write-64k", |bencher| {
        let mut disk = MemDisk::new(&pool, Length(0));
        let mut at = 0;
        bencher.iter(|| {
            write(&mut disk, at, &buf[..64 << 10]);
            at += 64 * K;
            if at == 32 << 20 {
                disk = MemDisk::new(&pool, Length(0));
                at = 0;
            }
        });
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
