//! The threads that judge cases.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Instant;

use blkproof::{Failure, Outcome};
use blkproof_spec::Scenario;

use super::plan::{End, Plan};
use super::totals::Totals;
use crate::args::Jobs;
use crate::error::Error;
use crate::judge::Judge;

/// How often the watcher hears how far the campaign is.
const TICK: Duration = Duration::from_millis(100);

/// How many failures may wait to be written down before the threads wait too.
const FOUND_MAX: usize = 16;

/// A case that failed.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) number: u64,
    pub(crate) scenario: Scenario,
    pub(crate) failure: Box<Failure>,
}

/// Who hears of a campaign while it runs.
pub(crate) trait Watcher {
    /// A case failed. Returns whether the campaign goes on.
    fn found(&mut self, found: Found) -> Result<bool, Error>;

    /// This many cases were claimed so far.
    fn progress(&mut self, cases: u64);
}

/// What the threads share.
struct Shared<'a> {
    plan: &'a Plan,
    next: AtomicU64,
    stop: AtomicBool,
    deadline: Option<Instant>,
}

impl Shared<'_> {
    /// Claims the next case, in ascending order, until the campaign ends.
    fn claim(&self) -> Option<u64> {
        let late = self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline);
        if late || self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        match self.plan.end {
            End::Cases(cases) => (number < cases).then_some(number),
            End::After(_) => Some(number),
        }
    }
}

/// Judges the cases of a plan on so many threads; returns what they did, and in which time.
pub(crate) fn judge(
    plan: &Plan,
    jobs: Jobs,
    watcher: &mut dyn Watcher,
) -> Result<(Totals, Duration), Error> {
    let start = Instant::now();
    let shared = Shared {
        plan,
        next: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        deadline: match plan.end {
            End::Cases(_) => None,
            End::After(time) => Some(start + time),
        },
    };
    let (sender, receiver) = mpsc::sync_channel(FOUND_MAX);
    thread::scope(|scope| {
        let spawn = |_| {
            let sender = sender.clone();
            let shared = &shared;
            scope.spawn(move || work(shared, &sender))
        };
        let threads: Vec<_> = (0..jobs.0).map(spawn).collect();
        // The channel ends when the last thread has ended.
        drop(sender);
        let mut watched = Ok(());
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(found) if watched.is_ok() => {
                    watched = watcher.found(found).map(|go_on| {
                        shared.stop.fetch_or(!go_on, Ordering::Relaxed);
                    });
                    shared.stop.fetch_or(watched.is_err(), Ordering::Relaxed);
                }
                Ok(_) => (),
                Err(RecvTimeoutError::Timeout) => {
                    watcher.progress(shared.next.load(Ordering::Relaxed));
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let mut totals = Totals::default();
        for thread in threads {
            // A panic that the judge did not catch is a bug of our own: it goes on from here.
            totals.merge(
                &thread
                    .join()
                    .unwrap_or_else(|panic| panic::resume_unwind(panic)),
            );
        }
        watched.map(|()| (totals, start.elapsed()))
    })
}

fn work(shared: &Shared<'_>, sender: &SyncSender<Found>) -> Totals {
    let mut judge = Judge::new();
    let mut totals = Totals::default();
    if shared.plan.stats {
        judge.cover();
    }
    while let Some(number) = shared.claim() {
        let scenario = shared.plan.case(number);
        let twice = Plan::is_twice(number);
        let outcome = if twice {
            judge.judge_twice(&scenario)
        } else {
            judge.judge(&scenario)
        };
        totals.add(number, &scenario, &outcome, twice);
        if let Outcome::Failed(failure) = outcome {
            let found = Found {
                number,
                scenario,
                failure,
            };
            // The receiver outlives the threads.
            let _ = sender.send(found);
        }
    }
    totals.coverage = judge.coverage();
    totals
}
