//! The qcow2 image format, on devices that break.
//!
//! [`Qcow2`] is an open image on a [`BlockDevice`](blkproof_device::BlockDevice) and is one
//! itself. It raises `blkdebug`'s events on its file and keeps its file consistent whatever
//! request fails. [`create`] makes images, [`open_chain`] opens one with its backing files, and
//! [`inspect`] looks at images without the driver.
//!
//! Bitmaps are stored, read and removed as the format has them; what their bits mean, jobs and
//! scenarios are not known here.

mod num;

mod error;

mod layout;

mod header;

mod create;

mod file;

mod sparse;

mod cache;

mod width;

mod refcount;

mod entry;

mod image;

mod map;

mod read;

mod write;

mod zero;

mod zero_table;

mod compress;

mod status;

mod resize;

mod rebase;

mod bitmaps;

mod mistake;

mod flush;

mod device;

mod events;

mod chain;

pub mod inspect;

pub use bitmaps::{NewBitmap, StoredBitmap};
pub use chain::{ChainError, open_chain, probe};
pub use create::{CreateOptions, create};
pub use error::{Corruption, Feature, Qcow2Error};
pub use events::EVENTS_RAISED;
pub use header::{BackingName, Extension, size_max};
pub use image::{OpenOptions, Qcow2};
pub use mistake::Mistake;
