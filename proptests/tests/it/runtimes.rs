//! Engines that need the runtime which their futures wait for: tokio's.
//!
//! This is the code that the page about async engines shows; only here may it depend on a runtime.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use blkproof::asynchronous::{AsyncDisk, AsyncSmallEngine, BlockOn, Blocking, Inline};
use blkproof::device::{BlockDevice, Durability, IoResult};
use blkproof::{Check, SmallSubject, Source};

#[derive(Debug)]
struct Tokio(tokio::runtime::Runtime);

impl BlockOn for Tokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

fn runtime() -> Tokio {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Tokio(builder.enable_time().build().expect("a runtime"))
}

/// Backs up everything each time, by a task that waits now and then; the other one forgets the last
/// block.
#[derive(Debug)]
struct Engine {
    disk: AsyncDisk,
    backups: BTreeMap<String, Vec<u8>>,
    forgets: bool,
}

const BLOCK: usize = 16 << 10;

impl AsyncSmallEngine for Engine {
    async fn write(&mut self, offset: u64, data: &[u8]) -> IoResult<()> {
        self.disk.write_at(offset, data, Durability::Later).await
    }

    async fn read(&mut self, from: Source<'_>, offset: u64, buf: &mut [u8]) -> IoResult<()> {
        let Source::Backup(name) = from else {
            return self.disk.read_at(offset, buf).await;
        };
        let start = usize::try_from(offset).expect("it fits into memory");
        buf.copy_from_slice(&self.backups[name][start..][..buf.len()]);
        Ok(())
    }

    async fn full(&mut self, name: &str) -> IoResult<()> {
        let size = usize::try_from(self.disk.size()).expect("it fits into memory");
        let mut copy = vec![0; size];
        let (blocks, forgets) = (size.div_ceil(BLOCK), self.forgets);
        for (index, block) in copy.chunks_mut(BLOCK).enumerate() {
            if forgets && index > 0 && index + 1 == blocks {
                break;
            }
            self.disk.read_at((index * BLOCK) as u64, block).await?;
            // A timer and a task: neither comes about without the runtime.
            tokio::time::sleep(Duration::from_micros(1)).await;
            let sum = block.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            let task = tokio::spawn(async move { sum });
            assert_eq!(task.await.expect("the task ran"), sum);
        }
        self.backups.insert(name.to_owned(), copy);
        Ok(())
    }

    async fn incremental(&mut self, name: &str) -> IoResult<()> {
        self.full(name).await
    }
}

fn engine<B: BlockOn>(
    forgets: bool,
    runtime: fn() -> B,
) -> impl FnMut(Box<dyn BlockDevice>) -> Blocking<Engine, B> + Clone + Send {
    move |disk| {
        let engine = Engine {
            disk: AsyncDisk::new(disk),
            backups: BTreeMap::new(),
            forgets,
        };
        Blocking::on(engine, runtime())
    }
}

fn report<B: BlockOn + 'static>(forgets: bool, runtime: fn() -> B) -> String {
    let make = engine(forgets, runtime);
    let check = Check::new().cases(30).keep_nothing();
    let run = AssertUnwindSafe(|| check.run(move || SmallSubject::new(make.clone())));
    let panic = catch_unwind(run).expect_err("it fails");
    panic.downcast_ref::<String>().expect("a report").clone()
}

#[test]
fn an_engine_on_tokio_holds() {
    let make = engine(false, runtime);
    let check = Check::new().cases(30).keep_nothing();
    let judged = check.run(move || SmallSubject::new(make.clone()));
    assert!(judged.backups > 30);
}

#[test]
fn a_bug_of_an_engine_on_tokio_is_found_and_shrunk() {
    let report = report(true, runtime);
    assert!(report.contains("restore-exact at"), "{report}");
    let text = &report[report.find("blkproof 1\n").expect("the scenario")..];
    assert!(text.lines().count() < 12, "{report}");
}

#[test]
fn without_the_runtime_that_it_needs_an_engine_is_told_so() {
    let report = report(false, || Inline);
    assert!(report.contains("no-crash at backup"), "{report}");
    assert!(report.contains("no reactor running"), "{report}");
}
