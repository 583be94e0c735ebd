//! Single requests, by hand.

use blkproof_device::{BlockDevice, BlockStatus, IoError, StatusKind};
use blkproof_qcow2::Qcow2;
use blkproof_qcow2::inspect::{Contents, Found, Layer, Limits, inspect};
use blkproof_spec::{ByteRange, Errno, Length, Offset};

use crate::support::{UNMAP, disk, image, noise, read, write};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;

fn index(len: u64) -> usize {
    usize::try_from(len).unwrap()
}

#[test]
fn what_is_written_is_read() {
    for bits in 9..=21 {
        let mut image = image(4 * M + 512, 1 << bits);
        let data = noise(bits, 300_000);
        write(&mut image, 1000, &data);
        write(&mut image, 4 * M, &data[..512]);
        assert_eq!(read(&mut image, 1000, data.len()), data);
        assert_eq!(read(&mut image, 0, 1000), vec![0; 1000]);
        assert_eq!(read(&mut image, 4 * M, 512), data[..512]);
        let end = image.write_at(
            Offset(4 * M + 511),
            &[1, 2],
            blkproof_device::Durability::Later,
        );
        assert_eq!(end, Err(IoError::Failed(Errno::EIO)));
        image.flush().unwrap();
    }
}

#[test]
fn zeroes_over_a_huge_backing_file_cost_little() {
    let mut backing = disk();
    write(&mut backing, (16 << 40) - 512, &noise(1, 512));
    let mut image = image(16 << 40, 64 << 10);
    image.set_backing(Some(Box::new(backing.snapshot())));
    let whole = ByteRange::new(0, 16 << 40);
    image.discard(whole).unwrap();
    write(&mut image, 5 << 40, &noise(2, 100));
    image
        .write_zeroes(ByteRange::new(100, 15 << 40), true)
        .unwrap();
    write(&mut image, 9 << 40, &noise(3, 512));
    image.flush().unwrap();
    assert!(image.file().allocated().0 < 2 * M);

    let mut image = Qcow2::open(image.into_file(), &UNMAP).unwrap();
    image.set_backing(Some(Box::new(backing.snapshot())));
    let status = image.block_status(whole).unwrap();
    assert_eq!(
        (status.len, status.kind),
        (Length(9 << 40), StatusKind::Zero)
    );
    assert_eq!(read(&mut image, 9 << 40, 512), noise(3, 512));
    assert_eq!(read(&mut image, (16 << 40) - 512, 512), [0; 512]);

    let mut file = image.file().snapshot();
    let report = inspect(&mut file, &Limits::default()).unwrap();
    assert!(report.is_sound() && report.leaks == 0, "{report:?}");
    let layers = vec![
        Layer::qcow2(Box::new(file)).unwrap(),
        Layer::raw(Box::new(backing)),
    ];
    let extent = Contents::new(layers).extent(whole).unwrap();
    assert_eq!(extent.range.len, 9 << 40);
    assert_eq!(extent.found, Found::Zero);

    image.set_size(Length(4 << 40)).unwrap();
    image.flush().unwrap();
    image.set_size(Length(16 << 40)).unwrap();
    image.flush().unwrap();
    assert_eq!(read(&mut image, (16 << 40) - 512, 512), [0; 512]);
    let report = inspect(image.file_mut(), &Limits::default()).unwrap();
    assert!(report.is_sound() && report.leaks == 0, "{report:?}");
    assert!(image.file().allocated().0 < 2 * M);
}

#[test]
fn a_huge_image_costs_little() {
    let whole = ByteRange::new(0, 16 << 40);
    let mut image = image(16 << 40, 64 << 10);
    let all = |kind| BlockStatus {
        len: Length(16 << 40),
        kind,
    };
    image.discard(whole).unwrap();
    assert_eq!(image.block_status(whole).unwrap(), all(StatusKind::Hole));
    assert!(image.file().allocated().0 < 100_000);
    image.write_zeroes(whole, true).unwrap();
    assert_eq!(image.block_status(whole).unwrap(), all(StatusKind::Zero));
    write(&mut image, (16 << 40) - 512, &[7; 512]);
    image.flush().unwrap();
    image.discard(whole).unwrap();
    assert_eq!(image.block_status(whole).unwrap(), all(StatusKind::Zero));
    assert!(image.file().allocated().0 < M);
}

/// Zeroes are not left out because nothing lies below: something may later.
#[test]
fn zeroes_hide_a_backing_file_that_comes_later() {
    const SIZE: u64 = 2 * M + 512;
    for cluster in [512, 4 * K, 64 * K] {
        for shorter in [0, 100_000] {
            for (start, len) in [
                (0, 2 * M),
                (0, SIZE),
                (512, 600),
                (70_000, 300_000),
                (3, SIZE - 3),
                (99_999, 2),
                (2 * M + 1, 1),
            ] {
                let mut image = image(SIZE, cluster);
                let mut below = disk();
                write(&mut below, 0, &noise(1, index(shorter)));
                if shorter > 0 {
                    image.set_backing(Some(Box::new(below)));
                }
                let range = ByteRange::new(start, len);
                image.write_zeroes(range, false).unwrap();
                image.flush().unwrap();
                let mut image = Qcow2::open(image.into_file(), &UNMAP).unwrap();
                let mut longer = disk();
                write(&mut longer, 0, &noise(1, index(SIZE)));
                image.set_backing(Some(Box::new(longer)));
                assert_eq!(read(&mut image, start, index(len)), vec![0; index(len)]);
                let report = inspect(image.file_mut(), &Limits::default()).unwrap();
                assert!(report.is_sound() && report.leaks == 0, "{report:?}");
            }
        }
    }
}
