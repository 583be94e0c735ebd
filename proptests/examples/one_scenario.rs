//! Does one side of a ratio, or runs the model alone, a number of times, for counting instructions:
//!
//! ```text
//! cargo build --release -p proptests --example one_scenario
//! valgrind --tool=callgrind target/release/examples/one_scenario shape 100
//! ```
//!
//! The arguments are what to do (`model`, `shape`, `floor`, `sized` or `rounds` with a number
//! behind a colon, `generated`, `proptest`), and how often. The difference between two runs,
//! divided by that of how often, is what one costs. Lengths of 2 KiB and more are moved by single
//! instructions that are counted as if each byte was one, unless `GLIBC_TUNABLES` sets
//! `glibc.cpu.x86_rep_stosb_threshold` and `glibc.cpu.x86_rep_movsb_threshold` out of reach.

use std::env;
use std::error::Error;
use std::hint::black_box;

use blkproof::generate::{self, Profile};
use blkproof::spec::Scenario;
use blkproof::{Options, Runner};
use blkproof_engine::Engine;
use blkproof_spec::{Capabilities, Judgement, Model};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

#[path = "../benches/workload/plain.rs"]
mod plain;
#[path = "../benches/workload/seed.rs"]
mod seed;
#[path = "../benches/workload/shown.rs"]
mod shown;
#[path = "../benches/workload/whole.rs"]
mod whole;

fn model(times: u64) {
    let (setup, steps) = shown::scenario();
    let mut out = Judgement::default();
    let mut model = Model::new(&setup, Capabilities::FULL);
    for _ in 0..times {
        assert_eq!(shown::run(&mut model, &setup, &steps, &mut out), 0);
    }
}

fn judged(scenario: &Scenario, times: u64) {
    let (mut runner, mut engine) = (Runner::new(Options::default()), Engine::new());
    for _ in 0..times {
        seed::judge(&mut runner, &mut engine, scenario);
    }
}

fn floor(times: u64) {
    let mut floor = whole::Floor::new();
    for _ in 0..times {
        floor.run();
    }
}

fn generated(times: u64) {
    let profile = Profile::built_in()
        .iter()
        .find(|known| &*known.name == "small")
        .expect("a built-in profile");
    for number in 0..times {
        black_box(generate::case(1, number, profile));
    }
}

fn by_proptest(times: u64) {
    let strategy = plain::steps(16);
    let mut runner = TestRunner::deterministic();
    for _ in 0..times {
        let tree = strategy.new_tree(&mut runner).expect("nothing is rejected");
        black_box(tree.current());
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [what, times] = arguments.as_slice() else {
        return Err("expected two arguments, see the head of the example".into());
    };
    let times = times.parse()?;
    match what.split_once(':').unwrap_or((what, "")) {
        ("model", _) => model(times),
        ("shape", _) => judged(&whole::shape(), times),
        ("floor", _) => floor(times),
        ("sized", size) => judged(&whole::sized(size.parse()?), times),
        ("rounds", steps) => judged(&whole::rounds(steps.parse()?), times),
        ("generated", _) => generated(times),
        ("proptest", _) => by_proptest(times),
        (other, _) => return Err(format!("nothing is called {other}").into()),
    }
    Ok(())
}
