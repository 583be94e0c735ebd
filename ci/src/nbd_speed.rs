//! How fast the NBD server is, against nbdkit's, with the same client in the same run.
//!
//! Times of one machine say little and change with the neighbours' load; ratios within one run
//! hold. The servers take turns, some milliseconds each, and the median of the ratios counts.

mod client;
mod server;

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::tools;
use client::{Client, Kind};
use server::Server;

/// Measure the NBD server against nbdkit: requests per second, in the same run. Fails where ours is
/// more than one and a half times slower, three times in a row.
///
/// Needs nbdkit. Example: `cargo run -p ci -- nbd-speed --rounds 9`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often the servers take turns at each measurement.
    #[arg(long, value_name = "N", default_value_t = 7)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// How long each turn is, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    turn: u32,
}

/// The size of the disks.
const SIZE: u64 = 64 << 20;

/// What is served by whom. Each server is measured against the one it is paired with.
const PAIRS: [(&str, &[&str], &[&str]); 4] = [
    (
        "no rules, against nbdkit memory",
        &["--cache", "none"],
        &["memory", "64M"],
    ),
    (
        "volatile cache, against nbdkit memory",
        &["--cache", "volatile"],
        &["memory", "64M"],
    ),
    (
        "a rule, against nbdkit's error filter",
        &["--cache", "none", "--rules", "RULES"],
        &["--filter=error", "memory", "64M", "error-rate=0.000000001"],
    ),
    (
        "a rule and a cache, against the same",
        &["--cache", "volatile", "--rules", "RULES"],
        &["--filter=error", "memory", "64M", "error-rate=0.000000001"],
    ),
];

/// How much slower than the other one ours may be: it is to be level with it, but for what
/// neighbours do to a measurement.
const SLACK: f64 = 1.5;

/// How often a ratio is measured until it counts as too small.
const TRIES: usize = 3;

/// A rule that looks at every request and acts on none that comes.
const RULES: &str = "blkproof 1\n\
    fault disk0.file error errno=EIO iotype=read,write when=every(1000000000000)\n";

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if tools::find("nbdkit").is_none() {
        return Err(Failure::environment("nbdkit was not found; install it"));
    }
    server::build()?;
    println!("requests per second, ours and theirs, medians; and the median of the ratios");
    let mut slow = Vec::new();
    for (what, ours, theirs) in PAIRS {
        println!("{what}");
        let servers = [Server::ours(ours, RULES)?, Server::nbdkit(theirs)?];
        let mut clients = Vec::new();
        for server in &servers {
            let mut client = Client::connect(&server.socket(), SIZE)?;
            client.fill()?;
            clients.push(client);
        }
        for (kind, len, depth) in measurements() {
            for tries_left in (0..TRIES).rev() {
                let rates = measure(&mut clients, kind, len, depth, args)?;
                let said = told(kind, len, depth, &rates);
                if holds(&rates) {
                    println!("  {said}");
                    break;
                }
                println!("  {said}  TOO SLOW");
                if tries_left == 0 {
                    slow.push(format!("{what}: {said}"));
                }
            }
        }
    }
    if slow.is_empty() {
        return Ok(());
    }
    Err(Failure::check(format!(
        "nbd-speed: more than {SLACK} times slower:\n  {}",
        slow.join("\n  ")
    )))
}

/// Tells whether ours is fast enough.
fn holds(rates: &[[f64; 2]]) -> bool {
    ratio(rates) * SLACK >= 1.0
}

fn ratio(rates: &[[f64; 2]]) -> f64 {
    median(rates.iter().map(|[ours, theirs]| ours / theirs))
}

/// Every kind of request in two sizes at two depths.
fn measurements() -> Vec<(Kind, u32, usize)> {
    let mut all = Vec::new();
    for kind in [Kind::Read, Kind::Write] {
        for len in [4 << 10, 256 << 10] {
            for depth in [1, 16] {
                all.push((kind, len, depth));
            }
        }
    }
    all
}

/// Requests per second of both servers, turn by turn.
fn measure(
    clients: &mut [Client],
    kind: Kind,
    len: u32,
    depth: usize,
    args: &Args,
) -> anyhow::Result<Vec<[f64; 2]>> {
    let turn = Duration::from_millis(args.turn.into());
    let mut rates = Vec::new();
    for round in 0..=args.rounds {
        let mut pair = [0.0; 2];
        for (client, rate) in clients.iter_mut().zip(&mut pair) {
            let start = Instant::now();
            let count = client.run(kind, len, depth, turn)?;
            *rate = f64::from(count) / start.elapsed().as_secs_f64();
        }
        // The first one warms up.
        if round > 0 {
            rates.push(pair);
        }
    }
    Ok(rates)
}

fn told(kind: Kind, len: u32, depth: usize, rates: &[[f64; 2]]) -> String {
    let [ours, theirs] = [0, 1].map(|index| median(rates.iter().map(|pair| pair[index])));
    let ratio = ratio(rates);
    let megabytes = ours * f64::from(len) / 1e6;
    let (kind, kib) = (kind.name(), len >> 10);
    format!(
        "{kind:5} {kib:3} KiB, depth {depth:2}: {ours:8.0} {theirs:8.0}  {ratio:5.2} \
         ({megabytes:.0} MB/s)"
    )
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!(median(core::iter::empty()).is_nan());
    }

    #[test]
    fn every_pair_is_told_by_its_median_ratio() {
        let rates = [[10.0, 5.0], [12.0, 12.0], [30.0, 10.0]];
        let told = told(Kind::Read, 4096, 16, &rates);
        assert!(told.contains(" 2.00 "), "{told}");
        assert_eq!(measurements().len(), 8);
    }

    #[test]
    fn what_is_too_slow_does_not_hold() {
        assert!(holds(&[[2.0, 3.0]]) && holds(&[[9.0, 1.0]]));
        assert!(!holds(&[[1.0, 2.0], [1.0, 1.6], [5.0, 1.0]]));
        // Neither does what was not measured.
        assert!(!holds(&[]));
    }
}
