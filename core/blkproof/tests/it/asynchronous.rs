//! Engines with an async interface.

use core::fmt;
use core::future::{Future, pending, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use blkproof::asynchronous::{
    AsyncDisk, AsyncSmallEngine, AsyncSubject, BlockOn, Blocking, Inline,
};
use blkproof::device::{BlockDevice, Durability, IoResult, MemStore, Pool, Store};
use blkproof::spec::{
    Action, At, ByteRange, Capabilities, ImageName, JobEvent, Length, Reply, Setup, Status,
    StepNumber,
};
use blkproof::{Check, SmallSubject, Source, Subject, SubjectError};

use crate::engines::{Lie, copiers};

const BLOCK: u64 = 4096;

/// Copies blocks that were written since the last backup, all at once.
#[derive(Debug)]
struct Copier {
    disk: AsyncDisk,
    dirty: BTreeSet<u64>,
    backups: BTreeMap<String, BTreeMap<u64, Vec<u8>>>,
    last: Option<String>,
    /// What it waits for while it backs up.
    waits: Waits,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Waits {
    TheDisk,
    NothingThatComes,
    Itself,
}

impl Copier {
    fn new(disk: Box<dyn BlockDevice>, waits: Waits) -> Self {
        Self {
            disk: AsyncDisk::new(disk),
            dirty: BTreeSet::new(),
            backups: BTreeMap::new(),
            last: None,
            waits,
        }
    }

    async fn copy(&mut self, name: &str, blocks: BTreeSet<u64>) -> IoResult<()> {
        match self.waits {
            Waits::TheDisk => {}
            Waits::NothingThatComes => pending().await,
            Waits::Itself => {
                poll_fn(|context: &mut Context<'_>| {
                    context.waker().wake_by_ref();
                    Poll::Pending
                })
                .await
            }
        }
        let last = self.last.take();
        let mut copy = last
            .and_then(|last| self.backups.get(&last).cloned())
            .unwrap_or_default();
        let reads = blocks.into_iter().map(|block| {
            let disk = self.disk.clone();
            async move {
                let mut data = vec![0; usize::try_from(BLOCK).expect("it is small")];
                let read = disk.read_at(block * BLOCK, &mut data).await;
                read.map(|()| (block, data))
            }
        });
        for read in join(reads.collect()).await {
            let (block, data) = read?;
            copy.insert(block, data);
        }
        self.backups.insert(name.to_owned(), copy);
        self.dirty.clear();
        Ok(())
    }
}

impl AsyncSmallEngine for Copier {
    async fn write(&mut self, offset: u64, data: &[u8]) -> IoResult<()> {
        let end = offset + data.len() as u64;
        self.dirty.extend(offset / BLOCK..end.div_ceil(BLOCK));
        self.disk.write_at(offset, data, Durability::Later).await
    }

    async fn read(&mut self, from: Source<'_>, offset: u64, buf: &mut [u8]) -> IoResult<()> {
        let Source::Backup(name) = from else {
            return self.disk.read_at(offset, buf).await;
        };
        for (at, byte) in (offset..).zip(buf) {
            let block = self.backups[name].get(&(at / BLOCK));
            *byte = block.map_or(0, |data| data[usize::try_from(at % BLOCK).expect("small")]);
        }
        Ok(())
    }

    async fn full(&mut self, name: &str) -> IoResult<()> {
        let last = self.last.take();
        let result = self
            .copy(name, (0..self.disk.size().div_ceil(BLOCK)).collect())
            .await;
        self.last = if result.is_ok() {
            Some(name.to_owned())
        } else {
            last
        };
        result
    }

    async fn incremental(&mut self, name: &str) -> IoResult<()> {
        let last = self.last.clone();
        let result = self.copy(name, self.dirty.clone()).await;
        self.last = if result.is_ok() {
            Some(name.to_owned())
        } else {
            last
        };
        result
    }
}

/// Polls futures in turn until all have come to their ends.
async fn join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(move |context| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *output = Some(ready);
            }
        }
        if outputs.iter().any(Option::is_none) {
            return Poll::Pending;
        }
        Poll::Ready(outputs.drain(..).flatten().collect())
    })
    .await
}

fn small(waits: Waits) -> impl Subject {
    SmallSubject::new(move |disk| Blocking::new(Copier::new(disk, waits)))
}

fn report<S: Subject>(make: impl FnMut() -> S + Send + 'static) -> String {
    let check = Check::new().cases(50).keep_nothing();
    let panic = catch_unwind(AssertUnwindSafe(|| check.run(make))).expect_err("it is found");
    panic.downcast_ref::<String>().expect("a report").clone()
}

#[test]
fn an_async_engine_is_judged_like_any_other() {
    let judged = Check::new().keep_nothing().run(|| small(Waits::TheDisk));
    assert!(judged.backups > 200, "{judged}");
}

#[test]
fn futures_that_come_to_no_end_are_failures() {
    let never = report(|| small(Waits::NothingThatComes));
    assert!(never.contains("no-crash at backup"), "{never}");
    assert!(never.contains("nobody will wake it for"), "{never}");
    let busy = report(|| small(Waits::Itself));
    assert!(busy.contains("no-crash at backup"), "{busy}");
    assert!(busy.contains("was polled 1048576 times"), "{busy}");
}

#[test]
fn requests_that_are_begun_together_overlap_in_the_same_order() {
    let order = || {
        let disk = disk();
        let log = Rc::new(Mutex::new(Vec::new()));
        let request = |number: u64| {
            let (disk, log) = (disk.clone(), Rc::clone(&log));
            async move {
                log.lock().expect("one thread").push(("begun", number));
                disk.write_at(number, &[1], Durability::Later)
                    .await
                    .expect("it works");
                log.lock().expect("one thread").push(("done", number));
            }
        };
        Inline.block_on(join(vec![request(1), request(2)]));
        log.lock().expect("one thread").clone()
    };
    let expected = [("begun", 1), ("begun", 2), ("done", 1), ("done", 2)];
    assert_eq!(order(), expected);
}

fn disk() -> AsyncDisk {
    let mut store = MemStore::new(&Pool::new());
    AsyncDisk::new(
        store
            .create(&ImageName::new("d"), Length(1 << 20))
            .expect("a disk"),
    )
}

#[test]
fn every_request_reaches_the_device() {
    let disk = disk();
    let range = ByteRange::new(0, 512);
    Inline
        .block_on(async {
            disk.write_at(0, &[7; 1024], Durability::Now).await?;
            disk.write_zeroes(range, false).await?;
            disk.flush().await?;
            let mut buf = [1; 2];
            disk.read_at(511, &mut buf).await?;
            assert_eq!(buf, [0, 7]);
            assert_eq!(disk.block_status(range).await?.len, Length(512));
            disk.discard(ByteRange::new(512, 512)).await?;
            disk.set_size(4096).await
        })
        .expect("nothing fails");
    assert_eq!(disk.size(), 4096);
}

/// A runtime of one's own, which counts its calls.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<Mutex<u64>>);

impl BlockOn for Counting {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        *self.0.lock().expect("one thread") += 1;
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
        }
    }
}

/// A subject behind an async interface.
struct Behind(Box<dyn Subject>, Cell<u64>);

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsyncSubject for Behind {
    fn capabilities(&self) -> Capabilities {
        self.1.set(self.1.get() + 1);
        self.0.capabilities()
    }

    async fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.0.prepare(store, setup)
    }

    async fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.0.open(store, setup)
    }

    async fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        self.0.apply(number, action, read)
    }

    async fn peek(
        &mut self,
        at: &At,
        range: ByteRange,
        buf: &mut [u8],
    ) -> Result<(), SubjectError> {
        self.0.peek(at, range, buf)
    }

    fn status(&mut self, status: &mut Status) {
        self.0.status(status);
    }

    fn drain_events(&mut self, events: &mut Vec<JobEvent>) {
        self.0.drain_events(events);
    }

    async fn close(&mut self) -> Result<(), SubjectError> {
        self.0.close()
    }
}

#[test]
fn a_whole_subject_on_a_runtime_of_ones_own_is_judged_as_without() {
    let runtime = Counting::default();
    let make = |lie| {
        let runtime = runtime.clone();
        move || {
            Blocking::on(
                Behind(Box::new(copiers(lie)), Cell::new(0)),
                runtime.clone(),
            )
        }
    };
    let check = Check::new().cases(30).keep_nothing();
    assert_eq!(
        check.run(make(Lie::Nothing)),
        check.run(|| copiers(Lie::Nothing))
    );
    assert!(*runtime.0.lock().expect("one thread") > 100);
    let found = report(make(Lie::ForgetsTail));
    assert!(found.contains("restore-exact"), "{found}");
}
