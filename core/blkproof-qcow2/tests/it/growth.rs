//! What random small images seldom come to: tables that move, and tables that many share.

use blkproof_device::{BlockDevice, Durability, MemDisk, Visible};
use blkproof_qcow2::Qcow2;
use blkproof_qcow2::inspect::{Limits, Report, inspect};
use blkproof_spec::{ByteRange, Length, Offset};

use crate::probe::{Failure, Probe};
use crate::support::{UNMAP, disk, image, noise, read, write};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;

fn look(file: &mut dyn Visible) -> Report {
    let report = inspect(file, &Limits::default()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    report
}

/// Does something to an image while each of its requests in turn fails, and then once more.
fn sweep(start: &MemDisk, mut act: impl FnMut(&mut Qcow2<Probe>) -> bool) {
    for failure in [Failure::Nothing, Failure::Half, Failure::All] {
        for at in 0..10_000 {
            let probe = Probe::on(start.snapshot());
            let mut image = Qcow2::open(probe.clone(), &UNMAP).unwrap();
            probe.arm(at, failure, false);
            if !act(&mut image) {
                assert!(probe.fired());
                probe.quiet(false);
                look(&mut probe.snapshot());
                assert!(act(&mut image));
            }
            look(&mut probe.snapshot());
            if !probe.fired() {
                assert_eq!(look(&mut probe.snapshot()).leaks, 0);
                break;
            }
        }
    }
}

/// 8 MiB of the file are counted by the refcount table that an image with the smallest clusters
/// begins with; the blocks and tables themselves take a part of them.
#[test]
fn the_refcount_table_moves() {
    let mut image = image(16 * M, 512);
    let data = noise(1, 7_900_000 / 512 * 512);
    write(&mut image, 0, &data);
    image.flush().unwrap();
    let before = image.file().size().0;
    let start = image.into_file();
    assert!((7 * M..8 * M).contains(&before), "{before}");
    assert_eq!(look(&mut start.snapshot()).leaks, 0);
    let more = noise(2, 420 << 10);
    sweep(&start, |image| {
        let at = Offset(data.len() as u64);
        let done = image
            .write_at(at, &more, Durability::Later)
            .and_then(|()| image.flush());
        if done.is_ok() {
            image.file().quiet(true);
            assert!(image.file().size().0 > 8 * M);
            assert!(read(image, at.0, more.len()) == more);
            assert!(read(image, 0, 1000) == data[..1000]);
        }
        done.is_ok()
    });
}

/// A change of size that fails or waits changes nothing, not even behind a smaller end.
#[test]
fn a_size_changes_or_stays() {
    const SIZE: usize = 100 << 10;
    let bytes = noise(1, SIZE);
    let mut image = image(100 * K, 512);
    write(&mut image, 0, &bytes);
    image.flush().unwrap();
    let start = image.into_file();
    for size in [0, 512, 20 * K, 33 * K, 96 * K, 99 * K, 101 * K, M, 40 * M] {
        for (failure, events) in [
            (Failure::Nothing, false),
            (Failure::Half, false),
            (Failure::All, false),
            (Failure::Wait, true),
        ] {
            for at in 0.. {
                let probe = Probe::on(start.snapshot());
                let mut image = Qcow2::open(probe.clone(), &UNMAP).unwrap();
                probe.arm(at, failure, events);
                let done = image.set_size(Length(size));
                let fired = probe.fired();
                probe.quiet(true);
                if done.is_err() {
                    assert!(fired);
                    assert_eq!(image.size().0, 100 * K);
                    image.flush().unwrap();
                    let mut image = Qcow2::open(probe.snapshot(), &UNMAP).unwrap();
                    assert!(
                        read(&mut image, 0, SIZE) == bytes,
                        "{size} {failure:?} {at}"
                    );
                    look(&mut probe.snapshot());
                }
                image.set_size(Length(size)).unwrap();
                image.set_size(Length(100 * K)).unwrap();
                image.flush().unwrap();
                let kept = SIZE.min(usize::try_from(size).unwrap());
                assert!(read(&mut image, 0, kept) == bytes[..kept]);
                assert_eq!(
                    read(&mut image, kept as u64, SIZE - kept),
                    vec![0; SIZE - kept]
                );
                look(&mut probe.snapshot());
                if !fired {
                    assert_eq!(look(&mut probe.snapshot()).leaks, 0);
                    break;
                }
            }
        }
    }
}

#[test]
fn the_l1_table_moves() {
    let mut image = image(M, 512);
    write(&mut image, 0, &noise(1, 100_000));
    image.flush().unwrap();
    let start = image.into_file();
    sweep(&start, |image| {
        let size = image.size().0;
        let done = image.set_size(Length(40 * M));
        if done.is_err() {
            assert_eq!(image.size().0, size);
            return false;
        }
        let done = image
            .write_at(Offset(39 * M), &[1; 512], Durability::Later)
            .and_then(|()| image.flush());
        if done.is_ok() {
            image.file().quiet(true);
            assert!(read(image, 0, 100_000) == noise(1, 100_000));
            assert_eq!(read(image, 39 * M, 513), [&[1; 512][..], &[0]].concat());
        }
        done.is_ok()
    });
}

/// A table of zeroes that is left with one user must not look as if it were shared.
#[test]
fn shared_tables_lose_their_users() {
    let mut backing = disk();
    write(&mut backing, 0, &noise(9, 200 << 10));
    let mut image = image(200 * K, 512);
    image.flush().unwrap();
    let start = image.into_file();
    let attach = |image: &mut Qcow2<Probe>| {
        image.set_backing(Some(Box::new(backing.snapshot())));
    };
    for users in 2..6 {
        sweep(&start, |image| {
            attach(image);
            let done = image
                .write_zeroes(ByteRange::new(0, users * 32 * K), true)
                .and_then(|()| image.flush());
            if done.is_err() {
                return false;
            }
            look(&mut image.file().snapshot());
            for table in 0..users {
                let position = Offset((users - 1 - table) * 32 * K + 700);
                let done = image
                    .write_at(position, b"here", Durability::Later)
                    .and_then(|()| image.flush());
                if done.is_err() {
                    return false;
                }
                look(&mut image.file().snapshot());
            }
            image.file().quiet(true);
            assert_eq!(
                read(image, 600, 200),
                [&[0; 100][..], b"here", &[0; 96]].concat()
            );
            true
        });
    }
}
