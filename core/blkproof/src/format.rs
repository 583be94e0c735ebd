//! Image libraries as subjects: the level below backups.
//!
//! A library that reads and writes one image takes part by implementing [`Library`] and [`Image`].
//! A [`Scenario`] says how an image is made and opened, what a client asks of it, and what breaks
//! beneath it; [`Judge`] carries it out on devices with faults and a volatile cache, and a model
//! that cannot see the library judges every answer, every byte read and what the file holds in the
//! eyes of somebody else. What makes this level find bugs is the client that goes on: it tries
//! again what failed, flushes, closes and opens, and nothing may be lost or stuck by then.
//!
//! ```
//! let text = "blkproof-format 1
//! image 1M cluster=4k
//! write 0 64k stamp
//! flush
//! fault image.file error errno=EIO iotype=write when=nth(1)
//! write 4k 8k stamp retry
//! reopen
//! read 0 64k
//! ";
//! let scenario = blkproof::format::text::parse(text.as_bytes())?;
//! assert_eq!(blkproof::format::text::print(&scenario), text);
//! # Ok::<(), blkproof::text::Diagnostics>(())
//! ```

mod seam;

mod scenario;

pub mod text;

mod cells;

mod values;

mod model;

mod watch;

mod outcome;

mod run;

mod supervised;

mod report;

pub mod generate;

pub mod shrink;

pub mod sweep;

pub use outcome::{
    Counts, Disturbance, Failure, Finding, Found, Identity, Outcome, Property, WrongPlace, known,
};
pub use run::{Judge, Maker};
pub use scenario::{
    Action, BASE, Base, CacheSize, FILE, Look, MadeBy, Op, Scenario, Setup, Stated, Step,
};
pub use seam::{
    Capabilities, Discards, Files, Handled, Image, Library, NewImage, OpenOptions, Request,
    RequestError, Resizes,
};
pub use supervised::Supervised;
