//! The inspector: what it sees of images that the engine wrote, and of damaged ones.

use blkproof::device::{BlockDevice as _, Durability};
use blkproof::spec::{ByteRange, Format, ImageName, Length, Offset};
use blkproof::{Inspected, Inspector as _, Subject as _};
use blkproof_engine::ImageInspector;
use blkproof_qcow2::{BackingName, CreateOptions, create};

use crate::bench::{Bench, run};

/// An increment over a full backup, and both closed.
fn chain() -> Bench {
    run("\
blkproof 1
disk drive0 1M qcow2
disk plain 1M raw
write drive0 0 64k fill=0x11
write drive0 512k 64k fill=0x22
write plain 128k 64k fill=0x44
backup drive0 full to=full0
bitmap add drive0 b0
write drive0 512k 512 fill=0x33
write-zeroes drive0 0 64k
create inc0 qcow2 backing=full0
backup drive0 incremental bitmap=b0 to=inc0 mode=existing
flush drive0
flush plain
")
}

fn open(bench: &Bench, name: &str, format: Format) -> Box<dyn Inspected> {
    let name = ImageName::new(name);
    let opened = ImageInspector::new().open(&bench.store, &name, format);
    opened.unwrap()
}

fn ranges(parts: &[(u64, u64)]) -> Vec<ByteRange> {
    let range = |&(start, len)| ByteRange::new(start << 10, len << 10);
    parts.iter().map(range).collect()
}

#[test]
fn an_increment_is_read_through_its_chain() {
    let bench = chain();
    let mut image = open(&bench, "inc0", Format::Qcow2);
    assert_eq!(image.size(), Length(1 << 20));
    let mut data = Vec::new();
    image.data(&mut data).unwrap();
    assert!(
        data.contains(&ByteRange::new(512 << 10, 64 << 10)),
        "{data:?}"
    );
    for (offset, byte) in [(0, 0), (512 << 10, 0x33), ((512 << 10) + 512, 0x22)] {
        let mut sector = [0xff; 512];
        image.read(offset, &mut sector).unwrap();
        assert_eq!(sector, [byte; 512], "at {offset}");
    }
}

#[test]
fn what_is_allocated_is_told_of_the_top_image_alone() {
    let bench = chain();
    let allocated = |name, format| {
        let mut found = Vec::new();
        open(&bench, name, format).allocated(&mut found).unwrap();
        found
    };
    let increment = allocated("inc0", Format::Qcow2);
    assert_eq!(increment, ranges(&[(0, 64), (512, 64)]));
    assert_eq!(allocated("plain", Format::Raw), ranges(&[(128, 64)]));
}

#[test]
fn images_of_the_engine_are_sound_and_damaged_ones_are_not() {
    let mut bench = chain();
    bench.engine.close().unwrap();
    for (name, format) in [("inc0", Format::Qcow2), ("plain", Format::Raw)] {
        let found = open(&bench, name, format).soundness().unwrap();
        assert_eq!((found.errors, found.leaks), (Vec::new(), 0), "{name}");
    }
    // The first refcount block of a small image is its third cluster, with the header's count
    // first.
    let mut device = bench.store.plain(&ImageName::new("inc0")).unwrap();
    let zeroes = [0; 2];
    device
        .write_at(Offset(2 << 16), &zeroes, Durability::Later)
        .unwrap();
    drop(device);
    let found = open(&bench, "inc0", Format::Qcow2).soundness().unwrap();
    assert_eq!(found.errors, ["host cluster 0 has refcount 0 and 1 uses"]);
}

#[test]
fn a_missing_image_and_a_broken_header_are_errors() {
    let bench = chain();
    let missing = ImageInspector::new().open(&bench.store, &ImageName::new("none"), Format::Raw);
    assert_eq!(missing.unwrap_err().message, "there is no image 'none'");
    let plain = ImageName::new("plain");
    let broken = ImageInspector::new().open(&bench.store, &plain, Format::Qcow2);
    assert!(broken.is_err());
}

#[test]
fn a_chain_in_a_circle_is_an_error() {
    let bench = chain();
    let name = ImageName::new("a");
    let mut device = bench
        .store
        .subject_handle()
        .create(&name, Length(0))
        .unwrap();
    let options = CreateOptions {
        backing: Some(BackingName {
            name: "a".to_owned(),
            format: None,
        }),
        ..CreateOptions::new(Length(1 << 20))
    };
    create(&mut *device, &options).unwrap();
    let opened = ImageInspector::new().open(&bench.store, &name, Format::Qcow2);
    assert_eq!(
        opened.unwrap_err().message,
        "the chain of image a does not end"
    );
}
