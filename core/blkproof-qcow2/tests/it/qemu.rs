//! QEMU's tools look at what the driver writes, and the driver at what they write.

use std::path::Path;

use blkproof_device::{BlockDevice, IoError, MemDisk};
use blkproof_qcow2::inspect::{Contents, Layer, Limits, inspect};
use blkproof_qcow2::{Feature, OpenOptions, Qcow2, Qcow2Error};
use blkproof_spec::{ByteRange, Errno, Length, Offset};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tempfile::tempdir;

use crate::model::{Op, Pair, Shape, cases, ops};
use crate::support::{UNMAP, have_qemu, load, noise, read, run, save, succeed, write};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Has QEMU check a flushed image and compare it with the bytes it must hold.
fn confirm(pair: &mut Pair, folder: &Path) {
    let (image, raw) = (folder.join("image"), folder.join("raw"));
    save(&mut pair.probe.snapshot(), &image);
    std::fs::write(&raw, &pair.bytes).unwrap();
    if let Some(backing) = &pair.backing {
        save(&mut backing.snapshot(), &folder.join("base"));
    }
    succeed("qemu-img", &["check", "-f", "qcow2", text(&image)]);
    let compare = [
        "compare",
        "-f",
        "qcow2",
        "-F",
        "raw",
        text(&image),
        text(&raw),
    ];
    succeed("qemu-img", &compare);
}

fn replay(shape: &Shape, ops: &[Op], folder: &Path) {
    let mut pair = Pair::new(shape);
    for op in ops {
        pair.request(op).unwrap();
        pair.apply(op);
    }
    pair.image.flush().unwrap();
    confirm(&mut pair, folder);
}

#[test]
fn qemu_agrees_on_random_images() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    for _ in 0..40 {
        let (shape, ops) = cases(40).new_tree(&mut runner).unwrap().current();
        replay(&shape, &ops, folder.path());
    }
}

#[test]
fn qemu_agrees_on_every_cluster_size() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    for bits in 9..=21 {
        for backing in [None, Some(700 * K), Some(3 * M)] {
            let shape = Shape {
                cluster: 1 << bits,
                size: 2 * M + 512,
                backing,
            };
            let ops = proptest::collection::vec(ops(&shape), 12);
            let ops = ops.new_tree(&mut runner).unwrap().current();
            replay(&shape, &ops, folder.path());
        }
    }
}

#[test]
fn qemu_agrees_on_each_kind_of_change() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let whole = ByteRange::new(0, 4 * M);
    let data = Op::Write(ByteRange::new(0, 3 * M), 5);
    let kinds: [&[Op]; 9] = [
        std::slice::from_ref(&data),
        &[data.clone(), Op::Zero(whole, true)],
        &[
            data.clone(),
            Op::Zero(whole, false),
            Op::Write(ByteRange::new(700, 5), 1),
        ],
        &[data.clone(), Op::Discard(ByteRange::new(100 * K, M))],
        &[data.clone(), Op::Resize(M + 512), Op::Resize(8 * M)],
        &[Op::Resize(600 * M), data.clone()],
        &[
            Op::Compressed(1, 1, true),
            Op::Compressed(2, 2, true),
            Op::Compressed(1, 3, true),
        ],
        &[
            Op::Compressed(1, 1, true),
            Op::Write(ByteRange::new(70 * K, K), 1),
        ],
        &[
            data.clone(),
            Op::Compressed(0, 1, true),
            Op::Compressed(3, 2, false),
        ],
    ];
    for backing in [None, Some(2 * M), Some(9 * M)] {
        for ops in kinds {
            let shape = Shape {
                cluster: 64 * K,
                size: 4 * M,
                backing,
            };
            replay(&shape, ops, folder.path());
        }
    }
}

/// Returns what QEMU reads from an image.
fn converted(folder: &Path, image: &Path) -> Vec<u8> {
    let raw = folder.join("converted");
    let convert = [
        "convert",
        "-f",
        "qcow2",
        "-O",
        "raw",
        text(image),
        text(&raw),
    ];
    succeed("qemu-img", &convert);
    std::fs::read(raw).unwrap()
}

/// Opens an image of QEMU's with its backing file, compares it, changes it, and has QEMU look at
/// it.
fn take_over(folder: &Path, image: &Path, base: Option<&Path>) {
    let expected = converted(folder, image);
    let file = load(image);
    compare_inspected(&file, base, &expected);
    let mut opened = Qcow2::open(file, &UNMAP).unwrap();
    opened.set_backing(base.map(|base| Box::new(load(base)) as Box<dyn BlockDevice>));
    let len = expected.len();
    assert!(read(&mut opened, 0, len) == expected, "{}", image.display());

    let mut changed = expected;
    let data = noise(3, 300_000);
    for at in [1000, 700_000] {
        write(&mut opened, at, &data);
        let at = usize::try_from(at).unwrap();
        changed[at..at + data.len()].copy_from_slice(&data);
    }
    opened
        .write_zeroes(ByteRange::new(65_000, 200_000), true)
        .unwrap();
    changed[65_000..265_000].fill(0);
    opened.flush().unwrap();
    assert_eq!(opened.corruption(), None);
    assert!(read(&mut opened, 0, len) == changed);
    let mut file = opened.into_file();
    let report = inspect(&mut file, &Limits::default()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    compare_inspected(&file, base, &changed);
    save(&mut file, image);
    succeed("qemu-img", &["check", "-f", "qcow2", text(image)]);
    assert!(converted(folder, image) == changed);
}

fn compare_inspected(file: &MemDisk, base: Option<&Path>, expected: &[u8]) {
    let report = inspect(&mut file.snapshot(), &Limits::default()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!(report.leaks, 0);
    let mut layers = vec![Layer::qcow2(Box::new(file.snapshot())).unwrap()];
    layers.extend(base.map(|base| Layer::raw(Box::new(load(base)))));
    let mut contents = Contents::new(layers);
    assert_eq!(contents.size(), Length(expected.len() as u64));
    let mut seen = vec![0xee; expected.len()];
    contents.read(Offset(0), &mut seen).unwrap();
    assert!(seen == expected);
}

const QEMU_IO: [&str; 10] = [
    "-c",
    "write -P 0x11 0 128k",
    "-c",
    "write -P 0x22 1M 3k",
    "-c",
    "write -z 64k 64k",
    "-c",
    "write -z -u 1500k 100k",
    "-c",
    "discard 128k 64k",
];

fn qemu_io(image: &Path) {
    let mut args = vec!["-f", "qcow2", "-d", "unmap"];
    args.extend(QEMU_IO);
    args.push(text(image));
    succeed("qemu-io", &args);
}

fn create(image: &Path, options: &str, extra: &[&str], size: &str) {
    let mut args = vec!["create", "-q", "-f", "qcow2", "-o", options];
    args.extend(extra);
    args.push(text(image));
    args.push(size);
    succeed("qemu-img", &args);
}

#[test]
fn images_of_every_cluster_size_are_read() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let image = folder.path().join("image");
    for bits in 9..=21 {
        create(
            &image,
            &format!("cluster_size={}", 1 << bits),
            &[],
            "2097664",
        );
        qemu_io(&image);
        take_over(folder.path(), &image, None);
    }
}

#[test]
fn images_of_every_refcount_width_are_read() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let image = folder.path().join("image");
    for order in 0..=6 {
        for cluster in [512, 65536] {
            let options = format!("refcount_bits={},cluster_size={cluster}", 1 << order);
            create(&image, &options, &[], "2M");
            qemu_io(&image);
            take_over(folder.path(), &image, None);
        }
    }
}

#[test]
fn version_2_is_read() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let (image, base) = (folder.path().join("image"), folder.path().join("base"));
    create(&image, "compat=0.10", &[], "2M");
    qemu_io(&image);
    take_over(folder.path(), &image, None);
    std::fs::write(&base, noise(8, 1_500_000)).unwrap();
    create(
        &image,
        "compat=0.10",
        &["-b", text(&base), "-F", "raw"],
        "2M",
    );
    take_over(folder.path(), &image, Some(&base));
}

#[test]
fn overlays_are_read() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let (image, base) = (folder.path().join("image"), folder.path().join("base"));
    for (len, bits) in [(1_500_160, 16), (2 << 20, 9), (3 << 20, 21)] {
        std::fs::write(&base, noise(8, len)).unwrap();
        let options = format!("cluster_size={}", 1 << bits);
        create(&image, &options, &["-b", text(&base), "-F", "raw"], "2M");
        qemu_io(&image);
        take_over(folder.path(), &image, Some(&base));
    }
}

#[test]
fn compressed_images_are_read() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let (image, raw) = (folder.path().join("image"), folder.path().join("raw"));
    let mut bytes = noise(4, 2 << 20);
    for (number, sector) in bytes.chunks_mut(512).enumerate() {
        if number % 5 != 0 {
            sector.fill(u8::try_from(number % 251).unwrap());
        }
    }
    std::fs::write(&raw, &bytes).unwrap();
    for bits in [9, 12, 16, 21] {
        let options = format!("cluster_size={}", 1 << bits);
        let convert = [
            "convert",
            "-c",
            "-f",
            "raw",
            "-O",
            "qcow2",
            "-o",
            &options,
            text(&raw),
            text(&image),
        ];
        succeed("qemu-img", &convert);
        take_over(folder.path(), &image, None);
    }
}

#[test]
fn snapshots_keep_what_they_hold() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let image = folder.path().join("image");
    for cluster in [4096, 65536] {
        create(&image, &format!("cluster_size={cluster}"), &[], "2M");
        qemu_io(&image);
        succeed("qemu-img", &["snapshot", "-c", "before", text(&image)]);
        let before = converted(folder.path(), &image);
        take_over(folder.path(), &image, None);
        succeed("qemu-img", &["snapshot", "-a", "before", text(&image)]);
        assert!(converted(folder.path(), &image) == before);
        succeed("qemu-img", &["check", "-f", "qcow2", text(&image)]);
    }
}

/// QEMU changes the size of an image with snapshots too, but of none of version 2.
#[test]
fn an_image_with_snapshots_changes_its_size() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let image = folder.path().join("image");
    for (options, sizes) in [
        ("cluster_size=512", [300 * K, 40 * M, 2 * M]),
        ("cluster_size=4096", [40 * M, 64 * K, 3 * M]),
        ("cluster_size=65536", [1200 * M, M, 512]),
        ("compat=0.10", [0; 3]),
    ] {
        create(&image, options, &[], "2M");
        qemu_io(&image);
        succeed("qemu-img", &["snapshot", "-c", "before", text(&image)]);
        let before = converted(folder.path(), &image);
        let mut opened = Qcow2::open(load(&image), &UNMAP).unwrap();
        if opened.version() == 2 {
            let refused = Err(IoError::Failed(Errno::ENOTSUP));
            assert_eq!(opened.set_size(Length(M)), refused);
            continue;
        }
        for size in sizes {
            let old = opened.size().0;
            opened.set_size(Length(size)).unwrap();
            if size > old {
                write(&mut opened, size - 100, &noise(size, 100));
            }
            opened.flush().unwrap();
            save(opened.file_mut(), &image);
            succeed("qemu-img", &["check", "-f", "qcow2", text(&image)]);
            let report = inspect(opened.file_mut(), &Limits::default()).unwrap();
            assert!(report.is_sound() && report.leaks == 0, "{report:?}");
            assert_eq!(report.size.0, size);
        }
        succeed("qemu-img", &["snapshot", "-a", "before", text(&image)]);
        assert!(converted(folder.path(), &image) == before);
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    let image = folder.path().join("image");
    let data = format!("data_file={}", text(&folder.path().join("data")));
    let cases = [
        ("extended_l2=on", Feature::ExtendedL2),
        ("compression_type=zstd", Feature::Compression(1)),
        (&data, Feature::ExternalData),
    ];
    for (options, feature) in cases {
        create(&image, options, &[], "2M");
        let opened = Qcow2::open(load(&image), &OpenOptions::default());
        assert_eq!(opened.unwrap_err(), Qcow2Error::Feature(feature));
    }
    create(&image, "lazy_refcounts=on", &[], "2M");
    let abort = [
        "-f",
        "qcow2",
        "-c",
        "write 0 64k",
        "-c",
        "abort",
        text(&image),
    ];
    assert!(!run("qemu-io", &abort).status.success());
    let opened = Qcow2::open(load(&image), &OpenOptions::default());
    assert_eq!(opened.unwrap_err(), Qcow2Error::Feature(Feature::Dirty));
}
