//! Inputs that are qcow2 images, hostile ones too, with requests of a guest in front.
//!
//! The driver and the inspection share no code. Where both can read an image they must see the same
//! bytes, and what the inspection calls sound must stay so whatever the guest does.

use std::cell::RefCell;

use blkproof_device::{BlockDevice, Durability, MemDisk, Pool};
use blkproof_qcow2::inspect::{Contents, Layer, Limits, Report, bitmaps, inspect};
use blkproof_qcow2::{OpenOptions, Qcow2};
use blkproof_spec::{ByteRange, DiscardMode, Length, Offset};

const LIMITS: Limits = Limits {
    table_bytes: 16 << 20,
    runs: 1 << 16,
    problems: 20,
};

const OPTIONS: OpenOptions = OpenOptions {
    discard: DiscardMode::Unmap,
    read_only: false,
    l2_cache: Length(1 << 20),
};

/// How much of an image is looked at: so many bytes at its start.
const WINDOW: u64 = 512 << 10;

/// How many requests an input may hold, and the bytes of each.
const REQUESTS_MAX: usize = 15;
const REQUEST: usize = 4;

const SECTOR: u64 = 512;

std::thread_local! {
    static POOL: Pool = Pool::new();
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

#[derive(Default)]
struct Buffers {
    /// What the inspection reads.
    seen: Vec<u8>,
    /// What the driver reads.
    read: Vec<u8>,
}

/// Opens the image that the bytes hold with the driver and with the inspection, compares what they
/// read, lets the guest's requests happen, and compares again.
///
/// The first byte says how many requests there are, each of four bytes; the rest is the image.
///
/// # Panics
///
/// Where the two read different bytes, or a sound image is damaged.
pub fn qcow2_image(bytes: &[u8]) -> bool {
    let Some((requests, image)) = parts(bytes) else {
        return false;
    };
    let mut file = POOL.with(|pool| MemDisk::new(pool, Length(0)));
    file.write_at(Offset(0), image, Durability::Later)
        .expect("a disk in memory takes what it is given");
    BUFFERS.with_borrow_mut(|buffers| judge(file, requests, buffers));
    true
}

fn judge(file: MemDisk, requests: &[u8], buffers: &mut Buffers) {
    let report = inspect(&mut file.snapshot(), &LIMITS).ok();
    let is_sound = report.as_ref().is_some_and(Report::is_sound);
    let opened = Qcow2::open(file.snapshot(), &OPTIONS);
    let mut image = match opened {
        Ok(image) => image,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let can_read = compare(&mut image, &file, buffers, is_sound);
    if is_sound {
        compare_bitmaps(&mut image, &file);
    }
    let mut expected = (is_sound && can_read).then(|| buffers.read.clone());
    for request in requests.chunks_exact(REQUEST) {
        carry_out(&mut image, request, &mut expected);
    }
    let flushed = image.flush();
    let Some(expected) = expected else { return };
    assert_eq!(flushed, Ok(()), "a sound image cannot be flushed");
    assert_eq!(image.corruption(), None, "a sound image was found corrupt");
    let file = image.file().snapshot();
    let after = inspect(&mut file.snapshot(), &LIMITS).expect("it could be inspected before");
    assert!(after.is_sound(), "damaged: {:?}", after.problems);
    compare(&mut image, &file, buffers, true);
    assert!(buffers.read == expected, "the guest reads something else");
}

/// Splits an input into requests and image.
fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let count = usize::from(*first) % (REQUESTS_MAX + 1);
    rest.split_at_checked(count * REQUEST)
}

/// Reads the window with the driver and with the inspection; both must see the same. Returns
/// whether both can read it; of a sound image, both can or none can.
fn compare(
    image: &mut Qcow2<MemDisk>,
    file: &MemDisk,
    buffers: &mut Buffers,
    is_sound: bool,
) -> bool {
    let Ok(layer) = Layer::qcow2(Box::new(file.snapshot())) else {
        assert!(!is_sound, "a sound image cannot be inspected");
        return false;
    };
    let mut contents = Contents::new(vec![layer]);
    assert_eq!(contents.size(), image.size(), "the sizes differ");
    let len = image.size().0.min(WINDOW);
    let (seen, read) = (&mut buffers.seen, &mut buffers.read);
    for buffer in [&mut *seen, &mut *read] {
        buffer.clear();
        buffer.resize(usize::try_from(len).expect("the window is small"), 0xee);
    }
    let mut all = true;
    // Piece by piece: an error hides nothing else.
    for at in (0..len).step_by(1 << 16) {
        let piece = usize::try_from(at).expect("the window is small");
        let piece = piece..seen.len().min(piece + (1 << 16));
        let inspected = contents.read(Offset(at), &mut seen[piece.clone()]);
        let driven = image.read_at(Offset(at), &mut read[piece.clone()]);
        match (inspected, driven) {
            (Ok(()), Ok(())) => assert!(
                seen[piece.clone()] == read[piece],
                "different bytes in the 64 KiB at {at}"
            ),
            (inspected, driven) => {
                assert!(
                    !is_sound || inspected.is_err() == driven.is_err(),
                    "one of the two cannot read at {at}: {inspected:?}, {driven:?}"
                );
                all = false;
            }
        }
    }
    all
}

/// Reads the bitmaps that a sound image stores with the driver and with the inspection.
fn compare_bitmaps(image: &mut Qcow2<MemDisk>, file: &MemDisk) {
    let Ok(found) = bitmaps(&mut file.snapshot(), &LIMITS) else {
        return;
    };
    let stored: Vec<_> = image.bitmaps().collect();
    assert_eq!(found.len(), stored.len(), "the numbers of bitmaps differ");
    for (found, stored) in found.iter().zip(stored) {
        assert_eq!(found.name, stored.name);
        assert_eq!(found.granularity, stored.granularity);
        assert_eq!(
            (found.enabled, found.in_use),
            (stored.enabled, stored.in_use)
        );
        if !stored.in_use {
            let runs = image.read_bitmap(&stored.name);
            assert_eq!(
                runs.as_ref(),
                Ok(&Some(found.runs.clone())),
                "{}",
                found.name
            );
        }
    }
}

/// Carries a request out; `expected` is what the guest must see in the window from then on, as long
/// as that is known.
fn carry_out(image: &mut Qcow2<MemDisk>, request: &[u8], expected: &mut Option<Vec<u8>>) {
    let size = image.size().0;
    let window = size.min(WINDOW) / SECTOR * SECTOR;
    let start = u64::from(u16::from_be_bytes([request[1], request[2]])) * SECTOR % window.max(1);
    let len = (u64::from(request[3] / 2) + 1) * SECTOR;
    let range = ByteRange::new(start, len.min(window - start));
    if range.len == 0 {
        return;
    }
    let bytes = usize::try_from(range.len).expect("the window is small");
    let (done, fill) = match request[0] % 6 {
        0 | 1 => {
            let data = vec![request[0] | 1; bytes];
            (
                image.write_at(Offset(start), &data, Durability::Later),
                Some(data[0]),
            )
        }
        2 => (image.write_zeroes(range, request[0] & 8 == 0), Some(0)),
        3 => return discard(image, range, expected),
        4 => return compressed(image, start, request[3], expected),
        _ => (image.flush(), None),
    };
    if expected.is_some() {
        assert_eq!(done, Ok(()), "a sound image refuses {range:?}");
    }
    if let (Some(expected), Some(fill)) = (expected, fill) {
        expected[place(range)].fill(fill);
    }
}

/// Gives a range up: each sector is as it was, or zeroes.
fn discard(image: &mut Qcow2<MemDisk>, range: ByteRange, expected: &mut Option<Vec<u8>>) {
    let done = image.discard(range);
    let Some(expected) = expected else { return };
    assert_eq!(done, Ok(()), "a sound image refuses to discard {range:?}");
    let old = &mut expected[place(range)];
    let mut new = vec![0xee; old.len()];
    let read = image.read_at(Offset(range.start), &mut new);
    assert_eq!(read, Ok(()), "what was discarded cannot be read");
    for (old, new) in old.chunks(512).zip(new.chunks(512)) {
        assert!(
            old == new || new.iter().all(|byte| *byte == 0),
            "a discard made other bytes"
        );
    }
    old.copy_from_slice(&new);
}

/// Writes the whole cluster around a position compressed, if it lies in the window. Over one that
/// is allocated it may fail and then changes nothing.
fn compressed(image: &mut Qcow2<MemDisk>, at: u64, fill: u8, expected: &mut Option<Vec<u8>>) {
    let cluster = image.cluster().0;
    let start = at / cluster * cluster;
    let end = image.size().0.min(start + cluster);
    if end > WINDOW {
        return;
    }
    let range = ByteRange::between(start, end);
    let data = vec![fill; usize::try_from(range.len).expect("the window is small")];
    let done = image.write_compressed(Offset(start), &data);
    if let (Some(expected), Ok(())) = (expected, done) {
        expected[place(range)].copy_from_slice(&data);
    }
}

/// Returns where a range of the window lies in a buffer of it.
fn place(range: ByteRange) -> core::ops::Range<usize> {
    let index = |at: u64| usize::try_from(at).expect("the window is small");
    index(range.start)..index(range.end())
}
