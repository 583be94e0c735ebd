//! The two sides of each ratio.

use std::hint::black_box;
use std::thread;

use blkproof::generate::{self, Profile};
use blkproof::spec::fault::{Effect, Extended, IoType, IoTypes, Rule, When};
use blkproof::spec::{
    ByteRange, Errno, FaultRule, ImageName, Layer, Length, Offset, Place, Scenario,
};
use blkproof::{Options, Runner};
use blkproof_device::{BlockDevice, Durability, MemDisk, MemStore, Pool, Store};
use blkproof_engine::Engine;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::seed::{judge, seed};
use super::whole::{Floor, rounds, shape, sized};
use super::{idle, plain};

/// One side: works a little, and returns how many units that was.
type Side = Box<dyn FnMut() -> u64>;

/// What is compared, and with what.
pub(super) struct Sides {
    pub(super) above: Side,
    pub(super) below: Side,
}

/// All ratios, in the order of the table.
pub(super) const NAMES: [&str; 10] = [
    "shape-over-floor",
    "small-over-floor",
    "16-tib-over-64-mib",
    "1-tib-over-64-mib",
    "step-of-10000-over-100",
    "no-rules-over-bare",
    "64-rules-over-bare",
    "generated-over-proptest",
    "two-threads-over-one",
    "idle-step-over-call",
];

/// Returns the sides of the ratio of this name.
pub(super) fn of(name: &str) -> Sides {
    let (above, below) = match name {
        "shape-over-floor" => (judged(shape()), floor()),
        "small-over-floor" => (cases(), floor()),
        "16-tib-over-64-mib" => (judged(sized(16 << 40)), judged(sized(64 << 20))),
        "1-tib-over-64-mib" => (judged(sized(1 << 40)), judged(sized(64 << 20))),
        "step-of-10000-over-100" => (judged(rounds(10_000)), judged(rounds(100))),
        "no-rules-over-bare" => (behind_rules(0), bare()),
        "64-rules-over-bare" => (behind_rules(64), bare()),
        "generated-over-proptest" => (generated(), by_proptest()),
        "idle-step-over-call" => (idle::judged(), idle::called()),
        "two-threads-over-one" => (on_threads(2), on_threads(1)),
        _ => panic!("no ratio is called {name}"),
    };
    Sides { above, below }
}

/// A unit is a step where there are many, else the scenario.
fn judged(scenario: Scenario) -> Side {
    let (mut runner, mut engine) = (Runner::new(Options::default()), Engine::new());
    let steps = scenario.steps.len() as u64;
    let units = if steps < 64 { 1 } else { steps };
    Box::new(move || {
        judge(&mut runner, &mut engine, &scenario);
        units
    })
}

/// The first cases of the profile `small`, made up and judged, as a campaign does.
fn cases() -> Side {
    const CASES: u64 = 64;
    let profile = small();
    let mut runner = Runner::new(Options::default());
    Box::new(move || {
        for number in 0..CASES {
            let case = generate::case(1, number, profile);
            judge(&mut runner, &mut Engine::new(), &case);
        }
        CASES
    })
}

fn small() -> &'static Profile {
    let mut profiles = Profile::built_in().iter();
    let found = profiles.find(|profile| &*profile.name == "small");
    found.expect("a built-in profile")
}

fn floor() -> Side {
    let mut floor = Floor::new();
    Box::new(move || {
        floor.run();
        1
    })
}

const PLACE: Offset = Offset(8192);

const READS: u64 = 1000;

/// Reads of a sector of the bare disk.
fn bare() -> Side {
    let mut disk = MemDisk::new(&Pool::new(), Length(64 << 20));
    disk.write_at(PLACE, &[7; 512], Durability::Later).unwrap();
    reads(move |buf| black_box(&mut disk).read_at(black_box(PLACE), buf).unwrap())
}

/// The same behind the fault layer, with so many rules that watch other places.
fn behind_rules(count: u64) -> Side {
    let name = ImageName::new("d");
    let mut store = MemStore::new(&Pool::new());
    let mut disk = store.create(&name, Length(64 << 20)).unwrap();
    disk.write_at(PLACE, &[7; 512], Durability::Later).unwrap();
    for number in 0..count {
        store.install(&FaultRule {
            name: None,
            place: Place {
                image: name.clone(),
                layer: Layer::File,
            },
            rule: Rule::Extended(Extended {
                iotypes: IoTypes::only(IoType::Read),
                range: Some(ByteRange::new((64 << 20) + number * 512, 512)),
                when: When::Always,
                effect: Effect::Error(Errno::EIO),
            }),
        });
    }
    reads(move |buf| {
        let _ = &store;
        black_box(&mut disk).read_at(black_box(PLACE), buf).unwrap();
    })
}

fn reads(mut read: impl FnMut(&mut [u8]) + 'static) -> Side {
    let mut buf = [0; 512];
    Box::new(move || {
        for _ in 0..READS {
            read(&mut buf);
        }
        READS
    })
}

/// Cases of the profile `small`, by step.
fn generated() -> Side {
    let profile = small();
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let case = black_box(generate::case(1, number, profile));
        case.steps.len() as u64
    })
}

/// Steps of the same kinds by strategies of proptest's own, which know of nothing that is legal.
fn by_proptest() -> Side {
    let strategy = plain::steps(16);
    let mut runner = TestRunner::deterministic();
    Box::new(move || {
        let tree = strategy.new_tree(&mut runner).unwrap();
        black_box(tree.current()).len() as u64
    })
}

/// The seed's scenario, judged on so many threads that share nothing.
fn on_threads(count: usize) -> Side {
    const TIMES: u64 = 8;
    let scenario = seed();
    let mut workers: Vec<_> = (0..count)
        .map(|_| (Runner::new(Options::default()), Engine::new()))
        .collect();
    Box::new(move || {
        thread::scope(|scope| {
            for (runner, engine) in &mut workers {
                let scenario = &scenario;
                scope.spawn(move || (0..TIMES).for_each(|_| judge(runner, engine, scenario)));
            }
        });
        TIMES * count as u64
    })
}

/// Judges the seed's scenario once.
pub(super) fn first_scenario() {
    let (mut runner, mut engine) = (Runner::new(Options::default()), Engine::new());
    judge(&mut runner, &mut engine, &seed());
}
