//! What the cached devices of one store count together, and whether there is power.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A count of operations, the one at which the power is cut, and the losses of power so far.
///
/// A store belongs to one thread at a time; what is atomic here needs no lock for that.
#[derive(Debug)]
pub(crate) struct Meter {
    operations: AtomicU64,
    /// The operation at which the power is cut; `u64::MAX` where it is not.
    strike: AtomicU64,
    off: AtomicBool,
    losses: AtomicU64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            operations: AtomicU64::new(0),
            strike: AtomicU64::new(u64::MAX),
            off: AtomicBool::new(false),
            losses: AtomicU64::new(0),
        }
    }
}

impl Meter {
    /// Counts an operation and returns its number, from 1.
    pub(crate) fn count(&self) -> u64 {
        self.operations.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    pub(crate) fn set_strike(&self, operation: Option<u64>) {
        let operation = operation.unwrap_or(u64::MAX);
        self.strike.store(operation, Ordering::Relaxed);
    }

    /// Tells whether the power is cut at this operation, and switches it off if so.
    pub(crate) fn strikes(&self, operation: u64) -> bool {
        let strikes = operation >= self.strike.load(Ordering::Relaxed);
        if strikes {
            self.off.store(true, Ordering::Relaxed);
        }
        strikes
    }

    pub(crate) fn is_off(&self) -> bool {
        self.off.load(Ordering::Relaxed)
    }

    /// Returns how often power was lost or a process killed.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    /// Takes in that everybody who had devices open is gone, and that there is power again.
    pub(crate) fn come_back(&self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
        self.strike.store(u64::MAX, Ordering::Relaxed);
        self.off.store(false, Ordering::Relaxed);
    }

    pub(crate) fn fork(&self) -> Self {
        Self {
            operations: AtomicU64::new(self.operations()),
            strike: AtomicU64::new(self.strike.load(Ordering::Relaxed)),
            off: AtomicBool::new(self.is_off()),
            losses: AtomicU64::new(self.losses()),
        }
    }
}
