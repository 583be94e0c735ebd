//! Engines whose methods are `async`.
//!
//! They implement [`AsyncSmallEngine`] or [`AsyncSubject`] and are wrapped in [`Blocking`], which
//! is a [`SmallEngine`] or [`Subject`] again. Their disks are [`AsyncDisk`]s, whose requests are
//! futures: each gives way once before it happens, so that what an engine joins overlaps, in the
//! same order each time.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use blkproof::asynchronous::{AsyncDisk, AsyncSmallEngine, Blocking};
//! use blkproof::device::{Durability, IoResult};
//! use blkproof::{Check, SmallSubject, Source};
//!
//! /// Backs up everything each time.
//! #[derive(Debug)]
//! struct Engine {
//!     disk: AsyncDisk,
//!     backups: BTreeMap<String, Vec<u8>>,
//! }
//!
//! impl AsyncSmallEngine for Engine {
//!     async fn write(&mut self, offset: u64, data: &[u8]) -> IoResult<()> {
//!         self.disk.write_at(offset, data, Durability::Later).await
//!     }
//!
//!     async fn read(&mut self, from: Source<'_>, offset: u64, buf: &mut [u8]) -> IoResult<()> {
//!         let Source::Backup(name) = from else {
//!             return self.disk.read_at(offset, buf).await;
//!         };
//!         let start = usize::try_from(offset).expect("it fits into memory");
//!         buf.copy_from_slice(&self.backups[name][start..][..buf.len()]);
//!         Ok(())
//!     }
//!
//!     async fn full(&mut self, name: &str) -> IoResult<()> {
//!         let size = usize::try_from(self.disk.size()).expect("it fits into memory");
//!         let mut copy = vec![0; size];
//!         self.disk.read_at(0, &mut copy).await?;
//!         self.backups.insert(name.to_owned(), copy);
//!         Ok(())
//!     }
//!
//!     async fn incremental(&mut self, name: &str) -> IoResult<()> {
//!         self.full(name).await
//!     }
//! }
//!
//! let make = |disk| {
//!     let (disk, backups) = (AsyncDisk::new(disk), BTreeMap::new());
//!     Blocking::new(Engine { disk, backups })
//! };
//! Check::new().cases(20).keep_nothing().run(move || SmallSubject::new(make));
//! ```
//!
//! # Runtimes
//!
//! [`Blocking::new`] polls where it is, without a thread and without a clock, and runs are the same
//! each time. A future that waits for something else than a disk needs the runtime that brings it
//! about: [`Blocking::on`] takes it. For tokio that is, as `proptests/tests/it/runtimes.rs` of the
//! repository has it, which is compiled and run,
//!
//! ```text
//! #[derive(Debug)]
//! struct Tokio(tokio::runtime::Runtime);
//!
//! impl BlockOn for Tokio {
//!     fn block_on<F: Future>(&self, future: F) -> F::Output {
//!         self.0.block_on(future)
//!     }
//! }
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! Blocking::on(engine, Tokio(runtime))
//! ```
//!
//! With a runtime of several threads the order of requests is chance, and a failure may not come
//! again when it is replayed.

mod disk;

mod inline;

use core::fmt;
use core::future::Future;

use blkproof_device::{IoResult, Store};
use blkproof_spec::{
    Action, At, ByteRange, Capabilities, JobEvent, Reply, Setup, Status, StepNumber,
};

use crate::small::{SmallEngine, Source};
use crate::subject::{Subject, SubjectError};
pub use disk::AsyncDisk;
pub use inline::Inline;

/// What brings futures to their end.
pub trait BlockOn: fmt::Debug {
    /// Returns what the future comes to.
    fn block_on<F: Future>(&self, future: F) -> F::Output;
}

/// A [`SmallEngine`] whose methods are `async`; what they promise stands there.
pub trait AsyncSmallEngine: fmt::Debug {
    /// Writes to the disk; see [`SmallEngine::write`].
    fn write(&mut self, offset: u64, data: &[u8]) -> impl Future<Output = IoResult<()>>;

    /// Reads what the disk holds, or what a backup restores to; see [`SmallEngine::read`].
    fn read(
        &mut self,
        from: Source<'_>,
        offset: u64,
        buf: &mut [u8],
    ) -> impl Future<Output = IoResult<()>>;

    /// Backs up the whole disk; see [`SmallEngine::full`].
    fn full(&mut self, name: &str) -> impl Future<Output = IoResult<()>>;

    /// Backs up what was written since the last backup; see [`SmallEngine::incremental`].
    fn incremental(&mut self, name: &str) -> impl Future<Output = IoResult<()>>;
}

/// A [`Subject`] whose methods are `async`, where they can come to devices; what they promise
/// stands there.
///
/// Between two calls nothing of it is polled: work in the background has to be done by the steps
/// that name it, as [`Subject::apply`] says.
pub trait AsyncSubject: fmt::Debug {
    /// Says what it can do and what it claims; see [`Subject::capabilities`].
    fn capabilities(&self) -> Capabilities;

    /// Makes the images of the setup; see [`Subject::prepare`].
    fn prepare(
        &mut self,
        store: Box<dyn Store>,
        setup: &Setup,
    ) -> impl Future<Output = Result<(), SubjectError>>;

    /// Opens the disks of the setup; see [`Subject::open`].
    fn open(
        &mut self,
        store: Box<dyn Store>,
        setup: &Setup,
    ) -> impl Future<Output = Result<(), SubjectError>>;

    /// Carries out one step; see [`Subject::apply`].
    fn apply(
        &mut self,
        number: StepNumber,
        action: &Action,
        read: &mut Vec<u8>,
    ) -> impl Future<Output = Reply>;

    /// Reads a disk or an image for the judge; see [`Subject::peek`].
    fn peek(
        &mut self,
        at: &At,
        range: ByteRange,
        buf: &mut [u8],
    ) -> impl Future<Output = Result<(), SubjectError>>;

    /// Reports all bitmaps and jobs; see [`Subject::status`].
    fn status(&mut self, status: &mut Status);

    /// Moves the events to the end of `events`; see [`Subject::drain_events`].
    fn drain_events(&mut self, events: &mut Vec<JobEvent>);

    /// Shuts down cleanly; see [`Subject::close`].
    fn close(&mut self) -> impl Future<Output = Result<(), SubjectError>>;
}

/// An engine with an async interface, each call of which is brought to its end before it returns.
#[derive(Debug)]
pub struct Blocking<E, B = Inline> {
    engine: E,
    runtime: B,
}

impl<E> Blocking<E> {
    /// Wraps an engine that waits for its disks and nothing else.
    pub fn new(engine: E) -> Self {
        Self::on(engine, Inline)
    }
}

impl<E, B: BlockOn> Blocking<E, B> {
    /// Wraps an engine that needs a runtime.
    pub fn on(engine: E, runtime: B) -> Self {
        Self { engine, runtime }
    }
}

impl<E: AsyncSmallEngine, B: BlockOn> SmallEngine for Blocking<E, B> {
    fn write(&mut self, offset: u64, data: &[u8]) -> IoResult<()> {
        self.runtime.block_on(self.engine.write(offset, data))
    }

    fn read(&mut self, from: Source<'_>, offset: u64, buf: &mut [u8]) -> IoResult<()> {
        self.runtime.block_on(self.engine.read(from, offset, buf))
    }

    fn full(&mut self, name: &str) -> IoResult<()> {
        self.runtime.block_on(self.engine.full(name))
    }

    fn incremental(&mut self, name: &str) -> IoResult<()> {
        self.runtime.block_on(self.engine.incremental(name))
    }
}

impl<S: AsyncSubject, B: BlockOn> Subject for Blocking<S, B> {
    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.runtime.block_on(self.engine.prepare(store, setup))
    }

    fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.runtime.block_on(self.engine.open(store, setup))
    }

    fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        self.runtime
            .block_on(self.engine.apply(number, action, read))
    }

    fn peek(&mut self, at: &At, range: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError> {
        self.runtime.block_on(self.engine.peek(at, range, buf))
    }

    fn status(&mut self, status: &mut Status) {
        self.engine.status(status);
    }

    fn drain_events(&mut self, events: &mut Vec<JobEvent>) {
        self.engine.drain_events(events);
    }

    fn close(&mut self) -> Result<(), SubjectError> {
        self.runtime.block_on(self.engine.close())
    }
}
