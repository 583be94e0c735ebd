//! The model alone on the shape of QEMU's test 124.

use std::hint::black_box;

use blkproof_spec::{Capabilities, Judgement, Model};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

#[path = "workload/shown.rs"]
mod shown;

use shown::{run, scenario};

fn model(c: &mut Criterion) {
    let (setup, steps) = scenario();
    let mut out = Judgement::default();
    let mut model = Model::new(&setup, Capabilities::FULL);
    let violations = run(&mut model, &setup, &steps, &mut out);
    assert_eq!(violations, 0, "{:?}", out.violations);
    let mut group = c.benchmark_group("model");
    group.throughput(Throughput::Elements(1));
    group.bench_function("124 shape", |b| {
        b.iter(|| run(&mut model, black_box(&setup), black_box(&steps), &mut out));
    });
    group.finish();
}

criterion_group!(benches, model);
criterion_main!(benches);
