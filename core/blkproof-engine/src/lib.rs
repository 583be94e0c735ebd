//! The built-in backup engine: disks, dirty bitmaps, backup jobs and transactions that behave as
//! those of QEMU 10.0 do.
//!
//! Everything is a state machine that a step advances; nothing runs by itself, so that every
//! interleaving of guest requests and jobs can be expressed and repeated. The engine works on the
//! devices of any [`Store`](blkproof_device::Store); only the files of [`Engine`] and
//! [`ImageInspector`] know the harness.
//!
//! Where it is not QEMU: `core/ARCHITECTURE.md` lists the differences.

mod bugs;

mod runs;

mod bitmap;

mod shared;

mod raw;

mod stop;

mod image;

mod node;

mod rate;

mod chunk;

mod copier;

mod job;

mod machine;

mod setup;

mod images;

mod request;

mod guest;

mod bitmaps;

mod persist;

mod start;

mod work;

mod end;

mod verbs;

mod transaction;

mod report;

mod seam;

mod inspector;

pub use bugs::{Bug, Bugs, OUT_OF_SCOPE};
pub use inspector::ImageInspector;
pub use seam::Engine;
