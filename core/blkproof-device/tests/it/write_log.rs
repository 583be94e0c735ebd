//! Write logs: what is written is read, what is no log is told with its place, and what QEMU's
//! driver wrote means what QEMU did.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use blkproof_device::write_log::{Entry, LogProblem, Logged, Reader, Writer, export};
use blkproof_device::{BlockDevice, Durability, FileDisk, MemDisk, MemStore, Operation, Pool};
use blkproof_spec::{ByteRange, ImageName, Length, Offset};
use proptest::prelude::*;

use crate::qemu::has;

const SECTOR: u64 = 512;

fn disk() -> MemDisk {
    MemDisk::new(&Pool::new(), Length(0))
}

fn write(disk: &mut dyn BlockDevice, at: u64, data: &[u8]) {
    disk.write_at(Offset(at), data, Durability::Later).unwrap();
}

fn read(disk: &mut dyn BlockDevice, at: u64, len: u64) -> Vec<u8> {
    let mut buf = vec![0xee; usize::try_from(len).unwrap()];
    disk.read_at(Offset(at), &mut buf).unwrap();
    buf
}

/// What is wrong, in which entry, and where.
type Wrong = (Option<u64>, u64, LogProblem);

/// Reads all entries, up to the first that is none.
fn entries<D: BlockDevice>(log: D) -> Result<Vec<Entry>, Wrong> {
    let told = |error: blkproof_device::write_log::LogError| {
        assert!(!error.to_string().is_empty());
        (error.entry, error.offset, error.problem)
    };
    let mut reader = Reader::new(log).map_err(told)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().map_err(told)? {
        entries.push(entry);
    }
    assert_eq!(entries.len() as u64, reader.count());
    Ok(entries)
}

/// Returns a small log with an entry of each kind, with sectors of this size.
fn sample(sector: u64) -> MemDisk {
    let mut log = Writer::new(disk(), Length(sector)).unwrap();
    log.mark("begin").unwrap();
    let data = vec![7; usize::try_from(sector).unwrap()];
    log.write(3 * sector, &data, Durability::Later).unwrap();
    log.write(5 * sector, &data, Durability::Now).unwrap();
    log.write_zeroes(ByteRange::new(0, 2 * sector)).unwrap();
    log.discard(ByteRange::new(8 * sector, 1 << 40)).unwrap();
    log.resize(Length(1 << 41)).unwrap();
    log.flush().unwrap();
    log.finish().unwrap()
}

#[test]
fn what_is_written_is_read() {
    for sector in [512, 4096, 1 << 23] {
        let found = entries(sample(sector)).unwrap();
        let data = vec![7; usize::try_from(sector).unwrap()];
        let expected = [
            (false, false, Logged::Mark("begin".to_owned())),
            (false, false, Logged::Data(3 * sector, data.clone())),
            (false, true, Logged::Data(5 * sector, data)),
            (false, false, Logged::Zeroes(ByteRange::new(0, 2 * sector))),
            (
                false,
                false,
                Logged::Discard(ByteRange::new(8 * sector, 1 << 40)),
            ),
            (
                false,
                false,
                Logged::Mark("blkproof resize 2199023255552".to_owned()),
            ),
            (true, false, Logged::Nothing),
        ];
        assert_eq!(found.len(), expected.len());
        for ((entry, expected), number) in found.iter().zip(expected).zip(1..) {
            assert_eq!(entry.number, number);
            assert_eq!((entry.flush, entry.fua, entry.what.clone()), expected);
        }
        let offsets: Vec<u64> = found.iter().map(|entry| entry.offset / sector).collect();
        assert_eq!(offsets, [1, 2, 4, 6, 9, 10, 11]);
        assert_eq!(found[5].resize(), Some(Length(1 << 41)));
        assert_eq!(found[4].range(), ByteRange::new(8 * sector, 1 << 40));
    }
}

#[test]
fn an_entry_that_flushes_and_writes_flushes_first() {
    let mut log = sample(SECTOR);
    // The flags of the second entry, which writes.
    write(&mut log, 2 * SECTOR + 16, &[3]);
    let entry = entries(log).unwrap().swap_remove(1);
    let data = vec![7; 512];
    let (start, fua) = (3 * SECTOR, true);
    let expected = [Operation::Flush, Operation::Write { start, data, fua }];
    assert_eq!(entry.into_operations(), expected);
}

#[test]
fn what_is_no_log_is_told_with_its_place() {
    let cases: [(u64, &[u8], Wrong); 9] = [
        (0, &[0], (None, 0, LogProblem::Magic(0x6a_7366_7773_6800))),
        (8, &[2], (None, 8, LogProblem::Version(2))),
        (24, &[0, 3], (None, 24, LogProblem::SectorSize(768))),
        (24, &[0, 1], (None, 24, LogProblem::SectorSize(256))),
        (
            16,
            &[0xff; 8],
            (
                None,
                16,
                LogProblem::Entries {
                    count: u64::MAX,
                    most: 11,
                },
            ),
        ),
        (
            2 * 512 + 16,
            &[0x20],
            (Some(2), 1024, LogProblem::Flags(0x20)),
        ),
        (
            2 * 512 + 7,
            &[0x80],
            (
                Some(2),
                1024,
                LogProblem::TooFar {
                    sector: (0x80 << 56) + 3,
                    sectors: 1,
                },
            ),
        ),
        (
            2 * 512 + 12,
            &[1],
            (
                Some(2),
                1024,
                LogProblem::Truncated {
                    needed: Some(3 * 512 + ((1 << 32) + 1) * 512),
                    len: 12 * 512,
                },
            ),
        ),
        (
            512 + 24,
            &[0xe1, 1],
            (Some(1), 512, LogProblem::MarkTooLong(481)),
        ),
    ];
    for (at, bytes, expected) in cases {
        let mut log = sample(SECTOR);
        write(&mut log, at, bytes);
        assert_eq!(entries(log).unwrap_err(), expected);
    }
    let mut log = sample(SECTOR);
    write(&mut log, 512 + 32, &[0xff]);
    assert_eq!(entries(log).unwrap_err().2, LogProblem::MarkNotText);
}

#[test]
fn a_log_that_ends_too_early_is_told_wherever_it_ends() {
    let whole = sample(SECTOR).size().0;
    for len in 0..whole {
        let mut log = sample(SECTOR);
        log.set_size(Length(len)).unwrap();
        let (_, _, problem) = entries(log).unwrap_err();
        assert!(
            matches!(
                problem,
                LogProblem::Truncated { .. } | LogProblem::Entries { .. }
            ),
            "{len}: {problem:?}"
        );
    }
}

#[test]
fn data_that_no_memory_holds_are_refused_unless_they_are_zeroes() {
    let mut log = Writer::new(disk(), Length(SECTOR)).unwrap();
    log.write_zeroes(ByteRange::new(0, 1 << 50)).unwrap();
    let mut log = log.finish().unwrap();
    let zeroes = Logged::Zeroes(ByteRange::new(0, 1 << 50));
    assert_eq!(entries(log.snapshot()).unwrap()[0].what, zeroes);
    write(&mut log, 1 << 45, &[1]);
    let (_, _, problem) = entries(log).unwrap_err();
    assert!(
        matches!(problem, LogProblem::TooLarge { .. }),
        "{problem:?}"
    );
}

#[test]
fn what_cannot_be_logged_is_refused() {
    assert!(Writer::new(disk(), Length(513)).is_err());
    assert!(Writer::new(disk(), Length(1 << 24)).is_err());
    let mut log = Writer::new(disk(), Length(4096)).unwrap();
    assert!(log.write(512, &[0; 4096], Durability::Later).is_err());
    assert!(log.write(0, &[0; 512], Durability::Later).is_err());
    assert!(log.mark(&"x".repeat(4096)).is_err());
    assert_eq!(log.count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::cases::cases(300), ..Default::default() })]

    /// Whatever a file holds, it is a log or it is told why not, and no more is read than there is.
    #[test]
    fn any_bytes_are_a_log_or_none(
        patches in proptest::collection::vec((0..12 * 512_u64, any::<u8>()), 0..6),
        len in prop_oneof![3 => Just(None), 1 => (0..7000_u64).prop_map(Some)],
    ) {
        let mut log = sample(SECTOR);
        for (at, byte) in patches {
            // Most of a log is data and padding: the heads of entries are hit more often.
            write(&mut log, at - at % 512 + at % 40, &[byte]);
        }
        if let Some(len) = len {
            log.set_size(Length(len)).unwrap();
        }
        let size = log.size().0;
        if let Ok(entries) = entries(log) {
            for entry in entries {
                prop_assert!(entry.offset < size);
                prop_assert!(entry.range().end() <= i64::MAX.unsigned_abs());
            }
        }
    }
}

/// A store with one image that is used in every way, recorded.
fn recorded(store: &MemStore) -> Vec<blkproof_device::Recorded> {
    store.set_caching(true);
    store.set_recording(true);
    let mut handle = store.subject_handle();
    let mut device = handle.open(&image()).unwrap();
    write(&mut *device, 100, &[1; 700]);
    device.flush().unwrap();
    device
        .write_at(Offset(4096), &[2; 512], Durability::Now)
        .unwrap();
    device
        .write_zeroes(ByteRange::new(200, 5000), true)
        .unwrap();
    device.discard(ByteRange::new(8192, 4096)).unwrap();
    device.set_size(Length(6000)).unwrap();
    device.set_size(Length(20_480)).unwrap();
    write(&mut *device, 30_000, &[3; 10]);
    device.flush().unwrap();
    handle.remove(&image()).unwrap();
    let mut device = handle.create(&image(), Length(1024)).unwrap();
    write(&mut *device, 0, &[4; 512]);
    store.take_record()
}

fn image() -> ImageName {
    ImageName::new("image")
}

fn filled() -> MemStore {
    let store = MemStore::new(&Pool::new());
    let mut handle = store.subject_handle();
    let mut device = handle.create(&image(), Length(12_288)).unwrap();
    write(&mut *device, 0, &[9; 5000]);
    write(&mut *device, 10_000, &[8; 1000]);
    store
}

#[test]
fn what_is_exported_ends_in_the_same_bytes() {
    for sector in [512, 4096] {
        let store = filled();
        let before = store.fork();
        let record = recorded(&store);
        let mut log = Writer::new(disk(), Length(sector)).unwrap();
        before.set_caching(true);
        export(&before, &image(), &record, &mut log).unwrap();
        let log = log.finish().unwrap();
        let mut copy = disk();
        for operation in entries(log)
            .unwrap()
            .into_iter()
            .flat_map(Entry::into_operations)
        {
            match operation {
                Operation::Write { start, data, .. } => write(&mut copy, start, &data),
                Operation::WriteZeroes { range, unmap } => copy.write_zeroes(range, unmap).unwrap(),
                Operation::Discard(range) => copy.discard(range).unwrap(),
                Operation::Resize(size) => copy.set_size(size).unwrap(),
                Operation::Flush => {}
                other => panic!("{other:?} is in no log"),
            }
        }
        let mut device = store.snapshot(&image()).unwrap();
        let size = device.size().0.next_multiple_of(sector);
        assert_eq!(copy.size().0, size);
        assert_eq!(read(&mut copy, 0, size), read(&mut device, 0, size));
    }
}

/// Has QEMU write to a raw file through its driver.
fn qemu(folder: &Path, sector: u64, append: bool, commands: &[&str]) {
    let options = if append {
        "log-append=on".to_owned()
    } else {
        format!("log-append=off,log-sector-size={sector}")
    };
    let spec = format!(
        "driver=blklogwrites,file.driver=file,file.filename={0}/disk,log.driver=file,\
         log.filename={0}/log,log-super-update-interval=3,{options}",
        folder.display()
    );
    let mut call = Command::new("qemu-io");
    call.args(["--image-opts", "-d", "unmap", "-t", "writeback", &spec]);
    for command in commands {
        call.args(["-c", command]);
    }
    let output = call.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{text}{errors}"
    );
}

#[test]
fn a_log_that_qemu_wrote_holds_what_qemu_did() {
    if !has("qemu-io") {
        return;
    }
    for sector in [512, 4096] {
        let folder = tempfile::tempdir().unwrap();
        for name in ["disk", "log"] {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_len(if name == "disk" { 1 << 20 } else { 0 })
                .unwrap();
        }
        let first = [
            "write -P 1 0 8k",
            "write -z 4k 4k",
            "flush",
            "write -P 2 64k 4k",
            "discard 0 4k",
            "flush",
        ];
        qemu(folder.path(), sector, false, &first);
        qemu(
            folder.path(),
            sector,
            true,
            &["write -P 3 128k 4k", "flush"],
        );
        let open = |name| FileDisk::new(File::open(folder.path().join(name)).unwrap());
        let log = entries(open("log")).unwrap();
        let mut copy = disk();
        let mut flushes = 0;
        for operation in log.into_iter().flat_map(Entry::into_operations) {
            match operation {
                Operation::Write { start, data, .. } => write(&mut copy, start, &data),
                Operation::WriteZeroes { range, unmap } => copy.write_zeroes(range, unmap).unwrap(),
                Operation::Discard(range) => copy.discard(range).unwrap(),
                Operation::Flush => flushes += 1,
                other => panic!("QEMU did {other:?}"),
            }
        }
        assert!(flushes >= 3, "{flushes} flushes");
        let len = 1 << 20;
        assert!(read(&mut copy, 0, len) == read(&mut open("disk"), 0, len));
        assert_eq!(read(&mut copy, 128 << 10, 1), [3]);
    }
}

/// QEMU goes on behind the last entry of a log that was written here.
#[test]
fn qemu_goes_on_with_a_log_of_ours() {
    if !has("qemu-io") {
        return;
    }
    for sector in [512, 4096] {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("disk"))
            .unwrap()
            .set_len(1 << 20)
            .unwrap();
        let path = folder.path().join("log");
        let mut options = File::options();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        let mut log = Writer::new(FileDisk::new(file), Length(sector)).unwrap();
        log.mark("begin").unwrap();
        log.write(0, &vec![5; 8192], Durability::Later).unwrap();
        log.write_zeroes(ByteRange::new(4096, 4096)).unwrap();
        log.discard(ByteRange::new(0, 4096)).unwrap();
        log.flush().unwrap();
        log.finish().unwrap();
        qemu(
            folder.path(),
            sector,
            true,
            &["write -P 3 128k 4k", "flush"],
        );
        let found = entries(FileDisk::new(File::open(&path).unwrap())).unwrap();
        assert_eq!(found[0].what, Logged::Mark("begin".to_owned()));
        assert!(found[4].flush);
        let data = Logged::Data(128 << 10, vec![3; 4096]);
        assert!(
            found[5..].iter().any(|entry| entry.what == data),
            "{:?}",
            &found[5..]
        );
    }
}
