//! What the devices of one store count together: work against its bound, operations of cached
//! devices, and whether there is power.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::panic::resume_unwind;

/// What a caller is unwound with whose requests came to more work than it was allowed.
///
/// Whoever calls a subject catches it there: a subject that asks its devices for ever, or writes
/// for ever, comes to an end that is the same each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Overrun {
    /// How much work was allowed at once.
    pub allowed: u64,
}

/// How many bytes of data are as much work as a request.
const BYTES_PER_UNIT: u64 = 1 << 10;

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
    /// The work that is allowed at once.
    allowed: AtomicU64,
    /// The work that may still be asked for.
    left: AtomicU64,
    /// How many faults may still make it as much again.
    renewals: AtomicU64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            operations: AtomicU64::new(0),
            strike: AtomicU64::new(u64::MAX),
            off: AtomicBool::new(false),
            losses: AtomicU64::new(0),
            allowed: AtomicU64::new(u64::MAX),
            left: AtomicU64::new(u64::MAX),
            renewals: AtomicU64::new(0),
        }
    }
}

impl Meter {
    /// Allows this much work from now on, and as much again from each of the next `renewals` faults
    /// on.
    pub(crate) fn allow(&self, work: u64, renewals: u64) {
        self.allowed.store(work, Ordering::Relaxed);
        self.left.store(work, Ordering::Relaxed);
        self.renewals.store(renewals, Ordering::Relaxed);
    }

    /// Allows as much work again, since a fault struck.
    pub(crate) fn renew(&self) {
        let renewals = self.renewals.load(Ordering::Relaxed);
        if let Some(renewals) = renewals.checked_sub(1) {
            self.renewals.store(renewals, Ordering::Relaxed);
            let allowed = self.allowed.load(Ordering::Relaxed);
            self.left.store(allowed, Ordering::Relaxed);
        }
    }

    /// Takes a request off the allowance; unwinds its caller where nothing is left.
    #[inline]
    pub(crate) fn spend(&self, bytes: u64) {
        let left = self.left.load(Ordering::Relaxed);
        match left.checked_sub(1 + bytes / BYTES_PER_UNIT) {
            Some(left) => self.left.store(left, Ordering::Relaxed),
            None => overrun(self.allowed.load(Ordering::Relaxed)),
        }
    }

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
            allowed: AtomicU64::new(u64::MAX),
            left: AtomicU64::new(u64::MAX),
            renewals: AtomicU64::new(0),
        }
    }
}

#[cold]
fn overrun(allowed: u64) -> ! {
    resume_unwind(Box::new(Overrun { allowed }))
}
