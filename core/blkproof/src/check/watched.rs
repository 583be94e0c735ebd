//! A subject under watch: whoever waits for it knows which of its methods it is in, and where.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blkproof_device::Store;
use blkproof_spec::{
    Action, At, ByteRange, Capabilities, JobEvent, Reply, Scenario, Setup, Status, StepNumber,
};

use super::campaign::What;
use super::isolated::Notes;
use crate::outcome::{Counts, Failure, Finding, Moment, Outcome};
use crate::run::{Runner, caught};
use crate::subject::{Subject, SubjectError};

/// What a subject is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Call {
    Make,
    Capabilities,
    Prepare,
    Open,
    Apply,
    Peek,
    Status,
    DrainEvents,
    Close,
    Drop,
    /// It is not asked for anything.
    Nothing,
}

impl Call {
    const ALL: [Self; 11] = [
        Self::Make,
        Self::Capabilities,
        Self::Prepare,
        Self::Open,
        Self::Apply,
        Self::Peek,
        Self::Status,
        Self::DrainEvents,
        Self::Close,
        Self::Drop,
        Self::Nothing,
    ];

    /// Returns the name of the method, as it stands in the subject's code.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Make => "the closure that makes the subject",
            Self::Capabilities => "capabilities",
            Self::Prepare => "prepare",
            Self::Open => "open",
            Self::Apply => "apply",
            Self::Peek => "peek",
            Self::Status => "status",
            Self::DrainEvents => "drain_events",
            Self::Close => "close",
            Self::Drop => "drop",
            Self::Nothing => "blkproof itself",
        }
    }

    pub(super) fn of(number: u8) -> Self {
        let known = Self::ALL.get(usize::from(number));
        known.copied().unwrap_or(Self::Nothing)
    }
}

/// How far a check is, for whoever waits for it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    now: Mutex<Option<(What, Scenario)>>,
    /// Grows with every scenario.
    begun: AtomicU32,
    step: AtomicU32,
    call: AtomicU8,
    /// What is said to another process.
    notes: Option<Notes>,
}

/// What is under way.
#[derive(Clone, Debug)]
pub(super) struct Now {
    pub(super) what: What,
    pub(super) scenario: Scenario,
    /// The last step that the subject was given; 0 before the first.
    pub(super) step: u32,
    pub(super) call: Call,
}

impl Progress {
    pub(super) fn new(notes: Option<Notes>) -> Self {
        Self {
            notes,
            ..Self::default()
        }
    }

    /// Takes in which scenario begins.
    pub(super) fn begin(&self, what: &What, scenario: &Scenario) {
        *self.lock() = Some((what.clone(), scenario.clone()));
        if let Some(notes) = &self.notes {
            notes.begin(what, scenario);
        }
        self.step.store(0, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, call: Call) {
        self.call.store(call as u8, Ordering::Relaxed);
        if let Some(notes) = &self.notes {
            notes.enter(self.step.load(Ordering::Relaxed), call as u8);
        }
    }

    /// Does something that the subject is asked for.
    pub(super) fn during<T>(&self, call: Call, ask: impl FnOnce() -> T) -> T {
        self.enter(call);
        let answer = ask();
        self.call.store(Call::Nothing as u8, Ordering::Relaxed);
        answer
    }

    /// Returns how many scenarios have begun.
    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Returns what is under way, if a scenario has begun.
    pub(super) fn now(&self) -> Option<Now> {
        let (what, scenario) = self.lock().clone()?;
        Some(Now {
            what,
            scenario,
            step: self.step.load(Ordering::Relaxed),
            call: Call::of(self.call.load(Ordering::Relaxed)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<(What, Scenario)>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subject whose calls are noted.
#[derive(Debug)]
struct Watched<'a, S> {
    subject: S,
    progress: &'a Arc<Progress>,
}

/// Makes a subject, judges it by a scenario, and drops it. Nothing that it does gets out.
pub(super) fn judge<S: Subject>(
    runner: &mut Runner,
    scenario: &Scenario,
    make: &mut dyn FnMut() -> S,
    progress: &Arc<Progress>,
) -> Outcome {
    let subject = match caught(|| progress.during(Call::Make, make)) {
        Ok(subject) => subject,
        Err(panic) => {
            return failed(Moment::Preparing, scenario, panic, Counts::default());
        }
    };
    let mut watched = Watched { subject, progress };
    let outcome = runner.run(scenario, &mut watched, None);
    match caught(move || progress.during(Call::Drop, || drop(watched))) {
        Err(panic) if !matches!(outcome, Outcome::Failed(_)) => {
            failed(Moment::End, scenario, panic, outcome.counts().clone())
        }
        _ => outcome,
    }
}

fn failed(moment: Moment, scenario: &Scenario, finding: Finding, counts: Counts) -> Outcome {
    Outcome::Failed(Box::new(Failure {
        step_kind: moment.step_kind(scenario),
        moment,
        findings: vec![finding],
        replies: Vec::new(),
        firings: Vec::new(),
        counts,
    }))
}

impl<S: Subject> Subject for Watched<'_, S> {
    fn capabilities(&self) -> Capabilities {
        let ask = || self.subject.capabilities();
        self.progress.during(Call::Capabilities, ask)
    }

    fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        let ask = || self.subject.prepare(store, setup);
        self.progress.during(Call::Prepare, ask)
    }

    fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        let ask = || self.subject.open(store, setup);
        self.progress.during(Call::Open, ask)
    }

    fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        self.progress.step.store(number.0, Ordering::Relaxed);
        let ask = || self.subject.apply(number, action, read);
        self.progress.during(Call::Apply, ask)
    }

    fn peek(&mut self, at: &At, range: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError> {
        let ask = || self.subject.peek(at, range, buf);
        self.progress.during(Call::Peek, ask)
    }

    fn status(&mut self, status: &mut Status) {
        let ask = || self.subject.status(status);
        self.progress.during(Call::Status, ask);
    }

    fn drain_events(&mut self, events: &mut Vec<JobEvent>) {
        let ask = || self.subject.drain_events(events);
        self.progress.during(Call::DrainEvents, ask);
    }

    fn close(&mut self) -> Result<(), SubjectError> {
        let ask = || self.subject.close();
        self.progress.during(Call::Close, ask)
    }
}
