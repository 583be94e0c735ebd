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
//! - `iotest/124`: QEMU's own test, where `BLKPROOF_IOTESTS` names the folder of QEMU's iotests and
//!   the environment is set up for its `check`.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use blkproof::generate::{self, Profile};
use blkproof::spec::Scenario;
use blkproof::spec::step::{Action, Check};
use blkproof::{Options, Outcome, Runner};
use blkproof_engine::{Engine, ImageInspector};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn seed() -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora/seed/incremental_simple.blk");
    let text = std::fs::read(path).expect("the seed corpus is in the repository");
    let mut scenario = blkproof::text::parse(&text).expect("the seed is right");
    scenario
        .steps
        .retain(|step| !matches!(step.action, Action::Check(Check::Digest { .. })));
    scenario
}

/// The seed without its reference backups and without what looks at them.
fn shape() -> Scenario {
    let mut scenario = seed();
    scenario.steps.retain(|step| match &step.action {
        Action::Backup { backup, .. } => !backup.target.as_str().starts_with("ref"),
        Action::Check(_) => false,
        _ => true,
    });
    scenario
}

fn judge(runner: &mut Runner, engine: &mut Engine, scenario: &Scenario) {
    let outcome = runner.run(scenario, engine, Some(&mut ImageInspector));
    assert!(matches!(outcome, Outcome::Held(_)), "{outcome:?}");
}

fn whole(c: &mut Criterion) {
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

/// The bytes of the shape, set when written, copied when backed up, compared when restored.
struct Floor {
    disk: Vec<u8>,
    copy: Vec<u8>,
}

/// What the contents and the two rounds write, and what the full backup and the increments copy.
const WRITTEN: [usize; 9] = [
    512,
    32 << 10,
    124 << 10,
    512,
    256 << 10,
    64 << 10,
    512,
    352 << 10,
    1 << 20,
];
const COPIED: [usize; 3] = [256 << 10, 448 << 10, 1472 << 10];

impl Floor {
    fn new() -> Self {
        Self {
            disk: vec![0; 4 << 20],
            copy: vec![0; 4 << 20],
        }
    }

    fn run(&mut self) {
        let mut at = 0;
        for len in WRITTEN {
            self.disk[at..at + len].fill(black_box(0xab));
            at += len;
        }
        let mut at = 0;
        for len in COPIED {
            self.copy[at..at + len].copy_from_slice(&self.disk[at..at + len]);
            black_box(&mut self.copy);
            assert!(self.copy[at..at + len] == self.disk[at..at + len]);
            at += len;
        }
    }
}

fn sized(size: u64) -> Scenario {
    let text = format!(
        "blkproof 1\ndisk drive0 {size} qcow2\nbitmap add drive0 b\nwrite drive0 0 64k stamp\n\
         write drive0 1M 4k stamp\nwrite drive0 32M 128k stamp\nbackup drive0 full to=full0\n\
         bitmap clear drive0 b\nwrite drive0 48M 64k stamp\ndiscard drive0 1M 64k\n\
         write-zeroes drive0 0 32k\ncreate inc0 qcow2 backing=full0\n\
         backup drive0 incremental bitmap=b to=inc0 mode=existing\ncheck inc0 == drive0\n"
    );
    blkproof::text::parse(text.as_bytes()).expect("the text is right")
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

/// A full backup, then writes, reads and flushes all over the disk, and an increment after every
/// hundred of them, until there are as many steps as asked for.
fn rounds(steps: usize) -> Scenario {
    let mut text = String::from("blkproof 1\ndisk drive0 64M qcow2\n");
    text.push_str("bitmap add drive0 b\nbackup drive0 full to=inc0\n");
    for step in 2..steps {
        let at = (step * 7919 % 1024) * 65536;
        let round = step / 100;
        let line = match step % 100 {
            98 => format!("create inc{} qcow2 backing=inc{round}\n", round + 1),
            99 => format!(
                "backup drive0 incremental bitmap=b to=inc{} mode=existing\n",
                round + 1
            ),
            rest if rest % 10 == 8 => format!("read drive0 {at} 64k\n"),
            rest if rest % 10 == 9 => "flush drive0\n".to_owned(),
            _ => format!("write drive0 {at} 4k stamp\n"),
        };
        text.push_str(&line);
    }
    blkproof::text::parse(text.as_bytes()).expect("the text is right")
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

fn iotest(c: &mut Criterion) {
    let Some(folder) = std::env::var_os("BLKPROOF_IOTESTS") else {
        return;
    };
    let mut group = c.benchmark_group("iotest");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(30));
    group.bench_function("124", |b| {
        b.iter_custom(|times| {
            let start = Instant::now();
            for _ in 0..times {
                let mut check = Command::new("./check");
                let output = check.args(["-qcow2", "124"]).current_dir(&folder).output();
                assert!(
                    output.expect("check starts").status.success(),
                    "iotest 124 passes"
                );
            }
            start.elapsed()
        });
    });
}

criterion_group!(benches, whole, sizes, steps, campaign, iotest);
criterion_main!(benches);
