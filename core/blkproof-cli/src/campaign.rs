//! A campaign: made-up scenarios, judged by several threads.
//!
//! Case `n` follows from the seed, the profiles and `n` alone, and cases are claimed in ascending
//! order: whatever the number of threads, the judged ones are all from 0 to some number, and the
//! totals and the digest over them are the same.

mod plan;

mod totals;

mod workers;

mod progress;

pub(crate) use plan::{End, Plan};
pub(crate) use progress::Progress;
pub(crate) use totals::Totals;
pub(crate) use workers::{Found, Watcher, judge};
