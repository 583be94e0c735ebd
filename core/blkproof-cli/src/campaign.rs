//! A campaign: made-up scenarios, judged by several threads.
//!
//! Case `n` follows from the seed, the profiles and `n` alone, and cases are claimed in ascending
//! order: whatever the number of threads, the judged ones are all from 0 to some number (of those
//! that belong to a share), and the totals and the digest over them are the same. Threads hand on
//! what came of their cases in batches; what was taken in can be written down at any time, and a
//! campaign that is interrupted goes on from there.

mod hex;

mod shard;

mod known;

mod plan;

mod done;

mod totals;

mod finds;

mod state;

mod workers;

mod progress;

pub(crate) use finds::{Finds, Worth};
pub(crate) use known::KnownFiles;
pub(crate) use plan::{End, Identity, Plan, case};
pub(crate) use progress::Progress;
pub(crate) use shard::Shard;
pub(crate) use state::{Course, State};
pub(crate) use workers::{Batch, Found, Watcher, judge};
