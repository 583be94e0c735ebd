//! What all connections share: the export, who is connected, and what ends waits.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blkproof_qemu::nbd::Export;
use blkproof_spec::power::{Cache, PowerCut};

use super::listen::Stream;

/// What is shared. Clones are handles to the same.
#[derive(Clone, Debug)]
pub(crate) struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    export: Export,
    limits: Limits,
    /// How often all connections were ended: by a loss of power, or for good.
    ends: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

/// What clients are kept to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many may be connected at once.
    pub(crate) connections: usize,
    /// How long a negotiation may take.
    pub(crate) handshake: Duration,
    /// Whether there is a volatile cache.
    pub(crate) cached: bool,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    /// Moves with everything that may end a wait or begin one.
    moves: u64,
    /// What happens when the power is lost in the midst of an operation.
    planned: Option<Loss>,
    connected: BTreeMap<u64, Stream>,
    next: u64,
}

/// A loss of what clients have open.
#[derive(Clone, Debug)]
pub(crate) enum Loss {
    /// What is pending survives.
    Kill,
    /// What is pending is lost as this says.
    Cut(PowerCut),
}

/// A connection that is known to the hub for as long as this lives.
#[derive(Debug)]
pub(crate) struct Place {
    hub: Hub,
    number: u64,
    /// It is one too many: it gets an answer, and no export.
    pub(crate) refused: bool,
    /// How often all connections had been ended when it came.
    pub(crate) ends: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hub.lock().connected.remove(&self.number);
        self.hub.move_on();
    }
}

impl Hub {
    pub(crate) fn new(export: Export, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            export,
            limits,
            ends: AtomicU64::new(0),
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    pub(crate) fn export(&self) -> &Export {
        &self.0.export
    }

    pub(crate) fn limits(&self) -> Limits {
        self.0.limits
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a connection. As many as there may be are told that they are too many; beyond
    /// these, nobody is listened to.
    pub(crate) fn connect(&self, stream: &Stream) -> Option<Place> {
        let mut state = self.lock();
        let count = state.connected.len();
        let max = self.0.limits.connections;
        if state.stopped || count >= 2 * max {
            return None;
        }
        let number = state.next;
        let stream = stream.try_clone().ok()?;
        state.next += 1;
        state.connected.insert(number, stream);
        Some(Place {
            hub: self.clone(),
            number,
            refused: count >= max,
            ends: self.0.ends.load(Ordering::Acquire),
        })
    }

    /// Waits until every connection has ended, after [`Hub::stop`].
    pub(crate) fn wait_for_end(&self) {
        let mut state = self.lock();
        while !state.connected.is_empty() {
            let changed = self.0.changed.wait(state);
            state = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns how many clients are connected.
    pub(crate) fn connections(&self) -> usize {
        self.lock().connected.len()
    }

    /// Tells whether a connection is over that came when all had been ended so often.
    pub(crate) fn is_over(&self, ends: u64) -> bool {
        self.0.ends.load(Ordering::Acquire) != ends
    }

    /// Says that something happened that may end a wait, or begin one.
    pub(crate) fn move_on(&self) {
        self.lock().moves += 1;
        self.0.changed.notify_all();
    }

    /// Returns how much happened so far.
    pub(crate) fn moves(&self) -> u64 {
        self.lock().moves
    }

    /// Waits until more happened than `moves`, or the server stops.
    pub(crate) fn wait(&self, moves: u64) {
        let mut state = self.lock();
        while state.moves == moves && !state.stopped {
            let changed = self.0.changed.wait(state);
            state = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until `is_so`, which what happens may bring about, up to `limit`. Tells whether it
    /// came about.
    pub(crate) fn wait_until(&self, limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            let moves = state.moves;
            drop(state);
            if is_so() {
                return true;
            }
            state = self.lock();
            while state.moves == moves {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || state.stopped {
                    return false;
                }
                let changed = self.0.changed.wait_timeout(state, left);
                state = changed.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Waits a moment, and tells whether the server was told to stop.
    pub(crate) fn is_stopped_after(&self, span: Duration) -> bool {
        let state = self.lock();
        let waited = self.0.changed.wait_timeout(state, span);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    /// Tells whether the server was told to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Has the server stop: every connection ends.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        self.0.ends.fetch_add(1, Ordering::Release);
        state.drop_all();
        drop(state);
        self.0.changed.notify_all();
    }

    /// Has the power lost in the midst of the `n`-th operation from now.
    pub(crate) fn plan(&self, loss: Loss, n: u64) {
        self.lock().planned = Some(loss);
        let store = self.0.export.store();
        store.strike_at(Some(store.operations().saturating_add(n)));
    }

    /// Carries out what was planned: an operation was unwound.
    pub(crate) fn strike(&self) {
        let planned = self.lock().planned.take();
        // Nothing else sets the moment.
        self.lose(&planned.unwrap_or(Loss::Kill));
    }

    /// Has all clients lose what they have open, and what was not durable be lost as it says.
    pub(crate) fn lose(&self, loss: &Loss) {
        let mut state = self.lock();
        self.0.ends.fetch_add(1, Ordering::Release);
        let store = self.0.export.store();
        let lost = match loss {
            Loss::Kill => {
                store.kill();
                Ok(())
            }
            Loss::Cut(cut) => store.cut_power(cut, Cache::default()),
        };
        let booted = self.0.export.boot();
        debug_assert!(lost.is_ok() && booted.is_ok(), "memory does not fail");
        state.drop_all();
        state.moves += 1;
        drop(state);
        self.0.changed.notify_all();
    }
}

impl State {
    /// Ends all connections. Each is forgotten when its thread is done.
    fn drop_all(&mut self) {
        for stream in self.connected.values() {
            // One that ended by itself meanwhile cannot be ended again.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
