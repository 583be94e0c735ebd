//! A sweep of losses of power by forks of the store, against runs from the start.
//!
//! `cargo bench -p proptests --bench power`. Each state that the sweep of `incremental_simple`
//! judges is made again by running its scenario from the start, with the same cut. Without forks
//! nobody knows which cuts leave the same state, so there would be a run for every cut.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use blkproof::spec::Scenario;
use blkproof::sweep::power::{Tally, sweep};
use blkproof::{Options, Outcome, Runner, corpus};
use blkproof_engine::{Engine, ImageInspector};

const ROUNDS: usize = 5;

/// Sweeps a scenario; tells `each` of every state's own scenario where that is wanted.
fn by_forks(runner: &mut Runner, scenario: &Scenario, states: Option<&mut Vec<Scenario>>) -> Tally {
    let (mut inspector, mut states) = (ImageInspector::new(), states);
    let each = |swept: &blkproof::sweep::power::Swept<'_>| {
        assert!(swept.failure.is_none(), "{:?}", swept.failure);
        if let Some(states) = &mut states {
            states.push(swept.scenario());
        }
        true
    };
    sweep(runner, scenario, 4, Engine::new, &mut inspector, each).expect("images are made")
}

fn by_restarts(runner: &mut Runner, states: &[Scenario]) {
    for scenario in states {
        let outcome = runner.run(scenario, &mut Engine::new(), Some(&mut ImageInspector));
        assert!(matches!(black_box(outcome), Outcome::Held(_)));
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora/seed/incremental_simple.blk");
    let scenario = corpus::load(&path).expect("the seed is right").scenario;
    let mut runner = Runner::new(Options::default());
    let mut states = Vec::new();
    let tally = by_forks(&mut runner, &scenario, Some(&mut states));
    let (mut forks, mut restarts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(by_forks(&mut runner, &scenario, None));
        forks.push(start.elapsed());
        let start = Instant::now();
        by_restarts(&mut runner, &states);
        restarts.push(start.elapsed());
    }
    show(&tally, median(forks), median(restarts));
}

/// Shows what a sweep took, and what it would take otherwise.
fn show(tally: &Tally, forks: f64, restarts: f64) {
    let (cuts, states) = (tally.cuts + tally.again.cuts, tally.states());
    let line = |what: &str, seconds: f64| {
        let (all, times) = (seconds * 1e3, seconds / forks);
        println!("  {what:58} {all:8.1} ms {times:6.2}");
    };
    println!("incremental_simple: {cuts} cuts, which leave {states} different states");
    line("sweep by forks: every cut made, every state judged", forks);
    line("a run from the start for every state", restarts);
    let every = restarts * cuts as f64 / states as f64;
    line(
        "a run from the start for every cut, reckoned from these",
        every,
    );
}
