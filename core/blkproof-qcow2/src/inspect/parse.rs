//! The header, as the inspector reads it.

use blkproof_device::BlockDevice;
use blkproof_spec::Offset;

use crate::error::{Feature, Qcow2Error};
use crate::header::BackingName;
use crate::num::{be32, be64, index};

/// Most headers end before this.
const USUAL: u64 = 512;
const BACKING_FORMAT: u32 = 0xe279_2aca;
const BITMAPS: u32 = 0x2385_2875;

/// What the inspector needs of a header.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) version: u32,
    pub(super) cluster_bits: u32,
    pub(super) size: u64,
    pub(super) l1: Table,
    pub(super) reftable: Table,
    pub(super) refcount_order: u32,
    pub(super) snapshot_count: u32,
    pub(super) snapshots_offset: u64,
    pub(super) bitmaps: Option<Bitmaps>,
    pub(super) backing: Option<BackingName>,
    pub(super) dirty: bool,
    pub(super) corrupt: bool,
    pub(super) file_size: u64,
}

/// A table of 64-bit entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) offset: u64,
    pub(super) entries: u64,
}

/// The extension about persistent bitmaps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bitmaps {
    pub(super) count: u32,
    pub(super) directory_size: u64,
    pub(super) directory_offset: u64,
}

fn bad(field: &'static str, value: u64, expected: &'static str) -> Qcow2Error {
    Qcow2Error::Field {
        field,
        value,
        expected,
    }
}

/// Returns an error unless a field's value is within bounds.
fn within(
    field: &'static str,
    value: u64,
    bounds: core::ops::RangeInclusive<u64>,
    expected: &'static str,
) -> Result<u64, Qcow2Error> {
    if bounds.contains(&value) {
        Ok(value)
    } else {
        Err(bad(field, value, expected))
    }
}

impl Parsed {
    pub(super) fn read<D: BlockDevice + ?Sized>(device: &mut D) -> Result<Self, Qcow2Error> {
        let file_size = device.size().0;
        let mut raw = vec![0; index(file_size.min(USUAL))];
        device.read_at(Offset(0), &mut raw)?;
        let magic = raw.get(..4).map_or(0, |raw| be32(raw, 0));
        if magic != 0x5146_49fb {
            return Err(Qcow2Error::NotQcow2 { magic });
        }
        if raw.len() < 104 {
            return Err(Qcow2Error::Truncated { size: file_size });
        }
        let bits = within("cluster_bits", be32(&raw, 20).into(), 9..=21, "9 to 21")?;
        let cluster = 1_u64 << bits;
        raw.resize(index(cluster.min(USUAL)), 0);
        let mut parsed = Self::fixed(&raw, file_size)?;
        if cluster > USUAL && !parsed.extend(&raw)? {
            raw.resize(index(cluster), 0);
            device.read_at(Offset(0), &mut raw)?;
        }
        parsed.extend(&raw)?;
        Ok(parsed)
    }

    fn fixed(raw: &[u8], file_size: u64) -> Result<Self, Qcow2Error> {
        let version = be32(raw, 4);
        let features = match version {
            2 => 0,
            3 => be64(raw, 72),
            other => return Err(Qcow2Error::Version(other)),
        };
        let length = if version == 3 { be32(raw, 100) } else { 72 };
        let compression = if version == 3 && length > 104 {
            raw[104]
        } else {
            0
        };
        refuse(be32(raw, 32), features, compression)?;
        let order = if version == 3 { be32(raw, 96) } else { 4 };
        within("refcount_order", order.into(), 0..=6, "at most 6")?;
        let cluster_bits = be32(raw, 20);
        let (l1, reftable) = tables(raw, cluster_bits)?;
        let size = within(
            "size",
            be64(raw, 24),
            0..=i64::MAX.unsigned_abs(),
            "below 2^63",
        )?;
        let span = 1_u64 << (2 * cluster_bits - 3);
        if l1.entries < size.div_ceil(span) {
            let expected = "enough entries for the size of the image";
            return Err(bad("l1_size", l1.entries, expected));
        }
        Ok(Self {
            version,
            cluster_bits,
            size,
            l1,
            reftable,
            refcount_order: order,
            snapshot_count: be32(raw, 60),
            snapshots_offset: be64(raw, 64),
            bitmaps: None,
            backing: None,
            dirty: features & 1 != 0,
            corrupt: features & 2 != 0,
            file_size,
        })
    }

    /// Reads extensions and the backing name. Tells whether `raw` goes far enough for that.
    fn extend(&mut self, raw: &[u8]) -> Result<bool, Qcow2Error> {
        let whole = raw.len() as u64 == 1 << self.cluster_bits;
        let autoclear = if self.version == 3 { be64(raw, 88) } else { 0 };
        let mut at = if self.version == 3 {
            index(be32(raw, 100).into())
        } else {
            72
        };
        let (name_at, name_len) = (be64(raw, 8), u64::from(be32(raw, 16)));
        let mut format = None;
        loop {
            if at + 8 > raw.len() {
                return match whole && at <= raw.len() {
                    true => Ok(true),
                    false if whole => Err(bad("header_length", at as u64, "within a cluster")),
                    false => Ok(false),
                };
            }
            let (kind, len) = (be32(raw, at), index(be32(raw, at + 4).into()));
            at += 8;
            if kind == 0 || (name_at != 0 && at as u64 > name_at) {
                break;
            }
            let Some(data) = raw.get(at..at + len) else {
                if whole {
                    return Err(bad(
                        "header extension length",
                        len as u64,
                        "within a cluster",
                    ));
                }
                return Ok(false);
            };
            match kind {
                BACKING_FORMAT => format = Some(String::from_utf8_lossy(data).into_owned()),
                BITMAPS if autoclear & 1 != 0 => self.bitmaps = Some(bitmaps(data)?),
                _ => {}
            }
            at += len.next_multiple_of(8);
        }
        self.read_backing(raw, name_at, name_len, format, whole)
    }

    fn read_backing(
        &mut self,
        raw: &[u8],
        at: u64,
        len: u64,
        format: Option<String>,
        whole: bool,
    ) -> Result<bool, Qcow2Error> {
        if at == 0 || len == 0 {
            return Ok(true);
        }
        if len > 1023 || at >= 1 << self.cluster_bits {
            let expected = "at most 1023, within the first cluster";
            return Err(bad("backing_file_size", len, expected));
        }
        let Some(name) = raw.get(index(at)..index(at + len)) else {
            if whole {
                return Err(bad("backing_file_offset", at, "within the first cluster"));
            }
            return Ok(false);
        };
        let name = core::str::from_utf8(name).map_err(|error| {
            let byte = name[error.valid_up_to()];
            bad("backing file name", byte.into(), "text in UTF-8")
        })?;
        self.backing = Some(BackingName {
            name: name.to_owned(),
            format,
        });
        Ok(true)
    }
}

/// Takes the extension about bitmaps apart.
fn bitmaps(data: &[u8]) -> Result<Bitmaps, Qcow2Error> {
    if data.len() != 24 {
        let found = data.len() as u64;
        return Err(bad("length of the bitmaps extension", found, "24"));
    }
    let reserved = be32(data, 4).into();
    within("bitmaps extension, reserved", reserved, 0..=0, "0")?;
    let count = be32(data, 0);
    within("nb_bitmaps", count.into(), 1..=65_535, "1 to 65535")?;
    Ok(Bitmaps {
        count,
        directory_size: be64(data, 8),
        directory_offset: be64(data, 16),
    })
}

/// Returns where the L1 table and the refcount table lie.
fn tables(raw: &[u8], cluster_bits: u32) -> Result<(Table, Table), Qcow2Error> {
    let l1 = Table {
        offset: be64(raw, 40),
        entries: within(
            "l1_size",
            be32(raw, 36).into(),
            0..=4 << 20,
            "at most 4194304",
        )?,
    };
    let bytes = u64::from(be32(raw, 56)) << cluster_bits;
    let expected = "1 cluster to 8 MiB";
    let bytes = within("refcount_table_clusters", bytes, 1..=8 << 20, expected)?;
    let reftable = Table {
        offset: be64(raw, 48),
        entries: bytes / 8,
    };
    for (field, table) in [("l1_table_offset", l1), ("refcount_table_offset", reftable)] {
        let aligned = table.offset & ((1 << cluster_bits) - 1) == 0;
        if !aligned || table.offset >= 1 << 56 {
            let expected = "a multiple of the cluster size below 2^56";
            return Err(bad(field, table.offset, expected));
        }
    }
    Ok((l1, reftable))
}

fn refuse(encryption: u32, features: u64, compression: u8) -> Result<(), Qcow2Error> {
    let feature = if encryption != 0 {
        Feature::Encryption(encryption)
    } else if features >> 5 != 0 {
        Feature::Unknown(5 + (features >> 5).trailing_zeros())
    } else if features & 0b1_0000 != 0 {
        Feature::ExtendedL2
    } else if features & 0b100 != 0 {
        Feature::ExternalData
    } else if features & 0b1000 != 0 || compression != 0 {
        Feature::Compression(compression)
    } else {
        return Ok(());
    };
    Err(Qcow2Error::Feature(feature))
}
