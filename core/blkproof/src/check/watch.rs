//! The thread on which subjects are judged, and the clock that watches it.
//!
//! A thread cannot be ended from outside. One that never comes to its end is left to itself: the
//! test that waited for it fails, the others go on, and it ends with the process. That is why
//! nothing is shrunk then by running it: each candidate would leave another such thread behind.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use blkproof_spec::Capabilities;

use super::campaign::{Campaign, What};
use super::hush;
use super::isolated::Notes;
use super::judged::Judged;
use super::watched::{self, Call, Now, Progress};
use crate::outcome::Outcome;
use crate::run::{Options, Runner, caught, panic_text};
use crate::subject::Subject;

/// How often the clock is looked at, at least.
const TICK: Duration = Duration::from_millis(50);

/// What came of a campaign.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Everything held.
    Held(Judged),
    /// Something failed, says this report.
    Failed(String),
    /// A scenario never came to its end, for this reason.
    Gone(Box<Now>, String),
}

/// Judges a campaign on a thread of its own, each scenario of it within `limit`.
pub(super) fn judge<S, F>(
    campaign: &Arc<Campaign>,
    make: F,
    limit: Duration,
    notes: Option<Notes>,
) -> Verdict
where
    S: Subject,
    F: FnMut() -> S + Send + 'static,
{
    let progress = Arc::new(Progress::new(notes));
    let (tell, told) = mpsc::channel();
    let worker = {
        let (campaign, progress) = (Arc::clone(campaign), Arc::clone(&progress));
        move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&campaign, make, &progress)));
            // Where nobody waits any more, nobody wants to know.
            let _ = tell.send(result);
        }
    };
    let name = campaign.around.test.clone().unwrap_or_default();
    let spawned = thread::Builder::new().name(name).spawn(worker);
    if let Err(error) = spawned {
        return Verdict::Failed(format!("cannot start a thread to judge on: {error}"));
    }
    wait(&told, &progress, limit)
}

type Told = thread::Result<Result<Judged, String>>;

fn wait(told: &Receiver<Told>, progress: &Progress, limit: Duration) -> Verdict {
    let mut begun = (progress.begun(), Instant::now());
    loop {
        match told.recv_timeout(TICK) {
            Ok(Ok(Ok(judged))) => return Verdict::Held(judged),
            Ok(Ok(Err(report))) => return Verdict::Failed(report),
            Ok(Err(panic)) => match progress.now() {
                // A bug of blkproof itself, with the scenario that shows it.
                Some(now) => {
                    let words = format!("a panic: {}", panic_text(&*panic));
                    return Verdict::Gone(Box::new(now), words);
                }
                None => resume_unwind(panic),
            },
            Err(RecvTimeoutError::Disconnected) => {
                return Verdict::Failed("the thread that judges is gone".to_owned());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if progress.begun() != begun.0 {
            begun = (progress.begun(), Instant::now());
        } else if begun.1.elapsed() >= limit
            && let Some(now) = progress.now()
        {
            let words = format!("no end within {} s", limit.as_secs_f64());
            return Verdict::Gone(Box::new(now), words);
        }
    }
}

/// Judges a campaign on this thread.
fn work<S, F>(campaign: &Campaign, mut make: F, progress: &Arc<Progress>) -> Result<Judged, String>
where
    S: Subject,
    F: FnMut() -> S,
{
    let quiet = campaign.around.replay.is_none();
    // A subject that never says what it can do is judged by some scenario.
    let minimal = Capabilities::MINIMAL;
    progress.begin(&What::Case(0), &campaign.case(0, &minimal));
    let ask = || {
        let subject = progress.during(Call::Make, &mut make);
        let can = progress.during(Call::Capabilities, || subject.capabilities());
        progress.during(Call::Drop, || drop(subject));
        can
    };
    let asked = hush::during(quiet, || caught(ask));
    let can = asked.unwrap_or(minimal);
    let mut runner = Runner::new(Options::default());
    let mut traced = Runner::new(Options {
        trace: true,
        ..Options::default()
    });
    campaign.judge(&can, &mut |what, scenario| {
        let mut run = |runner: &mut Runner| {
            progress.begin(what, scenario);
            let judge = || watched::judge(runner, scenario, &mut make, progress);
            hush::placed(hush::during(quiet, judge))
        };
        if !campaign.is_twice(what) {
            return run(&mut runner);
        }
        let first = run(&mut traced);
        let second = run(&mut traced);
        Outcome::of_two(first, &second, scenario)
    })
}
