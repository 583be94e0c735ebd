//! What is compressed here, zlib inflates with the window that QEMU gives it.

use blkproof_spec::content::{Bytes, DiskId, WriteNumber};
use flate2::{Decompress, FlushDecompress, Status};

use super::{Compressor, MATCH_MAX, WINDOW, common};

/// The window, as a power of two.
const WINDOW_BITS: u8 = 12;

/// Inflates in small pieces, so that what lies further back than the window is gone.
fn inflated(packed: &[u8], len: usize) -> Vec<u8> {
    let mut inflate = Decompress::new_with_window_bits(false, WINDOW_BITS);
    let mut plain = Vec::new();
    loop {
        let mut piece = [0; 97];
        let rest = &packed[usize::try_from(inflate.total_in()).unwrap()..];
        let before = plain.len();
        let status = inflate
            .decompress(rest, &mut piece, FlushDecompress::None)
            .unwrap();
        let now = usize::try_from(inflate.total_out()).unwrap();
        plain.extend_from_slice(&piece[..now - before]);
        assert!(plain.len() <= len, "more than was compressed");
        if status == Status::StreamEnd {
            assert_eq!(inflate.total_in(), packed.len() as u64);
            return plain;
        }
        assert!(now > before, "the stream does not end");
    }
}

/// Compresses, inflates, and returns how many bytes it took.
fn round_trip(compressor: &mut Compressor, data: &[u8]) -> usize {
    let mut packed = vec![0xee; 9];
    assert!(compressor.compress(data, &mut packed, usize::MAX));
    assert!(inflated(&packed, data.len()) == data, "{data:?}");
    packed.len()
}

/// Numbers that are the same each time.
fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % below
    }
}

#[test]
fn stamps_and_fills_take_little_and_survive() {
    let mut compressor = Compressor::new();
    let mut data = vec![0; 64 << 10];
    for position in [0, 512, 7 * 512, 1 << 30] {
        let (disk, write) = (DiskId(1), WriteNumber(17));
        Bytes::Stamp { disk, write }.generate(position, &mut data);
        // So that several of them share a host cluster.
        assert!(round_trip(&mut compressor, &data) < 6 << 10);
    }
    for byte in [0, 1, 0x5a, 143, 144, 255] {
        data.fill(byte);
        assert!(round_trip(&mut compressor, &data) < 1 << 10);
    }
}

#[test]
fn every_length_and_distance_of_a_match_survives() {
    let mut compressor = Compressor::new();
    let mut number = numbers(1);
    let mut data = Vec::new();
    for distance in (1..300)
        .chain((300..WINDOW + 40).step_by(61))
        .chain([WINDOW, WINDOW + 1])
    {
        let len = 1 + distance % (MATCH_MAX + 40);
        data.clear();
        data.extend((0..distance).map(|_| u8::try_from(number(256)).unwrap()));
        for at in 0..len {
            data.push(data[at]);
        }
        data.push(7);
        round_trip(&mut compressor, &data);
    }
    data.clear();
    for len in 1..MATCH_MAX + 20 {
        data.extend((0..len).map(|at| u8::try_from(at % 251).unwrap()));
        data.push(0xfd);
    }
    assert!(round_trip(&mut compressor, &data) < data.len() / 8);
}

#[test]
fn any_bytes_survive() {
    let mut compressor = Compressor::new();
    let mut number = numbers(2);
    for len in [0, 1, 2, 3, 4, 5, 31, 512, 4096, 20_000] {
        for alphabet in [1, 2, 5, 200, 256] {
            let data: Vec<u8> = (0..len)
                .map(|_| u8::try_from(number(alphabet)).unwrap())
                .collect();
            round_trip(&mut compressor, &data);
        }
    }
}

#[test]
fn what_takes_too_much_is_given_up() {
    let mut compressor = Compressor::new();
    let mut number = numbers(3);
    let data: Vec<u8> = (0..4096)
        .map(|_| u8::try_from(number(256)).unwrap())
        .collect();
    let mut packed = Vec::new();
    assert!(!compressor.compress(&data, &mut packed, 4095));
    assert!(packed.len() < 4200, "it goes on behind what it may take");
    let data = [3; 4096];
    let least = round_trip(&mut compressor, &data);
    assert!(compressor.compress(&data, &mut packed, least));
    assert!(!compressor.compress(&data, &mut packed, least - 1));
}

#[test]
fn what_two_slices_have_in_common_is_counted_to_the_byte() {
    let one: Vec<u8> = (0..60).collect();
    for len in 0..=60 {
        for differs in 0..=len {
            let mut other = one[..len].to_vec();
            if let Some(byte) = other.get_mut(differs) {
                *byte ^= 0x80;
            }
            assert_eq!(common(&one[..len], &other), differs);
        }
    }
}
