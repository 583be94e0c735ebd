//! What the devices of one store share: the virtual clock, the ledger, the trace, and who waits.
//!
//! Requests come here only when something fires, waits or is traced.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blkproof_spec::fault::Firing;
use blkproof_spec::{ByteRange, ImageName, IoType, Millis, Tag};

use crate::block_device::Wait;
use crate::fault_store::FaultStore;
use crate::layer::chance::{mix_all, mix_text};
use crate::media::Media;
use crate::meter::Meter;
use crate::pool::Pool;
use crate::record::{Operation, Recorded};
use crate::trace::TraceEntry;

/// A handle to a store's desk.
#[derive(Clone, Default)]
pub(crate) struct Desk(Arc<Inner>);

#[derive(Default)]
struct Inner {
    quiet: AtomicBool,
    recording: AtomicBool,
    meter: Meter,
    /// On whose behalf requests are made.
    actor: AtomicU64,
    /// The request to a format as whose part requests are made; 0 for none.
    enclosing: AtomicU64,
    /// Where requests find buffers.
    pool: Pool,
    files: Mutex<Files>,
}

/// What lies on a desk.
#[derive(Clone, Default)]
pub(crate) struct Files {
    pub(crate) now: Millis,
    pub(crate) ledger: Vec<Firing>,
    pub(crate) trace: Vec<TraceEntry>,
    /// What was recorded, if that is switched on.
    pub(crate) record: Option<Vec<Recorded>>,
    suspended: Vec<Suspension>,
    delayed: Vec<Delay>,
}

/// A request that breakpoints hold.
#[derive(Clone)]
struct Suspension {
    /// The tag that the caller was told to wait for.
    told: Tag,
    /// The tags that still hold it. One event can run into several breakpoints.
    tags: Vec<Tag>,
}

/// A request that a rule delays.
#[derive(Clone)]
struct Delay {
    until: Millis,
    rule: u64,
}

impl Desk {
    /// Makes a desk whose requests find their buffers in a pool.
    pub(crate) fn new(pool: &Pool) -> Self {
        Self(Arc::new(Inner {
            pool: pool.clone(),
            ..Inner::default()
        }))
    }

    /// Returns where requests find buffers.
    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Files> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether no layer acts for the time being.
    pub(crate) fn is_quiet(&self) -> bool {
        self.0.quiet.load(Ordering::Relaxed)
    }

    /// Has no layer act, or has them act again.
    pub(crate) fn set_quiet(&self, quiet: bool) {
        self.0.quiet.store(quiet, Ordering::Relaxed);
    }

    /// Says on whose behalf requests are made from now on.
    pub(crate) fn act_for(&self, actor: &str) {
        self.0.actor.store(mix_text(0, actor), Ordering::Relaxed);
        self.0.enclosing.store(0, Ordering::Relaxed);
    }

    /// Returns on whose behalf requests are made, and as part of which.
    pub(crate) fn whose(&self) -> Whose {
        Whose {
            actor: self.0.actor.load(Ordering::Relaxed),
            enclosing: self.0.enclosing.load(Ordering::Relaxed),
        }
    }

    /// Has requests be parts of this one, which a format is about to get, until the return value is
    /// dropped.
    pub(crate) fn enter(&self, kind: IoType, range: ByteRange) -> Enclosed<'_> {
        let outer = self.0.enclosing.load(Ordering::Relaxed);
        let inner = mix_all(outer, [kind as u64, range.start, range.len]);
        self.0.enclosing.store(inner, Ordering::Relaxed);
        Enclosed { desk: self, outer }
    }

    /// Has operations recorded from now on, or no more.
    pub(crate) fn set_recording(&self, recording: bool) {
        self.0.recording.store(recording, Ordering::Relaxed);
        self.lock().record = recording.then(Vec::new);
    }

    /// Records an operation, if that is switched on.
    pub(crate) fn record(&self, image: &ImageName, what: impl FnOnce() -> Operation) {
        if self.0.recording.load(Ordering::Relaxed)
            && let Some(record) = &mut self.lock().record
        {
            record.push(Recorded {
                number: self.meter().operations(),
                image: image.clone(),
                what: what(),
                struck: false,
            });
        }
    }

    /// Records that power was lost in the midst of the last operation.
    pub(crate) fn record_strike(&self) {
        if let Some(last) = self
            .lock()
            .record
            .as_mut()
            .and_then(|record| record.last_mut())
        {
            last.struck = true;
        }
    }

    /// Returns what counts operations and tells whether there is power.
    pub(crate) fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Returns a desk of its own with copies of everything.
    pub(crate) fn fork(&self) -> Self {
        Self(Arc::new(Inner {
            quiet: AtomicBool::new(self.is_quiet()),
            recording: AtomicBool::new(false),
            meter: self.meter().fork(),
            actor: AtomicU64::new(self.0.actor.load(Ordering::Relaxed)),
            enclosing: AtomicU64::new(0),
            pool: self.pool().clone(),
            files: Mutex::new(Files {
                record: None,
                ..self.lock().clone()
            }),
        }))
    }
}

/// On whose behalf a request is made.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Whose {
    /// A step or a job.
    pub(crate) actor: u64,
    /// The request to a format that it is part of; 0 for none.
    pub(crate) enclosing: u64,
}

/// A request to a format that is under way.
pub(crate) struct Enclosed<'a> {
    desk: &'a Desk,
    outer: u64,
}

impl Drop for Enclosed<'_> {
    /// Also where whoever asked is unwound.
    fn drop(&mut self) {
        self.desk.0.enclosing.store(self.outer, Ordering::Relaxed);
    }
}

impl<M: Media> FaultStore<M> {
    /// Says on whose behalf requests are made from now on: a step, or a job, in words that are the
    /// same whatever else is done. Chance in rules hangs on them, so that what somebody else does
    /// or leaves moves no fault.
    pub fn act_for(&self, actor: &str) {
        self.desk().act_for(actor);
    }
}

impl Files {
    /// Returns the faults that were entered in the ledger behind the first `known`.
    pub(crate) fn fired_since(&self, known: usize) -> Vec<Firing> {
        self.ledger.get(known..).unwrap_or_default().to_vec()
    }

    /// Notes that a request ran into breakpoints, and returns what its caller has to wait for.
    pub(crate) fn suspend(&mut self, tags: Vec<Tag>) -> Wait {
        let told = tags
            .first()
            .expect("a request is suspended by a breakpoint")
            .clone();
        self.suspended.push(Suspension {
            told: told.clone(),
            tags,
        });
        Wait::Tag(told)
    }

    /// Notes that the rule of this sequence number delays a request.
    pub(crate) fn delay(&mut self, span: Millis, rule: u64) -> Wait {
        let until = Millis(self.now.0.saturating_add(span.0));
        self.delayed.push(Delay { until, rule });
        Wait::Until(until)
    }

    /// Lets the requests that `tag` holds go on, and tells whether there was one.
    pub(crate) fn resume(&mut self, tag: &Tag) -> bool {
        let found = self.is_suspended(tag);
        for suspension in &mut self.suspended {
            suspension.tags.retain(|held| held != tag);
        }
        self.suspended
            .retain(|suspension| !suspension.tags.is_empty());
        found
    }

    /// Lets all requests go on that the rule of this sequence number delays.
    pub(crate) fn end_delays(&mut self, rule: u64) {
        self.delayed.retain(|delay| delay.rule != rule);
    }

    /// Lets everything go on.
    pub(crate) fn end_all(&mut self) {
        self.suspended.clear();
        self.delayed.clear();
    }

    /// Tells whether a request is suspended under `tag`.
    pub(crate) fn is_suspended(&self, tag: &Tag) -> bool {
        self.suspended
            .iter()
            .any(|suspension| suspension.tags.contains(tag))
    }

    /// Adds the tags under which requests are suspended.
    pub(crate) fn suspended_tags(&self, tags: &mut Vec<Tag>) {
        for suspension in &self.suspended {
            tags.extend(suspension.tags.iter().cloned());
        }
    }

    /// Tells whether what `wait` says has come about, or the rule that demanded it is gone.
    pub(crate) fn is_over(&self, wait: &Wait) -> bool {
        match wait {
            Wait::Tag(tag) => !self.suspended.iter().any(|held| held.told == *tag),
            Wait::Until(time) => {
                self.now >= *time || !self.delayed.iter().any(|delay| delay.until == *time)
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn tick(&mut self, span: Millis) {
        self.now = Millis(self.now.0.saturating_add(span.0));
        let now = self.now;
        self.delayed.retain(|delay| delay.until > now);
    }
}
