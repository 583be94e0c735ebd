//! Single requests, by hand.

use blkproof_device::{BlockDevice, IoError, StatusKind};
use blkproof_spec::{ByteRange, Errno, Length, Offset};

use crate::support::{image, noise, read, write};

const M: u64 = 1 << 20;

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
fn a_huge_image_is_one_hole() {
    let mut image = image(16 << 40, 64 << 10);
    let status = image.block_status(ByteRange::new(0, 16 << 40)).unwrap();
    assert_eq!(
        (status.len, status.kind),
        (Length(16 << 40), StatusKind::Hole)
    );
    image
        .write_zeroes(ByteRange::new(0, 16 << 40), true)
        .unwrap();
    write(&mut image, (16 << 40) - 512, &[7; 512]);
    image.flush().unwrap();
    image.discard(ByteRange::new(0, 16 << 40)).unwrap();
    let status = image.block_status(ByteRange::new(0, 16 << 40)).unwrap();
    assert_eq!(status.len, Length((16 << 40) - (64 << 10)));
    assert!(image.file().allocated().0 < 100_000);
}
