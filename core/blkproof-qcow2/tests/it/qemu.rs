//! QEMU's tools look at what the driver writes, and the driver at what they write.

use blkproof_device::BlockDevice;
use tempfile::tempdir;

use crate::support::{have_qemu, image, noise, save, succeed, write};

const M: u64 = 1 << 20;

#[test]
fn qemu_img_check_finds_nothing() {
    if !have_qemu() {
        return;
    }
    let folder = tempdir().unwrap();
    for bits in 9..=21 {
        let mut image = image(4 * M + 512, 1 << bits);
        let data = noise(bits, 300_000);
        write(&mut image, 1000, &data);
        write(&mut image, 4 * M, &data[..512]);
        image.flush().unwrap();
        let path = folder.path().join("image");
        save(image.file_mut(), &path);
        succeed(
            "qemu-img",
            &["check", "-f", "qcow2", path.to_str().unwrap()],
        );
        let raw = folder.path().join("raw");
        save(&mut image, &raw);
        succeed(
            "qemu-img",
            &[
                "compare",
                "-f",
                "qcow2",
                "-F",
                "raw",
                path.to_str().unwrap(),
                raw.to_str().unwrap(),
            ],
        );
    }
}
