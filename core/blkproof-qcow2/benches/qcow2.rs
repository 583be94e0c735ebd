//! What single requests to an image in memory cost.

use blkproof_device::{MemDisk, Pool};
use blkproof_qcow2::{CreateOptions, OpenOptions, Qcow2};
use blkproof_spec::Length;
use criterion::{Criterion, criterion_group, criterion_main};

fn fresh(pool: &Pool, size: u64) -> Qcow2<MemDisk> {
    let disk = MemDisk::new(pool, Length(0));
    Qcow2::create(
        disk,
        &CreateOptions::new(Length(size)),
        &OpenOptions::default(),
    )
    .expect("a memory disk takes an image")
}

fn benches(criterion: &mut Criterion) {
    let pool = Pool::new();
    for (name, size) in [("64M", 64 << 20), ("16T", 16 << 40)] {
        criterion.bench_function(&format!("create-open/{name}"), |bencher| {
            bencher.iter(|| fresh(&pool, size));
        });
    }
}

criterion_group!(all, benches);
criterion_main!(all);
