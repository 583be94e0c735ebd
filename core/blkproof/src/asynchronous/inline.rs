//! Bringing a future to its end where one is.

use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;

use super::BlockOn;

/// How often a future is polled at most.
const POLLS_MAX: u32 = 1 << 20;

/// Polls a future until it comes to its end: no thread, no clock, the same order each time.
///
/// A future that waits and was not woken would wait for ever, since nothing else is going on; one
/// that wakes itself without end would be polled for ever. Both panic, which the judge tells as a
/// failure of the engine.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Inline;

/// Notes that a future can go on.
#[derive(Debug)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl BlockOn for Inline {
    /// # Panics
    ///
    /// If the future waits for something that nobody will bring about, or comes to no end.
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        for _ in 0..POLLS_MAX {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            assert!(
                woken.0.swap(false, Ordering::Relaxed),
                "the engine's future waits for something that nobody will wake it for"
            );
        }
        panic!("the engine's future was polled {POLLS_MAX} times and came to no end");
    }
}
