//! Prove that block-device backups restore.
//!
//! blkproof runs scenarios (guest writes, dirty bitmaps, backups, faults) against a subject whose
//! disks can break, and a reference model that cannot see the subject judges every answer and every
//! restored byte.

mod subject;

pub mod text;

pub mod generate;

pub use blkproof_device as device;
pub use blkproof_spec as spec;
pub use subject::{Subject, SubjectError};
