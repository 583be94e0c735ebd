//! Disks that can break.
//!
//! The seam is [`BlockDevice`], one device, and [`Store`], the named devices that a subject creates
//! and opens. Everything else here implements or wraps them: the memory disk, the file disk, the
//! fault layer that interprets `blkdebug`'s rules and more, the volatile cache that loses what was
//! not flushed, and the trace with its ledger. [`write_log`] exchanges records of what devices were
//! asked for with Linux and QEMU.
//!
//! A harness makes a [`MemStore`] or a [`FolderStore`], gives the subject a
//! [`subject_handle`](FaultStore::subject_handle) of it and keeps its own.

mod block_device;

mod store;

mod pool;

mod visible;

mod parcel;

mod mem_disk;

mod media;

mod file_disk;

mod range_set;

mod trace;

mod meter;

mod record;

mod desk;

mod layer;

mod volatile;

mod handle;

mod above_format;

mod fault_store;

mod power;

mod digest;

mod folder;

pub mod ini;

pub mod write_log;

pub use block_device::{BlockDevice, BlockStatus, Durability, IoError, IoResult, StatusKind, Wait};
pub use digest::Digests;
pub use fault_store::{FaultStore, MemStore};
pub use file_disk::FileDisk;
pub use folder::{Folder, FolderStore};
pub use handle::Version;
pub use layer::RuleCount;
pub use media::{Media, Memory};
pub use mem_disk::MemDisk;
pub use meter::Overrun;
pub use parcel::{Load, Parcel};
pub use pool::{PAGE, Pool};
pub use range_set::RangeSet;
pub use record::{Operation, Recorded};
pub use store::{Store, StoreError};
pub use trace::{Counters, TraceEntry, Traced};
pub use visible::{KeptPage, PagePart, Piece, Visible};
pub use volatile::{Pending, PowerLoss};
