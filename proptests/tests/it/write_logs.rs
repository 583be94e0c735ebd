//! Write logs: what QEMU recorded of its own images is swept here, and what is exported here means
//! what was recorded.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs::File;
use std::mem::discriminant;
use std::path::Path;

use blkproof::device::write_log::{Entry, Reader, Writer, export};
use blkproof::device::{
    BlockDevice, Durability, FileDisk, MemDisk, MemStore, Operation, Pool, Recorded,
};
use blkproof::spec::power::Cache;
use blkproof::spec::{ByteRange, Format, ImageName, Length, Offset, SECTOR};
use blkproof::sweep::log::{Log, Tally, sweep};
use blkproof::sweep::power;
use blkproof::{Options, Runner, corpus};
use blkproof_engine::{Engine, ImageInspector};

use crate::qemu;

fn image() -> ImageName {
    ImageName::new("image")
}

/// Returns what a log says was done.
fn operations<D: BlockDevice>(log: D) -> Vec<Operation> {
    let mut reader = Reader::new(log).expect("a log");
    let mut operations = Vec::new();
    while let Some(entry) = reader.next_entry().expect("an entry") {
        operations.extend(Entry::into_operations(entry));
    }
    operations
}

/// Returns a store with an image that holds what a file holds, and is as large as a log needs it.
fn store(base: Option<&Path>, operations: &[Operation]) -> MemStore {
    let store = MemStore::new(&Pool::new());
    let mut device = store
        .subject_handle()
        .create(&image(), Length(0))
        .expect("an empty store");
    let mut size = 0;
    if let Some(base) = base {
        let bytes = std::fs::read(base).expect("the base can be read");
        device
            .write_at(Offset(0), &bytes, Durability::Later)
            .expect("memory does not fail");
        size = bytes.len() as u64;
    }
    let ends = operations.iter().map(|operation| span(operation).1.end());
    let size = ends.max().unwrap_or(0).max(size);
    device.set_size(Length(size)).expect("memory does not fail");
    store.set_caching(true);
    store
}

/// Cuts the power everywhere in a log; returns what that comes to, and what was wrong first.
fn swept(store: &MemStore, operations: &[Operation]) -> (Tally, Option<String>) {
    let name = image();
    let log = Log {
        image: &name,
        format: Format::Qcow2,
        random: 4,
        cache: Cache::default(),
    };
    let operations = operations.iter().cloned().map(Ok::<_, Infallible>);
    let (mut inspector, mut wrong) = (ImageInspector::new(), None);
    let tally = sweep(
        log,
        store,
        operations,
        Engine::new,
        &mut inspector,
        |broken| {
            wrong = Some(format!(
                "{:?} at {}: {:?}",
                broken.cut, broken.number, broken.problems
            ));
            false
        },
    );
    (tally.expect("the log can be carried out"), wrong)
}

/// Has QEMU do to an image in a folder what a guest and an administrator do, through its driver
/// that logs. There are a bitmap, growth and shrinking, and every process ends in between.
fn log_by_qemu(folder: &Path, sector: u64, interval: u64) {
    qemu::succeed(
        folder,
        "qemu-img",
        &["create", "-q", "-f", "qcow2", "disk", "16M"],
    );
    std::fs::copy(folder.join("disk"), folder.join("base")).expect("a copy");
    File::create(folder.join("log")).expect("an empty log");
    let spec = |append: bool| {
        let how = if append {
            "file.log-append=on".to_owned()
        } else {
            format!("file.log-sector-size={sector}")
        };
        format!(
            "driver=qcow2,file.driver=blklogwrites,file.log-super-update-interval={interval},\
             file.file.driver=file,file.file.filename=disk,file.log.driver=file,\
             file.log.filename=log,{how}"
        )
    };
    let io = |append: bool, commands: &[&str]| {
        let spec = spec(append);
        let mut args = vec!["--image-opts", "-t", "writeback", "-d", "unmap"];
        args.extend(commands.iter().flat_map(|command| ["-c", command]));
        args.push(&spec);
        qemu::succeed(folder, "qemu-io", &args);
    };
    let first = [
        "write -P 1 0 1M",
        "flush",
        "write -P 2 60k 8k",
        "write -P 3 5M 100k",
        "write -c -P 4 6M 64k",
        "flush",
        "discard 0 512k",
        "write -z 5M 64k",
        "write -P 5 6M 512",
        "flush",
        "write -P 6 8M 256k",
    ];
    io(false, &first);
    let spec = spec(true);
    qemu::succeed(
        folder,
        "qemu-img",
        &["bitmap", "--add", "--image-opts", &spec, "b"],
    );
    io(true, &["write -P 7 1M 100k", "flush", "write -P 8 2M 64k"]);
    io(
        true,
        &["truncate 24M", "write -P 9 20M 64k", "flush", "truncate 7M"],
    );
    qemu::succeed(
        folder,
        "qemu-img",
        &["bitmap", "--remove", "--image-opts", &spec, "b"],
    );
    io(true, &["write -P 10 5M 512k"]);
}

#[test]
fn what_qemu_writes_is_an_image_wherever_power_is_lost() {
    if !qemu::is_here("what_qemu_writes_is_an_image_wherever_power_is_lost") {
        return;
    }
    for (sector, interval) in [(512, 4096), (4096, 1)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        log_by_qemu(folder.path(), sector, interval);
        let log = File::open(folder.path().join("log")).expect("the log");
        let operations = operations(FileDisk::new(log));
        let base = folder.path().join("base");
        let before = store(Some(&base), &operations);
        let (tally, wrong) = swept(&before, &operations);
        assert_eq!(wrong, None);
        assert!(tally.complete && tally.before == 0, "{tally:?}");
        assert!(tally.distinct >= 150, "{tally:?}");
        // What stands there at the end is what QEMU left.
        let mut left = before.snapshot(&image()).expect("the image");
        let mut bytes = std::fs::read(folder.path().join("disk")).expect("the disk");
        bytes.resize(usize::try_from(left.size().0).expect("a small image"), 0);
        assert!(read(&mut left) == bytes);
        // The same with no flush in it is no image any more: whoever looks can fail.
        let careless: Vec<_> = operations
            .into_iter()
            .filter(|operation| *operation != Operation::Flush)
            .collect();
        let (_, wrong) = swept(&store(Some(&base), &careless), &careless);
        assert!(wrong.is_some());
    }
}

pub(crate) fn read(disk: &mut MemDisk) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(disk.size().0).expect("a small image")];
    disk.read_at(Offset(0), &mut bytes)
        .expect("memory does not fail");
    bytes
}

/// The record of one image and the log that was made of it, side by side.
struct Pair {
    name: ImageName,
    recorded: MemStore,
    logged: MemStore,
    seen: BTreeSet<([u64; 2], [u64; 2])>,
    cuts: u64,
    /// All operations since the last flush are the same, by kind and range, by which chance goes:
    /// to a log zeroes are data like any other, and a sector is written whole.
    same: bool,
}

impl Pair {
    fn log(&self, number: u64, what: &Operation) -> Recorded {
        Recorded {
            number,
            image: self.name.clone(),
            what: what.clone(),
            struck: false,
        }
    }

    /// Compares what every cut leaves in the midst of an operation, and carries it out.
    fn step(&mut self, done: &Recorded, logged: &Operation) {
        let logged = self.log(done.number, logged);
        let (left, right) = (self.recorded.fork(), self.logged.fork());
        left.redo(done, false).expect("the record");
        right.redo(&logged, false).expect("the log");
        self.same &= span(&done.what) == span(&logged.what);
        let random = if self.same { 4 } else { 0 };
        for cut in power::cuts(&done.what, &left, random) {
            let (left, right) = (left.fork(), right.fork());
            for store in [&left, &right] {
                store
                    .cut_power(&cut, Cache::default())
                    .expect("memory does not fail");
            }
            self.cuts += 1;
            if self.seen.insert((left.digest(), right.digest())) {
                self.compare(&left, &right, &format!("{cut:?} at {}", done.number));
            }
        }
        self.recorded.redo(done, true).expect("the record");
        self.logged.redo(&logged, true).expect("the log");
        self.same |= done.what == Operation::Flush;
    }

    fn compare(&self, left: &MemStore, right: &MemStore, what: &str) {
        let [mut left, mut right] =
            [left, right].map(|store| store.snapshot(&self.name).expect("the image"));
        // A log knows whole sectors only; behind the end there are zeroes.
        let whole = Length(left.size().0.next_multiple_of(SECTOR));
        assert_eq!(whole, right.size(), "{}: {what}", self.name);
        left.set_size(whole).expect("memory does not fail");
        assert!(read(&mut left) == read(&mut right), "{}: {what}", self.name);
    }
}

/// Returns what kind of operation it is and what it changes.
fn span(operation: &Operation) -> (std::mem::Discriminant<Operation>, ByteRange) {
    let range = match operation {
        Operation::Write { start, data, .. } => ByteRange::new(*start, data.len() as u64),
        Operation::WriteZeroes { range, .. } | Operation::Discard(range) => *range,
        _ => ByteRange::default(),
    };
    (discriminant(operation), range)
}

/// Exports the log of an image, reads it and compares; returns how many cuts there were.
fn same_states(before: &MemStore, record: &[Recorded], name: &ImageName, sector: u64) -> u64 {
    let mut log = Writer::new(MemDisk::new(&Pool::new(), Length(0)), Length(sector))
        .expect("a log with such sectors");
    export(&before.fork(), name, record, &mut log).expect("the record is of this store");
    let mut logged = operations(log.finish().expect("memory does not fail")).into_iter();
    let mut next = || logged.next().expect("the log goes on");
    let mut pair = Pair {
        name: name.clone(),
        recorded: before.fork(),
        logged: MemStore::new(&Pool::new()),
        seen: BTreeSet::new(),
        cuts: 0,
        same: true,
    };
    pair.logged
        .subject_handle()
        .create(name, Length(0))
        .expect("an empty store");
    pair.logged.set_caching(true);
    if before.plain(name).is_ok() {
        let mut last = None;
        while last != Some(Operation::Flush) {
            let operation = next();
            let begin = pair.log(0, &operation);
            pair.logged.redo(&begin, true).expect("the log");
            last = Some(operation);
        }
    }
    for done in record.iter().filter(|done| done.image == *name) {
        let count = match done.what {
            Operation::Create(_) => 3,
            Operation::Remove => 2,
            _ => {
                pair.step(done, &next());
                continue;
            }
        };
        for _ in 0..count {
            let made = pair.log(done.number, &next());
            pair.logged.redo(&made, true).expect("the log");
        }
        pair.recorded.redo(done, true).expect("the record");
    }
    assert_eq!(logged.next(), None, "{name}");
    if pair.recorded.plain(name).is_ok() {
        pair.compare(&pair.recorded, &pair.logged, "the end");
    }
    pair.cuts
}

#[test]
fn logs_of_the_seed_leave_the_states_of_its_records() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora/seed");
    let (mut cuts, mut images) = (0, 0);
    for path in corpus::files(&folder).expect("the seed corpus is in the repository") {
        let scenario = corpus::load(&path)
            .expect("the corpus is in order")
            .scenario;
        let mut runner = Runner::new(Options::default());
        let done = power::record(&mut runner, &scenario, Engine::new).expect("images are made");
        let made = done.record.iter().map(|done| &done.image);
        let names: BTreeSet<&ImageName> = made.collect();
        for name in names {
            cuts += same_states(&done.store, &done.record, name, SECTOR);
            images += 1;
        }
    }
    assert!(
        images >= 20 && cuts >= 5000,
        "{cuts} cuts of {images} images"
    );
}
