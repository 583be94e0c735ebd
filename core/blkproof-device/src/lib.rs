//! Disks that can break.
//!
//! The seam is [`BlockDevice`], one device, and [`Store`], the named devices that a subject creates
//! and opens. Everything else here implements or wraps them: the memory disk, the file disk, the
//! fault layer that interprets `blkdebug`'s rules and more, and the trace with its ledger.

mod block_device;

mod store;

pub use block_device::{BlockDevice, BlockStatus, Durability, IoError, IoResult, StatusKind, Wait};
pub use store::{Store, StoreError};
