//! Ratios that must not grow: what a check can assert on a machine that is busy with other things.
//!
//! `cargo bench -p proptests --profile release --bench ratios [-- NAME...]`, which is what
//! `cargo run -p ci -- check --only ratios` does. Each row of `ci/RATIOS.md` names a ratio and what
//! it was when it was measured; it may be one and a half times that. Both sides of a ratio take
//! turns within one run, and the median of the turns counts. What counts is processor time, since
//! neighbours may have the processor meanwhile. A ratio that is too large is measured again, since
//! they may have had its caches, but only so often.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark prints, and fails where it cannot go on"
)]

use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

#[path = "workload/idle.rs"]
mod idle;
#[path = "workload/plain.rs"]
mod plain;
#[path = "workload/seed.rs"]
mod seed;
#[path = "workload/shrunk.rs"]
mod shrunk;
#[path = "workload/sides.rs"]
mod sides;
#[path = "workload/whole.rs"]
mod whole;

use sides::Sides;

/// How much more than measured a ratio may be.
const SLACK: f64 = 1.5;

/// How often a ratio is measured until it counts as too large.
const TRIES: usize = 3;

/// How often the sides of a ratio take turns.
const TURNS: usize = 15;

/// The least that a side works in its turn.
const TURN: Duration = Duration::from_millis(4);

/// The argument of a process that judges one scenario.
const FIRST: &str = "first-scenario";

/// What that may take, from the start of the process, in milliseconds.
const FIRST_MAX: f64 = 10.0;

/// What is said of failures that are made short.
const SHRINKING: &str = "shrinking";

/// What one may take: in runs, and in the middle of several in milliseconds.
const RUNS_MAX: u64 = 100;
const SHRINKING_MAX: f64 = 10.0;

/// The table, which is read when it is needed: a new number needs no new build.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ci/RATIOS.md");

/// A row of the table.
struct Row {
    name: String,
    measured: f64,
}

/// Reads the rows; the first cell of each is a name, the second a number.
fn rows() -> Vec<Row> {
    let table = std::fs::read_to_string(TABLE).expect("the table is in the repository");
    let row = |line: &str| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let name = cells.next()?.to_owned();
        let measured = cells.next()?.parse().ok()?;
        Some(Row { name, measured })
    };
    table.lines().filter_map(row).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns the processor time that this process has used, on all of its threads.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.try_into().expect("time that was used is not negative")
}

/// Returns how long a side takes for each of its units, over at least a turn.
fn turn(work: &mut dyn FnMut() -> u64) -> f64 {
    let (start, mut units) = (used(), 0);
    loop {
        units += work();
        let taken = used() - start;
        if taken >= TURN {
            #[expect(clippy::cast_precision_loss, reason = "there are far fewer")]
            return taken.as_secs_f64() / units as f64;
        }
    }
}

/// Returns the ratio of the two sides.
fn measure(sides: &mut Sides) -> f64 {
    turn(&mut sides.above);
    turn(&mut sides.below);
    let turns = (0..TURNS).map(|_| turn(&mut sides.above) / turn(&mut sides.below));
    median(turns.collect())
}

/// Judges one row, and tells whether it holds.
fn judge(row: &Row, sides: &mut Sides) -> bool {
    let bound = row.measured * SLACK;
    for _ in 0..TRIES {
        let ratio = measure(sides);
        let holds = ratio <= bound;
        let verdict = if holds { "ok" } else { "TOO MUCH" };
        println!(
            "{:32} {ratio:8.3}, at most {bound:7.3} ({} measured)  {verdict}",
            row.name, row.measured
        );
        if holds {
            return true;
        }
    }
    false
}

/// Judges the time of the first scenario of a process, from the start of that.
fn judge_first() -> bool {
    let program = std::env::current_exe().expect("this program has a path");
    let time = || {
        let output = Command::new(&program).arg(FIRST).output();
        let said = String::from_utf8(output.expect("this program starts").stdout);
        let said = said.expect("a number");
        said.trim().parse::<f64>().expect("the time that it took")
    };
    for _ in 0..TRIES {
        let taken = median((0..TURNS).map(|_| time()).collect());
        let holds = taken <= FIRST_MAX;
        let verdict = if holds { "ok" } else { "TOO MUCH" };
        println!("{FIRST:32} {taken:8.3} ms, at most {FIRST_MAX:4.0} ms  {verdict}");
        if holds {
            return true;
        }
    }
    false
}

/// Judges what it takes to make long scenarios short that fail by one bug each.
fn judge_shrinking() -> bool {
    let mut runner = shrunk::runner();
    let mut failing = shrunk::failing(&mut runner);
    assert!(failing.len() > 6, "most bugs make a long scenario fail");
    let (mut times, mut runs) = (Vec::new(), Vec::new());
    for case in &mut failing {
        let mut least = Duration::MAX;
        let mut taken = (0, 0);
        for _ in 0..TRIES {
            let start = used();
            taken = case.shrink(&mut runner);
            least = least.min(used() - start);
        }
        let time = least.as_secs_f64() * 1000.0;
        println!(
            "{SHRINKING:32} {time:8.3} ms, {} runs, to {} steps: {:?}",
            taken.0, taken.1, case.bug
        );
        times.push(time);
        runs.push(taken.0);
    }
    let (time, runs) = (median(times), runs.into_iter().max().unwrap_or(0));
    let holds = time <= SHRINKING_MAX && runs <= RUNS_MAX;
    let verdict = if holds { "ok" } else { "TOO MUCH" };
    println!(
        "{SHRINKING:32} {time:8.3} ms, at most {SHRINKING_MAX:4.0} ms, \
         {runs} runs at most, of {RUNS_MAX}  {verdict}"
    );
    holds
}

fn main() -> ExitCode {
    let args = std::env::args().skip(1);
    let wanted: Vec<String> = args.filter(|arg| !arg.starts_with('-')).collect();
    if wanted == [FIRST] {
        sides::first_scenario();
        println!("{}", used().as_secs_f64() * 1000.0);
        return ExitCode::SUCCESS;
    }
    let rows = rows();
    let known: Vec<&str> = rows.iter().map(|row| &*row.name).collect();
    assert_eq!(known, sides::NAMES, "ci/RATIOS.md has a row for each ratio");
    let mut held = true;
    for row in &rows {
        if wanted.is_empty() || wanted.contains(&row.name) {
            held &= judge(row, &mut sides::of(&row.name));
        }
    }
    if wanted.is_empty() {
        held &= judge_first();
        held &= judge_shrinking();
    }
    if held {
        return ExitCode::SUCCESS;
    }
    println!("something takes too long; what is compared, and how it was measured: ci/RATIOS.md");
    ExitCode::FAILURE
}
