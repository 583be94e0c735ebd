//! What the tests share: disks, patterns, and QEMU's tools.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Output};

use blkproof_device::{BlockDevice, Durability, MemDisk, Pool, StatusKind};
use blkproof_qcow2::{CreateOptions, OpenOptions, Qcow2};
use blkproof_spec::{ByteRange, DiscardMode, Length, Offset};

pub(crate) const UNMAP: OpenOptions = OpenOptions {
    discard: DiscardMode::Unmap,
    read_only: false,
    l2_cache: Length(1 << 20),
};

/// Returns an empty disk.
pub(crate) fn disk() -> MemDisk {
    MemDisk::new(&Pool::new(), Length(0))
}

pub(crate) fn options(size: u64, cluster: u64) -> CreateOptions {
    CreateOptions {
        size: Length(size),
        cluster: Length(cluster),
        backing: None,
    }
}

/// Returns a new image on a disk of its own.
pub(crate) fn image(size: u64, cluster: u64) -> Qcow2<MemDisk> {
    Qcow2::create(disk(), &options(size, cluster), &UNMAP).unwrap()
}

pub(crate) fn write(device: &mut dyn BlockDevice, offset: u64, data: &[u8]) {
    device
        .write_at(Offset(offset), data, Durability::Later)
        .unwrap();
}

pub(crate) fn read(device: &mut dyn BlockDevice, offset: u64, len: usize) -> Vec<u8> {
    let mut buf = vec![0xee; len];
    device.read_at(Offset(offset), &mut buf).unwrap();
    buf
}

/// Returns bytes that differ from sector to sector and from seed to seed, and hardly compress.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Returns whether QEMU's tools are there; says so where they are not.
pub(crate) fn have_qemu() -> bool {
    let found = Command::new("qemu-img").arg("--version").output().is_ok()
        && Command::new("qemu-io").arg("--version").output().is_ok();
    if !found {
        assert!(
            std::env::var_os("BLKPROOF_REQUIRE_QEMU").is_none(),
            "qemu-img and qemu-io are required and were not found"
        );
        eprintln!("skipped: qemu-img and qemu-io were not found");
    }
    found
}

/// Runs a tool to its end.
pub(crate) fn run(tool: &str, args: &[&str]) -> Output {
    Command::new(tool).args(args).output().unwrap()
}

/// Runs a tool that has to succeed, and returns what it printed.
pub(crate) fn succeed(tool: &str, args: &[&str]) -> String {
    let output = run(tool, args);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{tool} {args:?}: {text}");
    text
}

/// Writes what a device holds to a file, leaving out what it says is a hole.
pub(crate) fn save(device: &mut dyn BlockDevice, path: &Path) {
    let mut file = File::create(path).unwrap();
    let size = device.size().0;
    file.set_len(size).unwrap();
    let mut at = 0;
    while at < size {
        let status = device
            .block_status(ByteRange::between(at, size.min(at + (1 << 20))))
            .unwrap();
        if status.kind == StatusKind::Data {
            let bytes = read(device, at, usize::try_from(status.len.0).unwrap());
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&bytes).unwrap();
        }
        at += status.len.0;
    }
}

/// Returns a disk that holds what a file holds.
pub(crate) fn load(path: &Path) -> MemDisk {
    let mut file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let mut disk = disk();
    disk.set_size(Length(size)).unwrap();
    let mut buf = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        let len = file.read(&mut buf).unwrap();
        if len == 0 {
            return disk;
        }
        if buf[..len].iter().any(|byte| *byte != 0) {
            write(&mut disk, at, &buf[..len]);
        }
        at += len as u64;
    }
}
