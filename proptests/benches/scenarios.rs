//! Whole scenarios, run on the built-in engine and judged: how fast, and against what.
//!
//! `cargo bench -p proptests --bench scenarios`. Compare figures of one run only.
//!
//! - `seed/judged`: `incremental_simple` of the seed corpus as it stands, less its digests (hashing
//!   3 x 64 MiB is not what is measured);
//! - `shape/judged`: the same shape without the reference backups, against `shape/floor`, which
//!   sets, copies and compares as many bytes and does nothing else;
//! - `size/...`: the same small steps on disks of 64 MiB, 1 TiB and 16 TiB;
//! - `steps/...`: 10, 100, 1,000 and 10,000 steps, per step;
//! - `campaign/...`: made-up cases, made up and judged;
//!
//! The bench `iotest_124` holds them against QEMU's own test.

use blkproof::generate::{self, Profile};
use blkproof::{Options, Runner};
use blkproof_engine::{Engine, ImageInspector};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

#[path = "workload/seed.rs"]
mod seed;
#[path = "workload/whole.rs"]
mod whole;

use seed::{judge, seed};
use whole::{Floor, rounds, shape, sized};

fn judged(c: &mut Criterion) {
    let (mut runner, mut engine) = (Runner::new(Options::default()), Engine::new());
    for (name, scenario) in [("seed", seed()), ("shape", shape())] {
        let mut group = c.benchmark_group(name);
        group.bench_function("judged", |b| {
            b.iter(|| judge(&mut runner, &mut engine, &scenario))
        });
        if name == "shape" {
            group.bench_function("floor", |b| {
                let mut floor = Floor::new();
                b.iter(|| floor.run());
            });
        }
    }
}

fn sizes(c: &mut Criterion) {
    let (mut runner, mut engine) = (Runner::new(Options::default()), Engine::new());
    let mut group = c.benchmark_group("size");
    for (name, size) in [("64MiB", 64 << 20), ("1TiB", 1 << 40), ("16TiB", 16 << 40)] {
        let scenario = sized(size);
        group.bench_function(name, |b| {
            b.iter(|| judge(&mut runner, &mut engine, &scenario))
        });
    }
}

fn steps(c: &mut Criterion) {
    let (mut runner, mut engine) = (Runner::new(Options::default()), Engine::new());
    let mut group = c.benchmark_group("steps");
    for count in [10, 100, 1_000, 10_000] {
        let scenario = rounds(count);
        group.throughput(Throughput::Elements(scenario.steps.len() as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(count),
            &scenario,
            |b, scenario| {
                b.iter(|| judge(&mut runner, &mut engine, scenario));
            },
        );
    }
}

fn campaign(c: &mut Criterion) {
    let (mut runner, mut engine) = (Runner::new(Options::default()), Engine::new());
    let mut group = c.benchmark_group("campaign");
    for profile in Profile::built_in() {
        let mut number = 0;
        group.bench_function(&*profile.name, |b| {
            b.iter(|| {
                number += 1;
                let scenario = generate::case(1, number, profile);
                runner.run(&scenario, &mut engine, Some(&mut ImageInspector))
            });
        });
    }
    for profile in Profile::built_in() {
        let mut number = 0;
        group.bench_function(format!("generation alone, {}", profile.name), |b| {
            b.iter(|| {
                number += 1;
                generate::case(1, number, profile)
            });
        });
    }
}

criterion_group!(benches, judged, sizes, steps, campaign);
criterion_main!(benches);
