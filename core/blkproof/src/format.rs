//! Image libraries as subjects: the level below backups.
//!
//! A library that reads and writes one image takes part by implementing [`Library`] and [`Image`].
//! A [`Scenario`] says how an image is made and opened, what a client asks of it, and what breaks
//! beneath it; [`Judge`] carries it out on devices with faults and a volatile cache, and a model
//! that cannot see the library judges every answer, every byte read and what the file holds in the
//! eyes of somebody else. What makes this level find bugs is the client that goes on: it tries
//! again what failed, flushes, closes and opens, and nothing may be lost or stuck by then.
//!
//! Here is a whole library, whose images are plain files. It takes no notice of a write that
//! fails, which made-up scenarios find, and which a few steps are enough to show:
//!
//! ```
//! use blkproof::device::{BlockDevice, Durability};
//! use blkproof::format::generate::generate;
//! use blkproof::format::shrink::shrink;
//! use blkproof::format::{
//!     Capabilities, Files, Handled, Image, Judge, Library, NewImage, OpenOptions, Outcome,
//!     Request, RequestError,
//! };
//! use blkproof::generate::Choices;
//! use blkproof::spec::Length;
//!
//! #[derive(Debug)]
//! struct Plain;
//!
//! #[derive(Debug)]
//! struct PlainImage(Box<dyn BlockDevice>);
//!
//! impl Library for Plain {
//!     fn capabilities(&self) -> Capabilities {
//!         let mut can = Capabilities::MINIMAL;
//!         can.survives_kills = true;
//!         can.survives_cuts = true;
//!         can
//!     }
//!
//!     fn create(
//!         &mut self,
//!         mut file: Box<dyn BlockDevice>,
//!         image: &NewImage,
//!     ) -> Result<(), RequestError> {
//!         file.set_size(image.size).map_err(RequestError::failed)
//!     }
//!
//!     fn open(&mut self, files: Files, _: &OpenOptions) -> Result<Box<dyn Image>, RequestError> {
//!         Ok(Box::new(PlainImage(files.image)))
//!     }
//! }
//!
//! impl Image for PlainImage {
//!     fn size(&self) -> Length {
//!         self.0.size()
//!     }
//!
//!     fn request(&mut self, request: Request<'_>) -> Result<Handled, RequestError> {
//!         let result = match request {
//!             Request::Read { offset, buf } => self.0.read_at(offset, buf),
//!             Request::Write { offset, data } => {
//!                 let _ = self.0.write_at(offset, data, Durability::Later); // the bug
//!                 Ok(())
//!             }
//!             Request::Flush => self.0.flush(),
//!             _ => return Err(RequestError::Unsupported),
//!         };
//!         result.map(|()| Handled::All).map_err(RequestError::failed)
//!     }
//!
//!     fn close(mut self: Box<Self>) -> Result<(), RequestError> {
//!         self.0.flush().map_err(RequestError::failed)
//!     }
//!
//!     fn abandon(self: Box<Self>) {}
//! }
//!
//! let mut library = Plain;
//! let mut judge = Judge::new(&mut library);
//! let can = judge.capabilities();
//! let found = (0..2000).find_map(|case| {
//!     let scenario = generate(&mut Choices::new(1, case), &can, false);
//!     match judge.run(&scenario) {
//!         Outcome::Failed(failure) => Some((scenario, failure)),
//!         _ => None,
//!     }
//! });
//! let (scenario, failure) = found.expect("it is found");
//! let shrunk = shrink(&scenario, &failure, 500, |candidate| judge.run(candidate));
//! assert!(shrunk.scenario.steps.len() <= 4);
//! let report = shrunk.failure.render(&shrunk.scenario);
//! assert!(report.starts_with("reads-exact at "), "{report}");
//! ```
//!
//! Where the images are qcow2, an [`Inspector`](crate::Inspector) looks at the files as well
//! ([`Judge::inspected_by`]); a library that may hang is judged on a thread of its own
//! ([`Supervised`]), and one that may take the process with it leaves a [`Journal`] of what it was
//! at. [`sweep`] strikes every single request of a scenario. Scenarios are files, too:
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

mod journal;

mod supervised;

mod report;

pub mod generate;

pub mod shrink;

pub mod sweep;

pub use journal::{Journal, JournalError, Left};
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
