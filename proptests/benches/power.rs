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
    let (forks, restarts) = (median(forks), median(restarts));
    let (cuts, count) = (tally.cuts, states.len());
    println!(
        "{cuts} cuts by forks, {count} states judged: {:.1} ms",
        forks * 1e3
    );
    println!(
        "{count} of these cuts by runs from the start: {:.1} ms",
        restarts * 1e3
    );
    let all = restarts * cuts as f64 / count as f64;
    println!(
        "every cut by a run from the start would take {:.1} times as long",
        all / forks
    );
}
