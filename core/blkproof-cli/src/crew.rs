//! Threads that share out the work of a verb, and what has them stop on the way.

use core::sync::atomic::{AtomicBool, Ordering};
use std::panic;
use std::sync::mpsc::{self, Sender};
use std::thread;

use crate::args::Jobs;
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;

/// What has threads stop before their work is done.
#[derive(Debug)]
pub(crate) struct Stop {
    interrupt: Interrupt,
    enough: AtomicBool,
}

impl Stop {
    /// Begins to listen to signals: the first one stops the work, which is summed up then.
    pub(crate) fn listen() -> Result<Self, Error> {
        let interrupt = Interrupt::listen().map_err(Error::Signals)?;
        Ok(Self {
            interrupt,
            enough: AtomicBool::new(false),
        })
    }

    /// Has the threads stop: there was enough of it.
    pub(crate) fn enough(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    /// Tells whether to go on with the work.
    pub(crate) fn goes_on(&self) -> bool {
        !self.enough.load(Ordering::Relaxed) && !self.interrupt.came()
    }

    /// Returns what else listens to the same signals.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Returns how the program ends as far as signals are concerned.
    pub(crate) fn exit(&self) -> Exit {
        if self.interrupt.came() {
            Exit::Interrupted
        } else {
            Exit::Held
        }
    }
}

/// Has so many threads work, each told its number, until all have ended; `hear` takes in what they
/// tell, in the order in which it comes. Where it fails, the threads are stopped. Returns what each
/// of them came to.
pub(crate) fn share<N: Send, D: Send>(
    jobs: Jobs,
    stop: &Stop,
    work: impl Fn(usize, &Sender<N>) -> D + Sync,
    mut hear: impl FnMut(N) -> Result<(), Error>,
) -> Result<Vec<D>, Error> {
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let work = &work;
        let threads: Vec<_> = (0..jobs.0)
            .map(|number| {
                let sender = sender.clone();
                scope.spawn(move || work(number, &sender))
            })
            .collect();
        // The channel ends when the last thread has ended.
        drop(sender);
        let heard = receiver.into_iter().try_for_each(&mut hear);
        if heard.is_err() {
            stop.enough();
        }
        let done = threads.into_iter().map(|thread| {
            // A panic that the judge did not catch is a bug of our own: it goes on from here.
            thread
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic))
        });
        let done = done.collect();
        heard.map(|()| done)
    })
}

#[cfg(test)]
mod tests {
    use super::{Stop, share};
    use crate::args::Jobs;
    use crate::error::Error;
    use crate::exit::Exit;
    use crate::interrupt::Interrupt;
    use core::sync::atomic::AtomicBool;

    fn stop() -> Stop {
        Stop {
            interrupt: Interrupt::default(),
            enough: AtomicBool::new(false),
        }
    }

    #[test]
    fn all_is_heard_and_each_thread_has_its_number() {
        let stop = stop();
        let mut heard = Vec::new();
        let done = share(
            Jobs(3),
            &stop,
            |number, sender| {
                sender.send(number * 10).unwrap();
                number
            },
            |news| {
                heard.push(news);
                Ok(())
            },
        );
        heard.sort_unstable();
        assert_eq!(heard, [0, 10, 20]);
        assert_eq!(done.unwrap(), [0, 1, 2]);
        assert!(stop.goes_on());
    }

    #[test]
    fn threads_that_never_end_are_stopped_by_whoever_listens_or_interrupts() {
        let until_stopped = |stop: &Stop| {
            share(
                Jobs(2),
                stop,
                |_, sender| {
                    while stop.goes_on() {
                        // Whoever listens no longer has had enough.
                        let _ = sender.send(());
                    }
                },
                |()| match stop.interrupt().came() {
                    true => Ok(()),
                    false => Err(Error::Signals(std::io::Error::other("enough"))),
                },
            )
        };
        let by_error = stop();
        assert!(until_stopped(&by_error).is_err());
        assert_eq!(by_error.exit(), Exit::Held);
        let by_signal = stop();
        by_signal.interrupt().raise();
        assert_eq!(until_stopped(&by_signal).unwrap().len(), 2);
        assert_eq!(by_signal.exit(), Exit::Interrupted);
    }
}
