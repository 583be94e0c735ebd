//! What a write puts down, as a pure function of disk, position and write.
//!
//! Nothing ever stores the bytes that a scenario writes: they are generated when written and
//! recognised in place when read. A *stamp* carries disk, sector and write number in each 32-byte
//! record of a sector, so that a wrong sector tells where it came from.

use crate::units::SECTOR;

/// A disk's identity within a scenario: its position among the scenario's disks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DiskId(pub u32);

/// A write's identity within a scenario: the number of the step that issued it, counted from 1.
///
/// Zero stands for what was there before any write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WriteNumber(pub u32);

/// The data that a write puts down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Content {
    /// Every byte is this one, as with `qemu-io`'s `-P`.
    Fill(u8),
    /// Every sector carries its disk, its number and its write.
    Stamp,
}

/// The bytes of one range, as some write left them: a pure function of the position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Bytes {
    /// Every byte is this one. Zeroes are `Fill(0)`.
    Fill(u8),
    /// The stamp of this write on this disk.
    Stamp {
        /// The disk written.
        disk: DiskId,
        /// The write.
        write: WriteNumber,
    },
}

/// The size of one record of a stamp. A sector holds sixteen, all the same.
pub const RECORD: usize = 32;

const MAGIC: u32 = u32::from_le_bytes(*b"BLKP");

impl Bytes {
    /// What an untouched disk reads as.
    pub const ZERO: Self = Self::Fill(0);

    /// Returns the bytes that a write of `content` puts down.
    #[must_use]
    pub fn of(content: Content, disk: DiskId, write: WriteNumber) -> Self {
        match content {
            Content::Fill(byte) => Self::Fill(byte),
            Content::Stamp => Self::Stamp { disk, write },
        }
    }

    /// Fills `buf` with what stands at `position` and behind it.
    pub fn generate(self, position: u64, buf: &mut [u8]) {
        match self {
            Self::Fill(byte) => buf.fill(byte),
            Self::Stamp { disk, write } => {
                for (at, part) in sectors(position, buf.len()) {
                    let sector = &mut buf[part];
                    generate_sector(record(disk, write, at / SECTOR), at, sector);
                }
            }
        }
    }

    /// Returns the index of the first byte of `buf` that differs from what should stand at
    /// `position + index`, or `None` where all agree.
    #[must_use]
    pub fn mismatch(self, position: u64, buf: &[u8]) -> Option<usize> {
        match self {
            Self::Fill(byte) => mismatch_fill(byte, buf),
            Self::Stamp { disk, write } => sectors(position, buf.len()).find_map(|(at, part)| {
                let first = part.start;
                mismatch_sector(record(disk, write, at / SECTOR), at, &buf[part])
                    .map(|index| first + index)
            }),
        }
    }
}

/// What a stamped record says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Provenance {
    /// The disk it was written to.
    pub disk: DiskId,
    /// The sector it was written at.
    pub sector: u64,
    /// The write that put it there.
    pub write: WriteNumber,
}

/// Reads the provenance out of stamped bytes, wherever the first whole record of `sector` stands.
///
/// `position` is where `bytes` were read; records lie at multiples of 32. Returns `None` where no
/// intact record is found.
#[must_use]
pub fn provenance(position: u64, bytes: &[u8]) -> Option<Provenance> {
    let skip = usize::try_from((RECORD as u64 - position % RECORD as u64) % RECORD as u64).ok()?;
    let found = bytes.get(skip..skip + RECORD)?;
    let word = |at: usize| {
        found
            .get(at..at + 8)
            .and_then(|part| part.try_into().ok())
            .map(u64::from_le_bytes)
    };
    let (head, sector, write) = (word(0)?, word(8)?, word(16)?);
    let disk = DiskId(u32::try_from(head >> 32).ok()?);
    let write = WriteNumber(u32::try_from(write).ok()?);
    (found == record(disk, write, sector)).then_some(Provenance {
        disk,
        sector,
        write,
    })
}

fn record(disk: DiskId, write: WriteNumber, sector: u64) -> [u8; RECORD] {
    let head = u64::from(MAGIC) | u64::from(disk.0) << 32;
    let write = u64::from(write.0);
    let mut out = [0; RECORD];
    out[..8].copy_from_slice(&head.to_le_bytes());
    out[8..16].copy_from_slice(&sector.to_le_bytes());
    out[16..24].copy_from_slice(&write.to_le_bytes());
    out[24..].copy_from_slice(&mix(head ^ mix(sector ^ mix(write))).to_le_bytes());
    out
}

/// A finaliser with good avalanche (the constants of SplitMix64), so that a record that is half one
/// write and half another is not taken for either.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Splits `len` bytes at `position` at sector borders: (position, index range) of each part.
fn sectors(position: u64, len: usize) -> impl Iterator<Item = (u64, core::ops::Range<usize>)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        let at = position + done as u64;
        let left = usize::try_from(SECTOR - at % SECTOR)
            .unwrap_or(usize::MAX)
            .min(len - done);
        let part = done..done + left;
        done += left;
        (left > 0).then_some((at, part))
    })
}

fn generate_sector(record: [u8; RECORD], at: u64, buf: &mut [u8]) {
    if at.is_multiple_of(RECORD as u64) {
        let (whole, rest) = buf.as_chunks_mut::<RECORD>();
        whole.fill(record);
        rest.copy_from_slice(&record[..rest.len()]);
        return;
    }
    for (index, byte) in buf.iter_mut().enumerate() {
        *byte = byte_of(&record, at, index);
    }
}

fn mismatch_sector(record: [u8; RECORD], at: u64, buf: &[u8]) -> Option<usize> {
    if at.is_multiple_of(RECORD as u64) && repeats(&record, buf) {
        return None;
    }
    (0..buf.len()).find(|&index| buf[index] != byte_of(&record, at, index))
}

/// Tells whether `buf` is `record` again and again, up to a part of it at the end: whether it
/// begins with the record, and everything behind that equals what lies a record before it.
fn repeats(record: &[u8; RECORD], buf: &[u8]) -> bool {
    match buf.split_first_chunk::<RECORD>() {
        Some((first, rest)) => first == record && *rest == buf[..rest.len()],
        None => *buf == record[..buf.len()],
    }
}

fn byte_of(record: &[u8; RECORD], at: u64, index: usize) -> u8 {
    let within = (at + index as u64) % RECORD as u64;
    record[usize::try_from(within).unwrap_or(0)]
}

fn mismatch_fill(byte: u8, buf: &[u8]) -> Option<usize> {
    if repeats(&[byte; RECORD], buf) {
        return None;
    }
    buf.iter().position(|part| *part != byte)
}
