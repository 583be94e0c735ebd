//! The store of real files: the same disks, which other programs can look at.

use std::process::Command;

use blkproof_device::{
    BlockDevice, Durability, FileDisk, FolderStore, MemDisk, Pool, StatusKind, Store, StoreError,
};
use blkproof_spec::{ByteRange, Errno, ImageName, Length, Offset};
use proptest::prelude::*;

use crate::cases::cases;
use crate::qemu;

const SPACE: u64 = 1 << 18;

/// Reads a disk and merges what it says about its blocks.
fn look(disk: &mut dyn BlockDevice) -> (Vec<u8>, Vec<(u64, bool)>) {
    let size = disk.size().0;
    let mut bytes = vec![0xee; usize::try_from(size).unwrap() + 10];
    disk.read_at(Offset(0), &mut bytes).unwrap();
    let mut runs: Vec<(u64, bool)> = Vec::new();
    let mut position = 0;
    while position < size {
        let status = disk
            .block_status(ByteRange::between(position, size))
            .unwrap();
        let data = status.kind == StatusKind::Data;
        position += status.len.0;
        match runs.last_mut() {
            Some((end, kind)) if *kind == data => *end = position,
            _ => runs.push((position, data)),
        }
    }
    (bytes, runs)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    #[test]
    fn a_file_does_what_memory_does(
        ops in prop::collection::vec((0..5_u8, 0..SPACE, 1..20_000_u64), 1..20),
    ) {
        let mut file = FileDisk::new(tempfile::tempfile().unwrap());
        let mut memory = MemDisk::new(&Pool::new(), Length(0));
        let disks: [&mut dyn BlockDevice; 2] = [&mut file, &mut memory];
        let [file, memory] = disks.map(|disk| {
            for (kind, start, len) in &ops {
                let range = ByteRange::new(*start, *len);
                let data = vec![7; usize::try_from(*len).unwrap()];
                match kind {
                    0 | 1 => disk.write_at(Offset(*start), &data, Durability::Later),
                    2 => disk.write_zeroes(range, len % 2 == 0),
                    3 => disk.discard(range),
                    _ => disk.set_size(Length(*start)),
                }
                .unwrap();
            }
            look(disk)
        });
        prop_assert!(file.0 == memory.0, "contents differ");
        // A file system may hold more than it has to, and nothing that holds data is a hole.
        let data = |runs: &[(u64, bool)], position: u64| {
            runs.iter().find(|(end, _)| position < *end).is_some_and(|(_, data)| *data)
        };
        for position in (0..memory.0.len() as u64 - 10).step_by(512) {
            prop_assert!(data(&file.1, position) || !data(&memory.1, position));
        }
    }
}

#[test]
fn files_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = FolderStore::in_folder(folder.path());
    let (a, b) = (ImageName::new("a"), ImageName::new("b"));
    std::fs::write(folder.path().join("b"), b"hello").unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    assert_eq!(store.list(), std::slice::from_ref(&b));
    let taken = store.create(&b, Length(1)).err();
    assert_eq!(taken, Some(StoreError::Exists(b.clone())));
    let mut device = store.open(&b).unwrap();
    let mut bytes = [1; 7];
    device.read_at(Offset(0), &mut bytes).unwrap();
    assert_eq!(&bytes, b"hello\0\0");
    let mut created = store.create(&a, Length(4096)).unwrap();
    created
        .write_at(Offset(0), b"HELLO", Durability::Now)
        .unwrap();
    created.flush().unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("a")).unwrap()[..5],
        *b"HELLO"
    );
    assert_eq!(store.list(), [a.clone(), b]);
    store.remove(&a).unwrap();
    assert!(!folder.path().join("a").exists());
    assert_eq!(store.open(&a).err(), Some(StoreError::Missing(a.clone())));
    assert_eq!(store.remove(&a), Err(StoreError::Missing(a)));
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(outside.path().join("secret"), b"secret").unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), folder.join("link")).unwrap();
    let mut store = FolderStore::in_folder(&folder);
    let absolute = outside.path().join("secret");
    for name in [
        "",
        ".",
        "..",
        "../secret",
        "a/../../secret",
        "link/",
        absolute.to_str().unwrap(),
    ] {
        let name = ImageName::new(name);
        let refused = StoreError::Failed(name.clone(), Errno::EINVAL);
        assert_eq!(store.open(&name).err(), Some(refused.clone()));
        assert_eq!(store.create(&name, Length(1)).err(), Some(refused.clone()));
        assert_eq!(store.remove(&name), Err(refused));
    }
    let link = ImageName::new("link");
    let refused = StoreError::Failed(link.clone(), Errno::EINVAL);
    assert_eq!(store.open(&link).err(), Some(refused));
    assert_eq!(
        store.create(&link, Length(1)).err(),
        Some(StoreError::Exists(link))
    );
    assert_eq!(std::fs::read(absolute).unwrap(), b"secret");
}

#[test]
fn qemu_img_sees_the_same_file() {
    if !qemu::has("qemu-img") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut store = FolderStore::in_folder(folder.path());
    let mut device = store.create(&ImageName::new("a"), Length(1 << 30)).unwrap();
    device
        .write_at(Offset(1 << 29), &[5; 4096], Durability::Later)
        .unwrap();
    let output = Command::new("qemu-img")
        .args(["map", "-f", "raw", "--output=json"])
        .arg(folder.path().join("a"))
        .output()
        .unwrap();
    let map = String::from_utf8(output.stdout).unwrap();
    assert!(
        map.contains("\"start\": 536870912, \"length\": 4096"),
        "{map}"
    );
}
