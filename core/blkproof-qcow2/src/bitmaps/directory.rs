//! The directory of stored bitmaps.

use std::collections::BTreeSet;

use blkproof_spec::Length;

use super::{GRANULARITY_BITS, MAX_BYTES, MAX_NAME, StoredBitmap};
use crate::error::Qcow2Error;
use crate::layout::Layout;
use crate::num::{be32, be64, index};

const IN_USE: u32 = 1;
const AUTO: u32 = 2;
/// What says that unknown extra data does not matter.
const EXTRA_COMPATIBLE: u32 = 4;
const FIXED: usize = 24;
/// The type of a bitmap that tracks what changed.
const DIRTY_TRACKING: u8 = 1;

/// An entry of the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(super) name: String,
    pub(super) granularity_bits: u32,
    pub(super) in_use: bool,
    pub(super) enabled: bool,
    /// Where the table lies.
    pub(super) table: u64,
    pub(super) table_entries: u64,
}

impl Entry {
    pub(super) fn describe(&self) -> StoredBitmap {
        StoredBitmap {
            name: self.name.clone(),
            granularity: Length(1 << self.granularity_bits),
            enabled: self.enabled,
            in_use: self.in_use,
        }
    }
}

fn check(
    holds: bool,
    field: &'static str,
    value: u64,
    expected: &'static str,
) -> Result<(), Qcow2Error> {
    if holds {
        return Ok(());
    }
    Err(Qcow2Error::Field {
        field,
        value,
        expected,
    })
}

/// Parses the `count` entries of a directory.
pub(super) fn parse(raw: &[u8], count: u32, layout: Layout) -> Result<Vec<Entry>, Qcow2Error> {
    let mut entries = Vec::new();
    let mut names = BTreeSet::new();
    let mut at = 0;
    for number in 0..u64::from(count) {
        let rest = raw.get(at..).unwrap_or_default();
        let (entry, len) = parse_entry(rest, number, layout)?;
        let expected = "a name that no other bitmap has";
        check(
            names.insert(entry.name.clone()),
            "bitmap directory entry, name",
            number,
            expected,
        )?;
        entries.push(entry);
        at += len;
    }
    check(
        at == raw.len(),
        "bitmap_directory_size",
        raw.len() as u64,
        "the size of all entries",
    )?;
    Ok(entries)
}

/// Parses an entry; returns how many bytes it takes as well.
fn parse_entry(raw: &[u8], number: u64, layout: Layout) -> Result<(Entry, usize), Qcow2Error> {
    let whole = "an entry within the directory";
    check(raw.len() >= FIXED, "bitmap_directory_size", number, whole)?;
    let name_size = u64::from(be32(raw, 16) & 0xffff);
    check(
        (1..=MAX_NAME).contains(&name_size),
        "bitmap name_size",
        name_size,
        "1 to 1023",
    )?;
    let extra = u64::from(be32(raw, 20));
    check(extra == 0, "bitmap extra_data_size", extra, "0")?;
    let len = FIXED + index(name_size);
    let padded = len.next_multiple_of(8);
    check(raw.len() >= padded, "bitmap_directory_size", number, whole)?;
    let flags = be32(raw, 12);
    let known = flags & !(IN_USE | AUTO | EXTRA_COMPATIBLE) == 0;
    check(known, "bitmap flags", flags.into(), "bits 0 to 2")?;
    let kind = raw[16];
    check(kind == DIRTY_TRACKING, "bitmap type", kind.into(), "1")?;
    let granularity_bits = u32::from(raw[17]);
    check(
        GRANULARITY_BITS.contains(&granularity_bits),
        "bitmap granularity_bits",
        granularity_bits.into(),
        "9 to 31",
    )?;
    let table = be64(raw, 0);
    check(
        layout.aligned(table) && table >= layout.cluster() && table < 1 << 56,
        "bitmap_table_offset",
        table,
        "a multiple of the cluster size behind the header, below 2^56",
    )?;
    let table_entries = u64::from(be32(raw, 8));
    check(
        (1..=MAX_BYTES >> layout.cluster_bits).contains(&table_entries),
        "bitmap_table_size",
        table_entries,
        "clusters that hold 1 byte to 512 MiB",
    )?;
    let name = core::str::from_utf8(&raw[FIXED..len]);
    check(name.is_ok(), "bitmap name", number, "text in UTF-8")?;
    let entry = Entry {
        name: name.unwrap_or_default().to_owned(),
        granularity_bits,
        in_use: flags & IN_USE != 0,
        enabled: flags & AUTO != 0,
        table,
        table_entries,
    };
    Ok((entry, padded))
}

/// Returns the directory as it stands in the file.
pub(super) fn to_bytes(entries: &[Entry]) -> Vec<u8> {
    let mut raw = Vec::new();
    for entry in entries {
        let narrow = |value: u64| u32::try_from(value).expect("a checked field fits its 32 bits");
        let granularity = u8::try_from(entry.granularity_bits).expect("at most 31");
        let name_size = u16::try_from(entry.name.len()).expect("at most 1023");
        let in_use = if entry.in_use { IN_USE } else { 0 };
        let auto = if entry.enabled { AUTO } else { 0 };
        raw.extend_from_slice(&entry.table.to_be_bytes());
        raw.extend_from_slice(&narrow(entry.table_entries).to_be_bytes());
        raw.extend_from_slice(&(in_use | auto).to_be_bytes());
        raw.extend_from_slice(&[DIRTY_TRACKING, granularity]);
        raw.extend_from_slice(&name_size.to_be_bytes());
        raw.extend_from_slice(&[0; 4]);
        raw.extend_from_slice(entry.name.as_bytes());
        raw.resize(raw.len().next_multiple_of(8), 0);
    }
    raw
}
