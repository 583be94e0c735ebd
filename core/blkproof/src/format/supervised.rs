//! The thread on which libraries are judged that may never answer, and the clock that watches it.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;

use super::journal::unanswered;
use super::outcome::{Counts, Outcome, Property};
use super::run::Judge;
use super::scenario::Scenario;

/// How many threads are left behind before nothing is judged any more.
const LEFT_MAX: u32 = 8;

/// Makes a judge, and hands it on.
type Make = dyn Fn(&mut dyn FnMut(Judge<'_>)) + Send + Sync;

/// A judge on a thread of its own, for libraries that may wait for ever without asking their
/// devices for anything: nobody but a clock can tell.
///
/// A thread cannot be ended from outside. One that does not answer in time is left to itself, its
/// scenario has failed ([`Property::Ends`]), and the next one is judged on another thread. After
/// eight of them, scenarios are not judged any more. What a library does to the whole process, such
/// as to abort it, cannot be told here; what it was at stands in a [`Journal`](super::Journal), if
/// the judge keeps one ([`Judge::journaling`]).
///
/// ```
/// use core::time::Duration;
///
/// use blkproof::format::{Judge, Scenario, Supervised};
/// # use blkproof::device::BlockDevice;
/// # use blkproof::format::{Capabilities, Files, Image, Library, NewImage, OpenOptions};
/// # use blkproof::format::RequestError;
/// # #[derive(Debug)]
/// # struct Mine;
/// # impl Library for Mine {
/// #     fn capabilities(&self) -> Capabilities { unreachable!() }
/// #     fn create(&mut self, _: Box<dyn BlockDevice>, _: &NewImage) -> Result<(), RequestError> {
/// #         unreachable!()
/// #     }
/// #     fn open(&mut self, _: Files, _: &OpenOptions) -> Result<Box<dyn Image>, RequestError> {
/// #         unreachable!()
/// #     }
/// # }
///
/// let mut supervised = Supervised::new(Duration::from_secs(30), |judge| {
///     let mut library = Mine;
///     judge(Judge::new(&mut library));
/// });
/// # fn more() -> Option<Scenario> { None }
/// while let Some(scenario) = more() {
///     let outcome = supervised.run(&scenario);
///     assert!(outcome.failure().is_none());
/// }
/// ```
pub struct Supervised {
    make: Arc<Make>,
    limit: Duration,
    worker: Option<Worker>,
    left: u32,
}

/// The thread, from outside.
struct Worker {
    ask: Sender<Scenario>,
    told: Receiver<Outcome>,
    /// The step under way; 0 before the first one.
    step: Arc<AtomicU32>,
}

impl Supervised {
    /// Judges each scenario within `limit`, on a thread on which `make` makes the judge that it
    /// hands to its argument. On another thread it is made anew.
    pub fn new<F>(limit: Duration, make: F) -> Self
    where
        F: Fn(&mut dyn FnMut(Judge<'_>)) + Send + Sync + 'static,
    {
        Self {
            make: Arc::new(make),
            limit,
            worker: None,
            left: 0,
        }
    }

    /// Runs a scenario.
    pub fn run(&mut self, scenario: &Scenario) -> Outcome {
        if self.left >= LEFT_MAX {
            let why = format!("{LEFT_MAX} scenarios did not come to their end");
            return Outcome::NotJudged(why, Counts::default());
        }
        let worker = match self.worker.take().map_or_else(|| self.start(), Ok) {
            Ok(worker) => worker,
            Err(error) => {
                let why = format!("cannot start a thread to judge on: {error}");
                return Outcome::NotJudged(why, Counts::default());
            }
        };
        // Where nobody listens, nobody answers either.
        let _ = worker.ask.send(scenario.clone());
        match worker.told.recv_timeout(self.limit) {
            Ok(outcome) => {
                self.worker = Some(worker);
                outcome
            }
            Err(RecvTimeoutError::Timeout) => {
                self.left += 1;
                let seen = format!("no end within {} s", self.limit.as_secs_f64());
                let step = worker.step.load(Ordering::Relaxed);
                Outcome::Failed(Box::new(unanswered(scenario, step, Property::Ends, seen)))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let seen = "the thread on which it was judged is gone".to_owned();
                let step = worker.step.load(Ordering::Relaxed);
                let property = Property::NoCrash;
                Outcome::Failed(Box::new(unanswered(scenario, step, property, seen)))
            }
        }
    }

    fn start(&self) -> std::io::Result<Worker> {
        let (ask, asked) = mpsc::channel::<Scenario>();
        let (tell, told) = mpsc::channel();
        let step = Arc::new(AtomicU32::new(0));
        let (make, noted) = (Arc::clone(&self.make), Arc::clone(&step));
        let work = move || {
            make(&mut |judge| {
                let mut judge = judge.noting(&noted);
                for scenario in &asked {
                    // Where nobody waits any more, nobody wants to know.
                    if tell.send(judge.run(&scenario)).is_err() {
                        break;
                    }
                }
            });
        };
        thread::Builder::new().spawn(work)?;
        Ok(Worker { ask, told, step })
    }
}

impl fmt::Debug for Supervised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervised")
            .field("limit", &self.limit)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
