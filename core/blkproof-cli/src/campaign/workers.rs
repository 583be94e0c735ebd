//! The threads that judge cases.

use core::mem;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Instant;

use blkproof::{Failure, Outcome};
use blkproof_spec::Scenario;

use super::done::Done;
use super::plan::Plan;
use super::totals::Totals;
use crate::args::Jobs;
use crate::error::Error;
use crate::judge::Judge;

/// How often the watcher looks around at least.
const TICK: Duration = Duration::from_millis(100);

/// How many cases a thread judges before it hands on what came of them, and for how long.
const BATCH: (usize, Duration) = (64, Duration::from_millis(50));

/// How many batches may wait for the watcher before the threads wait too.
const BATCHES_MAX: usize = 16;

/// A case that failed.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) number: u64,
    pub(crate) scenario: Scenario,
    pub(crate) failure: Box<Failure>,
}

/// What came of some cases. Whoever takes it knows of all of them, or of none.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Their positions.
    pub(crate) positions: Vec<u64>,
    pub(crate) totals: Totals,
    /// The last of them, if it failed.
    pub(crate) found: Option<Found>,
}

/// Who hears of a campaign while it runs.
pub(crate) trait Watcher {
    /// Takes in what came of cases. Returns whether the campaign goes on.
    fn judged(&mut self, batch: Batch) -> Result<bool, Error>;

    /// Looks around; called now and then. Returns whether the campaign goes on.
    fn look(&mut self) -> Result<bool, Error>;
}

/// What the threads share.
struct Shared<'a> {
    plan: &'a Plan,
    /// What was judged before.
    earlier: &'a Done,
    next: AtomicU64,
    stop: AtomicBool,
    deadline: Option<Instant>,
}

impl Shared<'_> {
    /// Claims the next case, in ascending order, until the campaign ends; returns its position and
    /// its number. Gaps that an interruption left are filled whatever the time is, so that what is
    /// judged in the end are all cases up to some number.
    fn claim(&self) -> Option<(u64, u64)> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let fills = self.next.load(Ordering::Relaxed) < self.earlier.end();
            let is_late = |deadline| !fills && Instant::now() >= deadline;
            if self.deadline.is_some_and(is_late) {
                return None;
            }
            let position = self.next.fetch_add(1, Ordering::Relaxed);
            if !self.earlier.contains(position) {
                return Some((position, self.plan.number(position)?));
            }
        }
    }
}

/// Judges the cases of a plan that were not judged `earlier`, on so many threads, until
/// `deadline`, if there is one.
pub(crate) fn judge(
    plan: &Plan,
    jobs: Jobs,
    earlier: &Done,
    deadline: Option<Instant>,
    watcher: &mut dyn Watcher,
) -> Result<(), Error> {
    let shared = Shared {
        plan,
        earlier,
        next: AtomicU64::new(earlier.first_gap()),
        stop: AtomicBool::new(false),
        deadline,
    };
    let (sender, receiver) = mpsc::sync_channel(BATCHES_MAX);
    thread::scope(|scope| {
        let spawn = |_| {
            let sender = sender.clone();
            let shared = &shared;
            scope.spawn(move || work(shared, &sender))
        };
        let threads: Vec<_> = (0..jobs.0).map(spawn).collect();
        // The channel ends when the last thread has ended.
        drop(sender);
        let mut watched = Ok(true);
        loop {
            let heard = match receiver.recv_timeout(TICK) {
                Ok(batch) => Some(batch),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            // Threads that stop still tell what they judged; after an error nobody listens.
            watched = watched.and_then(|go_on| {
                let judged = heard.map_or(Ok(true), |batch| watcher.judged(batch))?;
                Ok(watcher.look()? && judged && go_on)
            });
            let stop = !matches!(watched, Ok(true));
            shared.stop.fetch_or(stop, Ordering::Relaxed);
        }
        for thread in threads {
            // A panic that the judge did not catch is a bug of our own: it goes on from here.
            thread
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic));
        }
        watched.map(|_| ())
    })
}

fn work(shared: &Shared<'_>, sender: &SyncSender<Batch>) {
    let mut judge = Judge::with_bugs(shared.plan.bugs());
    let mut batch = Batch::default();
    let mut start = Instant::now();
    if shared.plan.stats {
        judge.cover();
    }
    judge.mask(shared.plan.known.known().clone());
    while let Some((position, number)) = shared.claim() {
        let twice = Plan::is_twice(number);
        let (scenario, outcome) = judge.look_behind(shared.plan.case(number), twice);
        batch.positions.push(position);
        batch.totals.add(number, &scenario, &outcome, twice);
        if let Outcome::Failed(failure) = outcome {
            batch.found = Some(Found {
                number,
                scenario,
                failure,
            });
        }
        let full = batch.positions.len() >= BATCH.0 || start.elapsed() >= BATCH.1;
        if full || batch.found.is_some() {
            batch.totals.coverage = judge.take_coverage();
            batch
                .totals
                .see(&judge.take_sightings(), shared.plan.known.known());
            // The receiver outlives the threads.
            let _ = sender.send(mem::take(&mut batch));
            start = Instant::now();
        }
    }
    batch.totals.coverage = judge.take_coverage();
    batch
        .totals
        .see(&judge.take_sightings(), shared.plan.known.known());
    let _ = sender.send(batch);
}
