//! The memory disk against a plain vector of bytes, and what it costs.

use blkproof_device::{BlockDevice, Durability, Load, MemDisk, Piece, Pool, StatusKind, Visible};
use blkproof_spec::{ByteRange, Length, Offset};
use proptest::prelude::*;

use crate::cases::cases;

const SPACE: u64 = 3 << 18;

#[derive(Clone, Debug)]
enum Op {
    Write(u64, usize, u8),
    Zero(u64, u64),
    Discard(u64, u64),
    Resize(u64),
    Snapshot,
    Return,
}

fn op() -> impl Strategy<Value = Op> {
    let position = prop_oneof![0..SPACE, (0..SPACE / 4096).prop_map(|page| page * 4096)];
    let len = prop_oneof![
        1..9000_u64,
        (1..40_u64).prop_map(|pages| pages * 4096),
        Just(SPACE)
    ];
    let written = prop_oneof![1..9000_usize, (1..9_usize).prop_map(|pages| pages * 4096)];
    prop_oneof![
        4 => (position.clone(), written, prop_oneof![Just(0), any::<u8>()])
            .prop_map(|(start, len, byte)| Op::Write(start, len, byte)),
        2 => (position.clone(), len.clone()).prop_map(|(p, l)| Op::Zero(p, l)),
        1 => (position.clone(), len).prop_map(|(p, l)| Op::Discard(p, l)),
        1 => position.prop_map(Op::Resize),
        1 => Just(Op::Snapshot),
        1 => Just(Op::Return),
    ]
}

/// Does what a disk does to a vector of bytes.
fn naively(bytes: &mut Vec<u8>, op: &Op) {
    match *op {
        Op::Write(start, len, byte) => fill(bytes, start, len, byte),
        Op::Zero(start, len) => fill(bytes, start, usize::try_from(len).unwrap(), 0),
        Op::Discard(start, len) => {
            let size = bytes.len();
            fill(bytes, start, usize::try_from(len).unwrap(), 0);
            bytes.truncate(size);
        }
        Op::Resize(size) => bytes.resize(usize::try_from(size).unwrap(), 0),
        Op::Snapshot | Op::Return => {}
    }
}

fn fill(bytes: &mut Vec<u8>, start: u64, len: usize, byte: u8) {
    let start = usize::try_from(start).unwrap();
    bytes.resize(bytes.len().max(start + len), 0);
    bytes[start..start + len].fill(byte);
}

fn really(disk: &mut MemDisk, op: &Op) {
    match *op {
        Op::Write(start, len, byte) if byte % 2 == 0 => {
            disk.write_at(Offset(start), &vec![byte; len], Durability::Later)
        }
        Op::Write(start, len, byte) => {
            let load = Load::Fill(byte, len as u64);
            disk.write_load(Offset(start), load, Durability::Later)
        }
        Op::Zero(start, len) => disk.write_zeroes(ByteRange::new(start, len), len % 2 == 0),
        Op::Discard(start, len) => disk.discard(ByteRange::new(start, len)),
        Op::Resize(size) => disk.set_size(Length(size)),
        Op::Snapshot | Op::Return => Ok(()),
    }
    .unwrap();
}

fn assert_same(disk: &mut MemDisk, bytes: &[u8]) {
    assert_eq!(disk.size().0, bytes.len() as u64);
    let mut read = vec![0xee; bytes.len() + 100];
    disk.read_at(Offset(0), &mut read).unwrap();
    assert!(read[..bytes.len()] == *bytes, "contents differ");
    assert!(read[bytes.len()..].iter().all(|byte| *byte == 0));
    let mut seen = Vec::new();
    disk.visit(ByteRange::new(0, read.len() as u64), &mut |piece| {
        assert!(!piece.is_empty());
        match piece {
            Piece::Bytes(part) => seen.extend_from_slice(part),
            Piece::Page(part) => seen.extend_from_slice(part.bytes()),
            Piece::Zeroes(len) => seen.resize(seen.len() + usize::try_from(len).unwrap(), 0),
        }
    })
    .unwrap();
    assert!(seen == read, "what is shown differs from what is read");
    let mut position = 0;
    let mut data = 0;
    while position < bytes.len() as u64 {
        let rest = ByteRange::between(position, bytes.len() as u64);
        let status = disk.block_status(rest).unwrap();
        assert!(status.len.0 > 0 && status.len.0 <= rest.len);
        let end = position + status.len.0;
        let run = &bytes[usize::try_from(position).unwrap()..usize::try_from(end).unwrap()];
        match status.kind {
            StatusKind::Data => data += run.len().next_multiple_of(4096) as u64,
            StatusKind::Zero | StatusKind::Hole => assert!(run.iter().all(|byte| *byte == 0)),
        }
        position = end;
    }
    assert_eq!(
        disk.allocated().0,
        data,
        "as much is held as is reported as data"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(96)))]

    #[test]
    fn a_disk_does_what_a_vector_does(ops in prop::collection::vec(op(), 1..30)) {
        let pool = Pool::new();
        let mut disk = MemDisk::new(&pool, Length(0));
        let mut bytes = Vec::new();
        let mut kept = None;
        for op in &ops {
            really(&mut disk, op);
            naively(&mut bytes, op);
            match op {
                Op::Snapshot => kept = Some((disk.snapshot(), bytes.clone())),
                Op::Return => if let Some((old, old_bytes)) = &mut kept {
                    core::mem::swap(old, &mut disk);
                    core::mem::swap(old_bytes, &mut bytes);
                },
                _ => {}
            }
        }
        assert_same(&mut disk, &bytes);
        if let Some((mut disk, bytes)) = kept {
            assert_same(&mut disk, &bytes);
        }
    }
}

#[test]
fn a_huge_disk_costs_what_was_written() {
    const SIZE: u64 = 16 << 40;
    let mut disk = MemDisk::new(&Pool::new(), Length(SIZE));
    let whole = ByteRange::new(0, SIZE);
    assert_eq!(disk.block_status(whole).unwrap().len, Length(SIZE));
    for place in [0, SIZE / 3, SIZE - 512] {
        disk.write_at(Offset(place), &[1; 512], Durability::Later)
            .unwrap();
    }
    assert_eq!(disk.allocated(), Length(3 * 4096));
    let hole = disk.block_status(ByteRange::between(4096, SIZE)).unwrap();
    assert_eq!(hole.kind, StatusKind::Hole);
    assert_eq!(hole.len.0, (SIZE / 3) / 4096 * 4096 - 4096);
    disk.write_zeroes(ByteRange::between(1, SIZE), false)
        .unwrap();
    assert_eq!(disk.allocated(), Length(4096));
    assert_eq!(disk.size(), Length(SIZE));
    disk.discard(whole).unwrap();
    assert_eq!(disk.allocated(), Length(0));
}

#[test]
fn zeroes_that_were_written_are_data_that_nobody_has_to_read() {
    let mut disk = MemDisk::new(&Pool::new(), Length(64 << 10));
    disk.write_at(Offset(0), &[0; 16 << 10], Durability::Later)
        .unwrap();
    disk.write_at(Offset(6000), &[7; 10], Durability::Later)
        .unwrap();
    disk.write_at(Offset(20 << 10), &[7; 4096], Durability::Later)
        .unwrap();
    disk.write_at(Offset(20 << 10), &[0; 4096], Durability::Later)
        .unwrap();
    let whole = ByteRange::new(0, 64 << 10);
    let mut pieces = Vec::new();
    disk.visit(whole, &mut |piece| {
        pieces.push((piece.len(), matches!(piece, Piece::Zeroes(_))));
    })
    .unwrap();
    let zeroes = whole.len - 8192;
    assert_eq!(pieces, [(4096, true), (4096, false), (zeroes, true)]);
    assert_eq!(disk.allocated(), Length(20 << 10));
    let status = disk.block_status(whole).unwrap();
    assert_eq!((status.len.0, status.kind), (16 << 10, StatusKind::Data));
}

/// Returns the addresses of the pages that hold the first `len` bytes.
fn pages(disk: &mut MemDisk, len: u64) -> Vec<usize> {
    let mut pages = Vec::new();
    disk.visit(ByteRange::new(0, len), &mut |piece| match piece {
        Piece::Page(part) => pages.push(part.address()),
        other => panic!("{other:?}"),
    })
    .unwrap();
    pages
}

#[test]
fn pages_in_a_row_that_hold_the_same_are_one_until_one_is_written() {
    const LEN: u64 = 64 << 10;
    for load in [Load::Bytes(&[7; 64 << 10]), Load::Fill(7, LEN)] {
        let mut disk = MemDisk::new(&Pool::new(), Length(LEN));
        disk.write_load(Offset(0), load, Durability::Later).unwrap();
        let first = pages(&mut disk, LEN);
        assert_eq!(first, [first[0]; 16]);
        disk.write_at(Offset(8192 + 5), &[8], Durability::Later)
            .unwrap();
        let now = pages(&mut disk, LEN);
        assert_ne!(now[2], now[1]);
        assert_eq!([&now[..2], &now[3..]].concat(), [first[0]; 15]);
        let mut expected = [7; 64 << 10];
        expected[8192 + 5] = 8;
        assert_same(&mut disk, &expected);
        disk.write_at(Offset(8192 + 5), &[7], Durability::Later)
            .unwrap();
        assert_ne!(
            pages(&mut disk, LEN)[2],
            first[0],
            "only whole pages are looked at"
        );
    }
}

#[test]
fn requests_behind_the_largest_file_are_refused() {
    let mut disk = MemDisk::new(&Pool::new(), Length(0));
    for offset in [i64::MAX.unsigned_abs(), u64::MAX - 1, u64::MAX] {
        disk.write_at(Offset(offset), &[1; 4], Durability::Later)
            .unwrap_err();
        disk.read_at(Offset(offset), &mut [0; 4]).unwrap_err();
    }
    disk.write_zeroes(ByteRange::between(5, u64::MAX), false)
        .unwrap_err();
    disk.set_size(Length(u64::MAX)).unwrap_err();
    disk.discard(ByteRange::between(5, u64::MAX)).unwrap();
    assert_eq!(disk.size(), Length(0));
}
