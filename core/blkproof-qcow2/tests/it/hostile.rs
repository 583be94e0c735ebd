//! Images that nobody should have made: errors, never a panic, and never much time or memory.

use blkproof_device::{BlockDevice, Durability, MemDisk, MemStore, Pool, Store, StoreError};
use blkproof_qcow2::inspect::{
    Contents, InspectError, Layer, Limits, Problem, Use, bitmaps, inspect,
};
use blkproof_qcow2::{
    BackingName, ChainError, CreateOptions, Feature, NewBitmap, OpenOptions, Qcow2, Qcow2Error,
    create, open_chain,
};
use blkproof_spec::{ByteRange, DiscardMode, ImageName, Length, Offset};
use proptest::prelude::*;

use crate::cases::cases;
use crate::support::{UNMAP, disk, image, noise, read, write};

const SMALL: Limits = Limits {
    table_bytes: 16 << 20,
    runs: 1 << 16,
    problems: 20,
};

/// Returns the file of a flushed image that has some of everything.
fn sample(cluster: u64) -> MemDisk {
    let mut image = image(cluster * 100, cluster);
    let len = usize::try_from(cluster).unwrap();
    write(&mut image, cluster, &noise(1, 3 * len));
    image
        .write_compressed(Offset(7 * cluster), &vec![7; len])
        .unwrap();
    image
        .write_zeroes(ByteRange::new(9 * cluster, 2 * cluster), true)
        .unwrap();
    image
        .write_zeroes(ByteRange::new(2 * cluster, cluster), false)
        .unwrap();
    write(&mut image, 80 * cluster, &noise(2, 512));
    let bitmap = NewBitmap {
        name: "b",
        granularity: Length(512),
        enabled: true,
        runs: &[(1, 5), (70, 71)],
    };
    image.store_bitmaps(&[bitmap]).unwrap();
    image.into_file()
}

/// Does to an image whatever a caller can do.
fn exercise(mut file: MemDisk) {
    if let Err(error) = inspect(&mut file.snapshot(), &SMALL) {
        drop(error.to_string());
    }
    drop(bitmaps(&mut file.snapshot(), &SMALL));
    if let Ok(layer) = Layer::qcow2(Box::new(file.snapshot())) {
        let mut contents = Contents::new(vec![layer]);
        let size = contents.size().0;
        drop(contents.extent(ByteRange::new(0, size)));
        drop(contents.read(Offset(size / 2), &mut [0; 5000]));
        drop(contents.read(Offset(0), &mut vec![0; 1 << 16]));
    }
    // A hostile size can cost a hostile file; a device's owner sets the limit, here by not growing.
    file.set_size(Length(file.size().0)).unwrap();
    let Ok(mut image) = Qcow2::open(file, &UNMAP) else {
        return;
    };
    let size = image.size().0;
    let names: Vec<_> = image.bitmaps().map(|bitmap| bitmap.name).collect();
    for name in &names {
        drop(image.read_bitmap(name));
    }
    let mut buf = vec![0; 1 << 16];
    drop(image.read_at(Offset(0), &mut buf));
    drop(image.block_status(ByteRange::new(0, size.max(1))));
    drop(image.write_at(Offset(0), &buf[..5000], Durability::Later));
    drop(image.write_at(Offset(size / 2), &buf[..700], Durability::Now));
    drop(image.write_compressed(Offset(0), &buf[..512.min(buf.len())]));
    drop(image.discard(ByteRange::between(0, size.min(1 << 22))));
    drop(image.write_zeroes(ByteRange::between(100, size.min(1 << 22)), false));
    drop(image.flush());
    drop(image.set_size(Length((size / 2) & !511)));
    drop(image.set_size(Length(size.saturating_add(1 << 20) & !511)));
    drop(image.flush());
    let granularity = Length(1 << 20);
    let runs = &[(0, 1), (7, 9)];
    let new = |name| NewBitmap {
        name,
        granularity,
        enabled: false,
        runs,
    };
    drop(image.store_bitmaps(&[new("b"), new("c")]));
    drop(image.mark_bitmaps());
    drop(image.remove_bitmap("b"));
    if let Some(corruption) = image.corruption() {
        drop(corruption.to_string());
    }
}

fn config(few: u32) -> ProptestConfig {
    ProptestConfig {
        cases: cases(few),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn flipped_bits(
        bits in prop_oneof![Just(9), Just(12), Just(16)],
        flips in proptest::collection::vec((0..8_u64, 0..1_u64 << 16, 0..8_u32), 1..6),
    ) {
        let mut file = sample(1 << bits);
        for (cluster, byte, bit) in flips {
            // Most of what matters lies at the start of a cluster.
            let bound = if byte % 3 == 0 { 1 << bits } else { 112 };
            let at = (cluster << bits) + byte % (1 << bits) % bound;
            let old = read(&mut file, at, 1)[0];
            write(&mut file, at, &[old ^ 1 << bit]);
        }
        exercise(file);
    }

    #[test]
    fn overwritten_fields(
        bits in prop_oneof![Just(9), Just(12), Just(16)],
        fields in proptest::collection::vec(
            (0..8_u64, 0..15_u64, prop_oneof![
                any::<u64>(),
                (0..20_u64, 0..4_u64).prop_map(|(cluster, flags)| cluster << 16 | flags << 62),
                (0..40_u64, 0..4_u64).prop_map(|(cluster, flags)| cluster << 9 | flags << 62),
                Just(u64::MAX),
                Just(0),
            ]),
            1..6,
        ),
    ) {
        let mut file = sample(1 << bits);
        for (cluster, field, value) in fields {
            write(&mut file, (cluster << bits) + field * 8, &value.to_be_bytes());
        }
        exercise(file);
    }

    #[test]
    fn arbitrary_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        honest in 0..5_usize,
    ) {
        let mut header = read(&mut sample(512), 0, 112);
        let kept = [0, 8, 32, 48, 112][honest];
        header.truncate(kept);
        let mut file = disk();
        write(&mut file, 0, &bytes);
        write(&mut file, 0, &header);
        exercise(file);
    }
}

fn patched(at: u64, bytes: &[u8]) -> MemDisk {
    let mut file = sample(4096);
    write(&mut file, at, bytes);
    file
}

fn open(file: MemDisk) -> Result<Qcow2<MemDisk>, Qcow2Error> {
    Qcow2::open(file, &OpenOptions::default())
}

#[test]
fn broken_headers_are_refused_by_field() {
    let field = |at: u64, bytes: &[u8]| match open(patched(at, bytes)).unwrap_err() {
        Qcow2Error::Field { field, value, .. } => (field, value),
        other => panic!("{other}"),
    };
    assert_eq!(field(20, &[0, 0, 0, 8]), ("cluster_bits", 8));
    assert_eq!(field(20, &[0, 0, 0, 22]), ("cluster_bits", 22));
    assert_eq!(field(24, &[0x80]), ("size", (1 << 63) | (4096 * 100)));
    assert_eq!(field(24, &[0, 0, 1]).0, "l1_size");
    assert_eq!(field(36, &[0xff; 4]), ("l1_size", 0xffff_ffff));
    assert_eq!(
        field(40, &[0, 0, 0, 0, 0, 0, 0x30, 8]),
        ("l1_table_offset", 0x3008)
    );
    assert_eq!(field(40, &[0; 8]), ("l1_table_offset", 0));
    assert_eq!(field(48, &[1; 8]).0, "refcount_table_offset");
    assert_eq!(field(56, &[0; 4]), ("refcount_table_clusters", 0));
    assert_eq!(
        field(56, &[0xff; 4]),
        ("refcount_table_clusters", 0xffff_ffff)
    );
    assert_eq!(field(60, &[1, 0, 0, 0]), ("nb_snapshots", 1 << 24));
    assert_eq!(field(96, &[0, 0, 0, 7]), ("refcount_order", 7));
    assert_eq!(field(100, &[0, 0, 0, 103]), ("header_length", 103));
    assert_eq!(
        field(144, &[1; 8]),
        ("header extension length", 0x0101_0101)
    );
    assert_eq!(
        field(8, &[0, 0, 0, 0, 0, 0, 0, 1]),
        ("backing_file_offset", 1)
    );
}

#[test]
fn unknown_features_are_refused_by_name() {
    let feature = |at: u64, bytes: &[u8]| match open(patched(at, bytes)).unwrap_err() {
        Qcow2Error::Feature(feature) => feature,
        other => panic!("{other}"),
    };
    assert_eq!(feature(79, &[1]), Feature::Dirty);
    assert_eq!(feature(79, &[2]), Feature::Corrupt);
    assert_eq!(feature(79, &[4]), Feature::ExternalData);
    assert_eq!(feature(79, &[16]), Feature::ExtendedL2);
    assert_eq!(feature(72, &[0x80]), Feature::Unknown(63));
    assert_eq!(feature(35, &[1]), Feature::Encryption(1));
    assert_eq!(feature(104, &[1]), Feature::Compression(1));
    assert_eq!(open(patched(7, &[4])).unwrap_err(), Qcow2Error::Version(4));
    let nothing = open(disk()).unwrap_err();
    assert_eq!(nothing, Qcow2Error::NotQcow2 { magic: 0 });
}

/// Returns where the directory, the table and the first cluster of bits of the sample's bitmap lie.
fn places(file: &mut MemDisk) -> [u64; 3] {
    let number = |file: &mut MemDisk, at| {
        let raw = read(file, at, 8);
        u64::from_be_bytes(raw.try_into().unwrap())
    };
    // The extension is the first one; its last field is where the directory lies.
    let directory = number(file, 112 + 8 + 16);
    let table = number(file, directory);
    [directory, table, number(file, table)]
}

#[test]
fn broken_directories_of_bitmaps_are_refused_by_field() {
    let patch = |at: u64, bytes: &[u8]| {
        let mut file = sample(4096);
        let [directory, ..] = places(&mut file);
        write(&mut file, directory + at, bytes);
        file
    };
    for (at, bytes, field) in [
        (0, &[0, 0, 0, 0, 0, 0, 1][..], "bitmap_table_offset"),
        (0, &[1], "bitmap_table_offset"),
        (0, &[0; 8], "bitmap_table_offset"),
        (8, &[0; 4], "bitmap_table_size"),
        (8, &[1, 0, 0, 0], "bitmap_table_size"),
        (15, &[8], "bitmap flags"),
        (16, &[2], "bitmap type"),
        (17, &[8], "bitmap granularity_bits"),
        (17, &[32], "bitmap granularity_bits"),
        (18, &[0, 0], "bitmap name_size"),
        (18, &[4, 0], "bitmap name_size"),
        (18, &[0, 9], "bitmap_directory_size"),
        (20, &[0, 0, 0, 1], "bitmap extra_data_size"),
        (24, &[0xff], "bitmap name"),
    ] {
        let mut file = patch(at, bytes);
        match open(file.snapshot()).unwrap_err() {
            Qcow2Error::Field { field: found, .. } => assert_eq!(found, field, "{at}"),
            other => panic!("{other}"),
        }
        if field != "bitmap name" {
            let report = inspect(&mut file, &Limits::default()).unwrap();
            assert!(!report.is_sound(), "{field}");
        }
    }
    for (at, bytes, field) in [
        (
            112 + 4,
            &[0, 0, 0, 23][..],
            "length of the bitmaps extension",
        ),
        (112 + 8, &[0, 1, 0, 0], "nb_bitmaps"),
        (112 + 8, &[0; 4], "nb_bitmaps"),
        (112 + 8 + 7, &[1], "bitmaps extension, reserved"),
        (112 + 16, &[1], "bitmap_directory_size"),
        (112 + 16, &[0; 8], "bitmap_directory_size"),
        (
            112 + 24,
            &[0, 0, 0, 0, 0, 0, 0, 8],
            "bitmap_directory_offset",
        ),
        (
            112 + 24,
            &[0, 1, 0, 0, 0, 0, 0, 0],
            "bitmap_directory_offset",
        ),
    ] {
        match open(patched(at, bytes)).unwrap_err() {
            Qcow2Error::Field { field: found, .. } => assert_eq!(found, field),
            other => panic!("{other}"),
        }
        let inspected = inspect(&mut patched(at, bytes), &Limits::default());
        assert!(
            inspected.is_err() || !inspected.unwrap().is_sound(),
            "{field}"
        );
    }
}

#[test]
fn broken_tables_of_bitmaps_are_found() {
    let whole = sample(4096);
    let [directory, table, _] = places(&mut whole.snapshot());
    let entries: [u64; 6] = [3, 0x1000 | 1, 0x1000, 0, directory, 1 << 60];
    for entry in entries {
        let mut file = whole.snapshot();
        write(&mut file, table, &entry.to_be_bytes());
        let mut image = open(file.snapshot()).unwrap();
        let report = inspect(&mut file, &Limits::default()).unwrap();
        let read = image.read_bitmap("b");
        match entry {
            0 => assert!(report.is_sound() && read.unwrap() == Some(vec![])),
            // The driver does not know that the cluster is the directory's.
            other if other == directory => assert!(!report.is_sound()),
            _ => assert!(!report.is_sound() && read.is_err(), "{entry:#x}"),
        }
    }
    // A size that does not fit the image matters only where the bits count.
    let mut file = whole.snapshot();
    write(&mut file, directory + 11, &[2]);
    let mut image = open(file.snapshot()).unwrap();
    assert!(image.read_bitmap("b").is_err());
    let report = inspect(&mut file, &Limits::default()).unwrap();
    let problem = Problem::Bitmap {
        number: 0,
        field: "bitmap_table_size",
        value: 2,
    };
    assert_eq!(report.problems, [problem]);
    write(&mut file, directory + 15, &[3]);
    assert!(inspect(&mut file, &Limits::default()).unwrap().is_sound());
}

#[test]
fn an_image_of_itself_is_bounded() {
    // Every L1 entry points to the same table of data: 4 million tables of 64 KiB.
    let mut file = image(16 << 40, 64 << 10);
    write(&mut file, 0, &noise(1, 4 << 20));
    file.flush().unwrap();
    let mut file = file.into_file();
    let l1 = read(&mut file, 3 << 16, 8);
    write(&mut file, 3 << 16, &l1.repeat(32768));
    let start = std::time::Instant::now();
    let report = inspect(&mut file.snapshot(), &Limits::default()).unwrap();
    assert_eq!(report.problem_count, 67);
    let error = inspect(&mut file.snapshot(), &SMALL).unwrap_err();
    assert_eq!(error, InspectError::TooLarge);
    exercise(file);
    assert!(start.elapsed().as_secs() < 20);
}

#[test]
fn an_entry_of_flags_alone_is_no_table() {
    let mut file = image(1 << 20, 512).into_file();
    let l1 = u64::from_be_bytes(read(&mut file, 40, 8).try_into().unwrap());
    write(&mut file, l1, &[0x80]);
    let mut image = Qcow2::open(file, &UNMAP).unwrap();
    image.discard(ByteRange::new(0, 512)).unwrap();
    image.write_zeroes(ByteRange::new(512, 1024), true).unwrap();
    write(&mut image, 4096, &noise(3, 512));
    image.flush().unwrap();
    assert_eq!(read(&mut image, 4096, 512), noise(3, 512));
    let report = inspect(image.file_mut(), &Limits::default()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

#[test]
fn a_table_behind_everything_is_told() {
    // One snapshot, whose L1 table of one entry ends behind 2^64.
    let mut file = patched(60, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x20, 0]);
    let mut snapshot = [0; 40];
    snapshot[..8].copy_from_slice(&(u64::MAX - 4095).to_be_bytes());
    snapshot[8..12].copy_from_slice(&1024_u32.to_be_bytes());
    write(&mut file, 0x2000, &snapshot);
    let report = inspect(&mut file, &Limits::default()).unwrap();
    let offset = u64::MAX - 4095;
    let what = Use::L1;
    let told = Problem::OutOfBounds { what, offset };
    assert!(report.problems.contains(&told), "{:?}", report.problems);
}

fn named(name: &str) -> CreateOptions {
    CreateOptions {
        size: Length(1 << 20),
        cluster: Length(4096),
        backing: Some(BackingName {
            name: name.to_owned(),
            format: Some("qcow2".to_owned()),
        }),
    }
}

#[test]
fn chains_are_opened_and_loops_are_found() {
    let mut store = MemStore::new(&Pool::new());
    let mut make = |name: &str, options: &CreateOptions| {
        let mut device = store.create(&ImageName::new(name), Length(0)).unwrap();
        create(&mut device, options).unwrap();
    };
    make("a", &named("b"));
    make("b", &named("c"));
    make("c", &named("a"));
    make("self", &named("self"));
    make("orphan", &named("nobody"));
    make("top", &named("base"));
    make("base", &CreateOptions::new(Length(2 << 20)));
    let open = |store: &mut MemStore, name: &str, limit| {
        let name = ImageName::new(name);
        let read = Contents::open(store, &name, limit).map(drop);
        let options = OpenOptions {
            discard: DiscardMode::Unmap,
            ..OpenOptions::default()
        };
        let opened = open_chain(store, &name, &options, limit);
        assert_eq!(read.is_ok(), opened.is_ok());
        opened
    };
    let name = ImageName::new;
    assert_eq!(
        open(&mut store, "a", 10).unwrap_err(),
        ChainError::Loop { name: name("a") }
    );
    let looped = ChainError::Loop { name: name("self") };
    assert_eq!(open(&mut store, "self", 10).unwrap_err(), looped);
    assert_eq!(
        open(&mut store, "a", 2).unwrap_err(),
        ChainError::TooLong { limit: 2 }
    );
    let missing = ChainError::Store(StoreError::Missing(name("nobody")));
    assert_eq!(open(&mut store, "orphan", 10).unwrap_err(), missing);

    let mut base = open(&mut store, "base", 1).unwrap();
    write(&mut *base, 5000, b"below");
    base.flush().unwrap();
    let mut top = open(&mut store, "top", 2).unwrap();
    assert_eq!(read(&mut *top, 5000, 5), b"below");
    write(&mut *top, 5000, b"above");
    top.flush().unwrap();
    let mut contents = Contents::open(&mut store, &name("top"), 2).unwrap();
    let mut seen = [0; 5];
    contents.read(Offset(5000), &mut seen).unwrap();
    assert_eq!(&seen, b"above");
    assert_eq!(
        read(&mut *open(&mut store, "base", 1).unwrap(), 5000, 5),
        b"below"
    );
}

#[test]
fn rebasing_writes_the_name_and_keeps_extensions() {
    let mut image = image(1 << 20, 4096);
    // An extension that nobody knows, in front of the end of the extensions.
    let extension = [
        0x12, 0x34, 0x56, 0x78, 0, 0, 0, 3, b'a', b'b', b'c', 0, 0, 0, 0, 0,
    ];
    write(image.file_mut(), 112, &extension);
    let mut image = Qcow2::open(image.into_file(), &UNMAP).unwrap();
    let backing = BackingName {
        name: "base".to_owned(),
        format: Some("raw".to_owned()),
    };
    image.write_backing_name(Some(backing.clone())).unwrap();
    write(&mut image, 0, &noise(1, 512));
    image.flush().unwrap();
    let mut image = Qcow2::open(image.into_file(), &UNMAP).unwrap();
    assert_eq!(image.backing_name(), Some(&backing));
    assert_eq!(image.extensions()[0].data, b"abc");
    image.write_backing_name(None).unwrap();
    let too_long = BackingName {
        name: "x".repeat(1024),
        format: None,
    };
    assert!(image.write_backing_name(Some(too_long)).is_err());
    let mut image = Qcow2::open(image.into_file(), &UNMAP).unwrap();
    assert_eq!(image.backing_name(), None);
    assert_eq!(read(&mut image, 0, 512), noise(1, 512));
    let report = inspect(image.file_mut(), &Limits::default()).unwrap();
    assert!(report.is_sound());
}
