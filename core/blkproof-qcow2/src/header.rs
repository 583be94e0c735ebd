//! The header: parsed with every field checked, and written.
//!
//! Header extensions that are not known are kept as they are.

mod bitmaps;

mod write;

use blkproof_device::BlockDevice;
use blkproof_spec::{Length, Offset};

use crate::error::{Feature, Qcow2Error};
use crate::layout::{Layout, MAX_CLUSTER_BITS, MIN_CLUSTER_BITS};
use crate::num::{be32, be64, index};
pub(crate) use bitmaps::{BitmapsExtension, MAX_BITMAPS, MAX_DIRECTORY};

/// The first four bytes of an image.
pub(crate) const MAGIC: u32 = 0x5146_49fb;
/// The longest name of a backing file, in bytes.
pub(crate) const MAX_BACKING_NAME: u64 = 1023;
/// The largest L1 table, in bytes.
pub(crate) const MAX_L1_BYTES: u64 = 32 << 20;
/// The largest refcount table, in bytes.
pub(crate) const MAX_REFTABLE_BYTES: u64 = 8 << 20;
/// The largest virtual size: offsets stay far from 2^63.
pub(crate) const MAX_SIZE: u64 = (1 << 63) - (1 << 31);

/// Returns the largest size of an image with clusters of this size: more would take a larger L1
/// table than may be, or is more than a file can hold.
#[must_use]
pub fn size_max(cluster: Length) -> Length {
    let per_table = (cluster.0 / 8).saturating_mul(cluster.0);
    Length((MAX_L1_BYTES / 8).saturating_mul(per_table).min(MAX_SIZE))
}

const V2_LENGTH: usize = 72;
const V3_LENGTH: usize = 104;
const WRITTEN_LENGTH: usize = 112;
const EXT_BACKING_FORMAT: u32 = 0xe279_2aca;
const EXT_BITMAPS: u32 = 0x2385_2875;
/// The bit of the autoclear features that says that the extension about bitmaps is up to date.
pub(crate) const AUTOCLEAR_BITMAPS: u64 = 1;
/// What is read at first: more than most headers need.
const FIRST_READ: usize = 512;

/// A header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) layout: Layout,
    pub(crate) size: u64,
    pub(crate) l1_entries: u64,
    pub(crate) l1_offset: u64,
    pub(crate) reftable_offset: u64,
    pub(crate) reftable_clusters: u64,
    pub(crate) snapshots: u32,
    pub(crate) snapshots_offset: u64,
    pub(crate) compatible: u64,
    pub(crate) autoclear: u64,
    /// Bytes of the header fields that lie behind the ones that are known.
    pub(crate) rest: Vec<u8>,
    pub(crate) backing: Option<BackingName>,
    /// Where the name of the backing file lies; 0 if nowhere yet.
    pub(crate) backing_offset: u64,
    /// Where the stored bitmaps lie. One that the autoclear features call out of date is left out.
    pub(crate) bitmaps: Option<BitmapsExtension>,
    pub(crate) extensions: Vec<Extension>,
}

/// What an image says about its backing file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackingName {
    /// The file's name, at most 1023 bytes.
    pub name: String,
    /// The format it is said to have, such as `qcow2` or `raw`.
    pub format: Option<String>,
}

/// A header extension that the driver only keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extension {
    /// Its type.
    pub kind: u32,
    /// Its contents, without padding.
    pub data: Vec<u8>,
}

/// Reads and checks the header of an image.
pub(crate) fn read<D: BlockDevice + ?Sized>(device: &mut D) -> Result<Header, Qcow2Error> {
    let size = device.size().0;
    if size < V2_LENGTH as u64 {
        return Err(short_file(device, size)?);
    }
    let mut first = [0; FIRST_READ];
    device.read_at(Offset(0), &mut first)?;
    let fixed = Fixed::parse(&first)?;
    let cluster = index(fixed.layout.cluster());
    if fixed.area_end(&first).is_some_and(|end| end <= FIRST_READ) {
        return fixed.finish(&first[..cluster.min(FIRST_READ)]);
    }
    let mut whole = vec![0; cluster];
    device.read_at(Offset(0), &mut whole)?;
    fixed.finish(&whole)
}

fn short_file<D: BlockDevice + ?Sized>(
    device: &mut D,
    size: u64,
) -> Result<Qcow2Error, Qcow2Error> {
    let mut magic = [0; 4];
    if size >= 4 {
        device.read_at(Offset(0), &mut magic)?;
    }
    match u32::from_be_bytes(magic) {
        MAGIC => Ok(Qcow2Error::Truncated { size }),
        magic => Ok(Qcow2Error::NotQcow2 { magic }),
    }
}

/// The fields at fixed places.
struct Fixed {
    layout: Layout,
    length: usize,
    header: Header,
    backing_len: u64,
}

fn field(field: &'static str, value: u64, expected: &'static str) -> Qcow2Error {
    Qcow2Error::Field {
        field,
        value,
        expected,
    }
}

impl Fixed {
    fn parse(raw: &[u8; FIRST_READ]) -> Result<Self, Qcow2Error> {
        let magic = be32(raw, 0);
        if magic != MAGIC {
            return Err(Qcow2Error::NotQcow2 { magic });
        }
        let version = be32(raw, 4);
        if !(2..=3).contains(&version) {
            return Err(Qcow2Error::Version(version));
        }
        let cluster_bits = be32(raw, 20);
        if !(MIN_CLUSTER_BITS..=MAX_CLUSTER_BITS).contains(&cluster_bits) {
            return Err(field("cluster_bits", cluster_bits.into(), "9 to 21"));
        }
        let (refcount_order, length) = if version == 3 {
            (be32(raw, 96), be32(raw, 100))
        } else {
            (4, 72)
        };
        if refcount_order > 6 {
            return Err(field("refcount_order", refcount_order.into(), "at most 6"));
        }
        let layout = Layout {
            version,
            cluster_bits,
            refcount_order,
        };
        let length = check_length(layout, length.into())?;
        refuse_features(raw, version, length)?;
        let header = Header {
            layout,
            size: be64(raw, 24),
            l1_entries: be32(raw, 36).into(),
            l1_offset: be64(raw, 40),
            reftable_offset: be64(raw, 48),
            reftable_clusters: be32(raw, 56).into(),
            snapshots: be32(raw, 60),
            snapshots_offset: be64(raw, 64),
            compatible: if version == 3 { be64(raw, 80) } else { 0 },
            autoclear: if version == 3 { be64(raw, 88) } else { 0 },
            rest: Vec::new(),
            backing: None,
            backing_offset: be64(raw, 8),
            bitmaps: None,
            extensions: Vec::new(),
        };
        header.check()?;
        Ok(Self {
            layout,
            length,
            header,
            backing_len: be32(raw, 16).into(),
        })
    }

    /// Returns where extensions and the backing name end, where `raw` goes far enough to tell.
    fn area_end(&self, raw: &[u8]) -> Option<usize> {
        let mut at = self.length;
        loop {
            if at + 8 > raw.len() {
                return None;
            }
            let (kind, len) = (be32(raw, at), be32(raw, at + 4));
            at += 8;
            if kind == 0 {
                break;
            }
            at = at
                .checked_add(index(len.into()))?
                .checked_next_multiple_of(8)?;
        }
        let name_end = self.header.backing_offset.checked_add(self.backing_len)?;
        Some(at.max(usize::try_from(name_end).ok()?))
    }

    fn finish(self, raw: &[u8]) -> Result<Header, Qcow2Error> {
        let mut header = self.header;
        let known = if self.layout.version == 3 {
            V3_LENGTH
        } else {
            V2_LENGTH
        };
        header.rest = raw[known..self.length].to_vec();
        let end = if header.backing_offset == 0 {
            raw.len() as u64
        } else {
            header.backing_offset
        };
        if end > raw.len() as u64 || end < self.length as u64 {
            let expected = "a position behind the header, in the first cluster";
            return Err(field("backing_file_offset", end, expected));
        }
        let format = read_extensions(&raw[..index(end)], self.length, &mut header)?;
        if header.backing_offset != 0 && self.backing_len != 0 {
            let name = read_name(raw, header.backing_offset, self.backing_len)?;
            header.backing = Some(BackingName { name, format });
        }
        Ok(header)
    }
}

fn check_length(layout: Layout, length: u64) -> Result<usize, Qcow2Error> {
    let least = if layout.version == 3 {
        V3_LENGTH
    } else {
        V2_LENGTH
    } as u64;
    if length < least
        || length > layout.cluster().min(FIRST_READ as u64)
        || !length.is_multiple_of(8)
    {
        return Err(field(
            "header_length",
            length,
            "104 to 512, within the first cluster",
        ));
    }
    Ok(index(length))
}

fn refuse_features(raw: &[u8], version: u32, length: usize) -> Result<(), Qcow2Error> {
    let refuse = |feature| Err(Qcow2Error::Feature(feature));
    let method = be32(raw, 32);
    if method != 0 {
        return refuse(Feature::Encryption(method));
    }
    if version < 3 {
        return Ok(());
    }
    let bits = be64(raw, 72);
    if let Some(unknown) = (5..64).find(|bit| bits & (1 << bit) != 0) {
        return refuse(Feature::Unknown(unknown));
    }
    let compression = if length > V3_LENGTH {
        raw[V3_LENGTH]
    } else {
        0
    };
    let known = [
        (0, Feature::Dirty),
        (1, Feature::Corrupt),
        (2, Feature::ExternalData),
        (4, Feature::ExtendedL2),
    ];
    for (bit, feature) in known {
        if bits & (1 << bit) != 0 {
            return refuse(feature);
        }
    }
    if compression != 0 {
        return refuse(Feature::Compression(compression));
    }
    if bits & (1 << 3) != 0 {
        return Err(field(
            "compression_type",
            0,
            "not deflate, where bit 3 is set",
        ));
    }
    Ok(())
}

/// Reads the extensions; returns what the one about the backing format says.
fn read_extensions(
    raw: &[u8],
    mut at: usize,
    header: &mut Header,
) -> Result<Option<String>, Qcow2Error> {
    let mut format = None;
    while at + 8 <= raw.len() {
        let (kind, len) = (be32(raw, at), be32(raw, at + 4));
        at += 8;
        if kind == 0 {
            break;
        }
        let len = index(len.into());
        if len > raw.len() - at {
            let expected = "a length within the header's cluster";
            return Err(field("header extension length", len as u64, expected));
        }
        let data = &raw[at..at + len];
        match kind {
            EXT_BACKING_FORMAT => format = Some(String::from_utf8_lossy(data).into_owned()),
            EXT_BITMAPS if header.autoclear & AUTOCLEAR_BITMAPS != 0 => {
                header.bitmaps = Some(BitmapsExtension::parse(data, header.layout)?);
            }
            EXT_BITMAPS => {}
            _ => header.extensions.push(Extension {
                kind,
                data: data.to_vec(),
            }),
        }
        at += len.next_multiple_of(8);
    }
    Ok(format)
}

fn read_name(raw: &[u8], offset: u64, len: u64) -> Result<String, Qcow2Error> {
    if len > MAX_BACKING_NAME || offset + len > raw.len() as u64 {
        let expected = "at most 1023, within the first cluster";
        return Err(field("backing_file_size", len, expected));
    }
    let bytes = &raw[index(offset)..index(offset + len)];
    match core::str::from_utf8(bytes) {
        Ok(name) => Ok(name.to_owned()),
        Err(error) => {
            let at = error.valid_up_to();
            Err(field(
                "backing file name",
                bytes[at].into(),
                "text in UTF-8",
            ))
        }
    }
}

impl Header {
    fn check(&self) -> Result<(), Qcow2Error> {
        let layout = self.layout;
        if self.size > MAX_SIZE {
            return Err(field("size", self.size, "less than 2^63"));
        }
        if self.l1_entries * 8 > MAX_L1_BYTES {
            return Err(field("l1_size", self.l1_entries, "at most 4194304"));
        }
        if self.l1_entries < layout.l1_entries(self.size) {
            let expected = "enough entries for the size of the image";
            return Err(field("l1_size", self.l1_entries, expected));
        }
        let table_bytes = self.reftable_clusters << layout.cluster_bits;
        if table_bytes > MAX_REFTABLE_BYTES || table_bytes == 0 {
            let expected = "1 cluster to 8 MiB";
            return Err(field(
                "refcount_table_clusters",
                self.reftable_clusters,
                expected,
            ));
        }
        check_table(
            layout,
            "l1_table_offset",
            self.l1_offset,
            self.l1_entries * 8,
        )?;
        check_table(
            layout,
            "refcount_table_offset",
            self.reftable_offset,
            table_bytes,
        )?;
        if self.reftable_offset == 0 {
            return Err(field(
                "refcount_table_offset",
                0,
                "a position behind the header",
            ));
        }
        if self.snapshots > 65_536 {
            return Err(field(
                "nb_snapshots",
                self.snapshots.into(),
                "at most 65536",
            ));
        }
        if self.snapshots > 0 {
            check_table(layout, "snapshots_offset", self.snapshots_offset, 1)?;
        }
        Ok(())
    }
}

/// Checks that a table lies on clusters of its own, not over the header, below 2^56.
fn check_table(
    layout: Layout,
    name: &'static str,
    offset: u64,
    bytes: u64,
) -> Result<(), Qcow2Error> {
    if !layout.aligned(offset) && name != "snapshots_offset" || !offset.is_multiple_of(8) {
        return Err(field(name, offset, "a multiple of the cluster size"));
    }
    if bytes > 0 && (offset < layout.cluster() || offset >= 1 << 56) {
        return Err(field(
            name,
            offset,
            "a position behind the header, below 2^56",
        ));
    }
    Ok(())
}
