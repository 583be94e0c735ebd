//! Which parts of an image lie where in its file, and what leads there.

use blkproof_device::Visible;
use blkproof_spec::ByteRange;

use super::bitmaps::directory;
use super::parse::{Parsed, Table};
use super::table::{Budget, Entries, entries};
use super::uses::OFFSET;
use super::{InspectError, Limits};

/// A part of an image, as it lies in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Part {
    /// Where it lies.
    pub range: ByteRange,
    /// What it is: `header`, `L1 table`, `L2 table`, `refcount table`, `refcount block`, `data`,
    /// `bitmap directory`, `bitmap table` or `bits`.
    pub what: &'static str,
    /// What leads there, and where in the file that says so.
    pub led_by: Option<(&'static str, ByteRange)>,
    /// Which byte of the guest its first one is, if it is data.
    pub guest: Option<u64>,
}

/// Where the header says where the L1 table lies, and where the refcount table.
const L1_FIELDS: (u64, u64) = (24, 24);
const REFTABLE_FIELDS: (u64, u64) = (48, 12);
/// Where the header's extensions can begin.
const EXTENSIONS: u64 = 72;
const COMPRESSED: u64 = 1 << 62;

/// Returns the parts of the image that `device` holds which lie, in whole or in part, within
/// `wanted`. Snapshots and compressed clusters are not told.
///
/// # Errors
///
/// If the device fails, if the header is not one of an image, or if the limits do not suffice.
pub fn parts<D: Visible + ?Sized>(
    device: &mut D,
    wanted: &[ByteRange],
    limits: &Limits,
) -> Result<Vec<Part>, InspectError> {
    let parsed = Parsed::read(device)?;
    let mut search = Search {
        device,
        cluster: 1 << parsed.cluster_bits,
        wanted,
        budget: Budget(limits.table_bytes),
        found: Vec::new(),
    };
    search.add(ByteRange::new(0, search.cluster), "header", None, None);
    let field = |(start, len)| Some(("header", ByteRange::new(start, len)));
    search.blocks(parsed.reftable, field(REFTABLE_FIELDS))?;
    search.guest(parsed.l1, field(L1_FIELDS))?;
    search.bitmaps(&parsed)?;
    Ok(search.found)
}

type Led = Option<(&'static str, ByteRange)>;

struct Search<'a, D: ?Sized> {
    device: &'a mut D,
    cluster: u64,
    wanted: &'a [ByteRange],
    budget: Budget,
    found: Vec<Part>,
}

impl<D: Visible + ?Sized> Search<'_, D> {
    fn add(&mut self, range: ByteRange, what: &'static str, led_by: Led, guest: Option<u64>) {
        if self.wanted.iter().any(|wanted| wanted.overlaps(range)) {
            self.found.push(Part {
                range,
                what,
                led_by,
                guest,
            });
        }
    }

    /// Returns the entries of a table that are not zero, each run of equal ones as one.
    fn entries(&mut self, table: Table) -> Result<Vec<Entries>, InspectError> {
        let mut all = Vec::new();
        entries(self.device, table, &mut self.budget, |run| {
            all.push(run);
            Ok(())
        })?;
        Ok(all)
    }

    /// Returns the cluster to which an entry leads.
    fn cluster_of(&self, value: u64) -> Option<ByteRange> {
        let offset = value & OFFSET;
        (offset != 0).then(|| ByteRange::new(offset, self.cluster))
    }

    fn blocks(&mut self, table: Table, led_by: Led) -> Result<(), InspectError> {
        self.add(bytes(table), "refcount table", led_by, None);
        for run in self.entries(table)? {
            if let Some(block) = self.cluster_of(run.value) {
                let led_by = ("refcount table", entry(table, run.first));
                self.add(block, "refcount block", Some(led_by), None);
            }
        }
        Ok(())
    }

    fn guest(&mut self, l1: Table, led_by: Led) -> Result<(), InspectError> {
        self.add(bytes(l1), "L1 table", led_by, None);
        let per_table = self.cluster / 8;
        for run in self.entries(l1)? {
            let Some(table) = self.cluster_of(run.value) else {
                continue;
            };
            // A table that many entries share is told once.
            let led_by = ("L1 table", entry(l1, run.first));
            self.add(table, "L2 table", Some(led_by), None);
            let l2 = Table {
                offset: table.start,
                entries: per_table,
            };
            for inner in self.entries(l2)? {
                let data = self.cluster_of(inner.value);
                let Some(data) = data.filter(|_| inner.value & COMPRESSED == 0) else {
                    continue;
                };
                let guest = (run.first * per_table + inner.first) * self.cluster;
                let led_by = ("L2 table", entry(l2, inner.first));
                self.add(data, "data", Some(led_by), Some(guest));
            }
        }
        Ok(())
    }

    fn bitmaps(&mut self, parsed: &Parsed) -> Result<(), InspectError> {
        let Some(bitmaps) = parsed.bitmaps else {
            return Ok(());
        };
        let place = ByteRange::new(bitmaps.directory_offset, bitmaps.directory_size);
        let header = ByteRange::between(EXTENSIONS, self.cluster);
        self.add(place, "bitmap directory", Some(("header", header)), None);
        let found = directory(self.device, parsed, bitmaps, &mut self.budget, &mut |_| {})?;
        for bitmap in found {
            let led_by = ("bitmap directory", place);
            self.add(bytes(bitmap.table), "bitmap table", Some(led_by), None);
            for run in self.entries(bitmap.table)? {
                if let Some(bits) = self.cluster_of(run.value) {
                    let led_by = ("bitmap table", entry(bitmap.table, run.first));
                    self.add(bits, "bits", Some(led_by), None);
                }
            }
        }
        Ok(())
    }
}

fn bytes(table: Table) -> ByteRange {
    ByteRange::checked(table.offset, table.entries.saturating_mul(8)).unwrap_or_default()
}

fn entry(table: Table, index: u64) -> ByteRange {
    ByteRange::new(table.offset + index * 8, 8)
}
