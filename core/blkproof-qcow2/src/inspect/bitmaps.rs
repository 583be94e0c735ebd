//! Stored bitmaps, as the inspector sees them.

use std::collections::BTreeSet;

use blkproof_device::Visible;
use blkproof_spec::{Length, Offset};

use super::parse::{Bitmaps, Parsed, Table};
use super::table::{Budget, Entries, bytes_of, entries, pieces};
use super::uses::{Gather, OFFSET};
use super::{InspectError, Limits, Notes, Problem, Use};
use crate::num::{be32, be64, index};

const FIXED: usize = 24;
const FLAGS: u32 = 0b111;
const IN_USE: u32 = 1;
const AUTO: u32 = 2;
const MAX_DIRECTORY: u64 = 64 << 20;
const MAX_BYTES: u64 = 1 << 29;

/// A stored bitmap as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct FoundBitmap {
    /// Its name; what is not UTF-8 is replaced.
    pub name: String,
    /// Bytes of the guest per bit.
    pub granularity: Length,
    /// The flag `auto`: it records writes.
    pub enabled: bool,
    /// The flag `in_use`: it was not stored properly.
    pub in_use: bool,
    /// The bits that are set, as runs `[start, end)` in ascending order that do not touch; empty
    /// where it is in use.
    pub runs: Vec<(u64, u64)>,
}

/// An entry of the directory.
pub(super) struct Entry {
    number: u64,
    name: Vec<u8>,
    granularity_bits: u8,
    flags: u32,
    pub(super) table: Table,
}

impl Entry {
    fn in_use(&self) -> bool {
        self.flags & IN_USE != 0
    }
}

/// Reads the bitmaps that are stored in the image that `device` holds.
///
/// # Errors
///
/// If the device fails, if something about them is wrong, or if the limits do not suffice.
pub fn bitmaps<D: Visible + ?Sized>(
    device: &mut D,
    limits: &Limits,
) -> Result<Vec<FoundBitmap>, InspectError> {
    let parsed = Parsed::read(device)?;
    let Some(bitmaps) = parsed.bitmaps else {
        return Ok(Vec::new());
    };
    let mut budget = Budget(limits.table_bytes);
    let mut found = Vec::new();
    let mut problem = None;
    let directory = directory(device, &parsed, bitmaps, &mut budget, &mut |wrong| {
        problem.get_or_insert(wrong);
    })?;
    if let Some(problem) = problem {
        return Err(InspectError::Problem(problem));
    }
    for entry in directory {
        let runs = if entry.in_use() {
            Vec::new()
        } else {
            runs(device, &parsed, &entry, limits.runs, &mut budget)?
        };
        found.push(FoundBitmap {
            name: String::from_utf8_lossy(&entry.name).into_owned(),
            granularity: Length(1 << entry.granularity_bits),
            enabled: entry.flags & AUTO != 0,
            in_use: entry.in_use(),
            runs,
        });
    }
    Ok(found)
}

/// Reads the directory as far as it can be read, and tells what is wrong with it.
pub(super) fn directory<D: Visible + ?Sized>(
    device: &mut D,
    parsed: &Parsed,
    bitmaps: Bitmaps,
    budget: &mut Budget,
    wrong: &mut dyn FnMut(Problem),
) -> Result<Vec<Entry>, InspectError> {
    let (what, offset) = (Use::Bitmaps, bitmaps.directory_offset);
    let size = bitmaps.directory_size;
    let end = offset.checked_add(size);
    if size > MAX_DIRECTORY || end.is_none_or(|end| end > parsed.file_size) {
        wrong(Problem::Unreadable { what, offset });
        return Ok(Vec::new());
    }
    budget.spend(size)?;
    let mut raw = vec![0; index(size)];
    device.read_at(Offset(offset), &mut raw)?;
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    let mut at = 0;
    for number in 0..bitmaps.count.into() {
        let Some((entry, len)) = entry(raw.get(at..).unwrap_or_default(), number) else {
            wrong(Problem::Unreadable { what, offset });
            return Ok(found);
        };
        check(parsed, &entry, &raw[at..at + len], wrong);
        if !names.insert(entry.name.clone()) {
            let (field, value) = ("the name of another", number);
            wrong(Problem::Bitmap {
                number,
                field,
                value,
            });
        }
        found.push(entry);
        at += len;
    }
    if at != raw.len() {
        wrong(Problem::Unreadable { what, offset });
    }
    Ok(found)
}

/// Takes an entry apart; returns how many bytes it takes as well.
fn entry(raw: &[u8], number: u64) -> Option<(Entry, usize)> {
    let fixed = raw.get(..FIXED)?;
    let name_size = index((be32(fixed, 16) & 0xffff).into());
    let extra = index(be32(fixed, 20).into());
    let start = FIXED + extra;
    let len = (start + name_size).next_multiple_of(8);
    let name = raw.get(..len)?[start..start + name_size].to_vec();
    let entry = Entry {
        number,
        name,
        granularity_bits: fixed[17],
        flags: be32(fixed, 12),
        table: Table {
            offset: be64(fixed, 0),
            entries: be32(fixed, 8).into(),
        },
    };
    Some((entry, len))
}

/// Tells what cannot be in an entry.
fn check(parsed: &Parsed, entry: &Entry, raw: &[u8], wrong: &mut dyn FnMut(Problem)) {
    let size = entry.table.entries;
    let bits = u32::from(entry.granularity_bits);
    let bytes = parsed.size.div_ceil(1 << bits.min(62)).div_ceil(8);
    let fits = entry.in_use() || size == bytes.div_ceil(1 << parsed.cluster_bits);
    let name = entry.name.len() as u64;
    let extra = u64::from(be32(raw, 20));
    let kind = u64::from(raw[16]);
    let checks = [
        ("flags", entry.flags.into(), entry.flags & !FLAGS == 0),
        ("type", kind, kind == 1),
        ("granularity_bits", bits.into(), (9..=31).contains(&bits)),
        ("name_size", name, (1..=1023).contains(&name)),
        ("extra_data_size", extra, extra == 0),
        ("bitmap_table_size", size, fits && size > 0),
        (
            "bitmap_table_size",
            size,
            size << parsed.cluster_bits <= MAX_BYTES,
        ),
    ];
    for (field, value, holds) in checks {
        if !holds {
            wrong(Problem::Bitmap {
                number: entry.number,
                field,
                value,
            });
        }
    }
}

/// Reads the bits of a bitmap that is not in use.
fn runs<D: Visible + ?Sized>(
    device: &mut D,
    parsed: &Parsed,
    entry: &Entry,
    most: u64,
    budget: &mut Budget,
) -> Result<Vec<(u64, u64)>, InspectError> {
    let bits = parsed.size.div_ceil(1 << entry.granularity_bits);
    let cluster = 1_u64 << parsed.cluster_bits;
    let mut table = Vec::new();
    entries(device, entry.table, budget, |entries| {
        table.push(entries);
        Ok(())
    })?;
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let mut add = |start: u64, end: u64| {
        match runs.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => runs.push((start, end)),
        }
        if runs.len() as u64 > most {
            return Err(InspectError::TooLarge);
        }
        Ok(())
    };
    for Entries {
        first,
        count,
        value,
    } in table
    {
        for number in first..first + count {
            let base = number * cluster * 8;
            if value == 1 {
                add(base, bits.min(base + cluster * 8))?;
                continue;
            }
            let range = blkproof_spec::ByteRange::new(value & OFFSET, cluster);
            pieces(device, range, budget, |start, piece| {
                for (at, byte) in (start..).zip(bytes_of(&piece)) {
                    for bit in (0..8).filter(|bit| byte & (1 << bit) != 0) {
                        let bit = base + at * 8 + bit;
                        if bit < bits {
                            add(bit, bit + 1)?;
                        }
                    }
                }
                Ok(())
            })?;
        }
    }
    Ok(runs)
}

impl<D: Visible + ?Sized> Gather<'_, D> {
    /// Walks the directory of bitmaps and all that it leads to.
    pub(super) fn bitmaps(
        &mut self,
        bitmaps: Bitmaps,
        notes: &mut Notes<'_>,
    ) -> Result<(), InspectError> {
        let what = Use::Bitmaps;
        let (offset, size) = (bitmaps.directory_offset, bitmaps.directory_size);
        if size <= MAX_DIRECTORY && self.fits(offset, size, what, notes) {
            self.add(offset, size, what, None)?;
        }
        let mut wrong = |problem| notes.problem(problem);
        let parsed = self.parsed;
        let directory = directory(self.device, parsed, bitmaps, &mut self.budget, &mut wrong)?;
        for entry in directory {
            self.bitmap(&entry, notes)?;
        }
        Ok(())
    }

    fn bitmap(&mut self, entry: &Entry, notes: &mut Notes<'_>) -> Result<(), InspectError> {
        let what = Use::Bitmaps;
        let table = entry.table;
        if table.entries << self.parsed.cluster_bits > MAX_BYTES
            || !self.fits(table.offset, table.entries * 8, what, notes)
        {
            return Ok(());
        }
        self.add(table.offset, table.entries * 8, what, None)?;
        for Entries { value, count, .. } in self.entries(table)? {
            let offset = value & OFFSET;
            let reserved = value != 1 && value != offset;
            if reserved {
                notes.problem(Problem::Bitmap {
                    number: entry.number,
                    field: "bitmap table entry",
                    value,
                });
            }
            if offset != 0 && self.fits(offset, self.cluster(), what, notes) {
                self.add_times(offset, self.cluster(), what, None, count)?;
            }
        }
        Ok(())
    }
}
