//! The header extension that says where stored bitmaps lie.

use super::field;
use crate::error::Qcow2Error;
use crate::layout::Layout;
use crate::num::{be32, be64, put32, put64};

/// The most bitmaps that an image can have.
pub(crate) const MAX_BITMAPS: u64 = 65_535;
/// The most bytes of the directory of bitmaps.
pub(crate) const MAX_DIRECTORY: u64 = 64 << 20;

const LENGTH: usize = 24;
/// The shortest entry of a directory, with a name of one byte.
const MIN_ENTRY: u64 = 32;

/// Where stored bitmaps lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BitmapsExtension {
    pub(crate) count: u32,
    /// The directory's bytes in the file.
    pub(crate) size: u64,
    pub(crate) offset: u64,
}

impl BitmapsExtension {
    pub(super) fn parse(data: &[u8], layout: Layout) -> Result<Self, Qcow2Error> {
        if data.len() != LENGTH {
            let len = data.len() as u64;
            return Err(field("length of the bitmaps extension", len, "24"));
        }
        let reserved = be32(data, 4);
        if reserved != 0 {
            return Err(field("bitmaps extension, reserved", reserved.into(), "0"));
        }
        let count = u64::from(be32(data, 0));
        if !(1..=MAX_BITMAPS).contains(&count) {
            return Err(field("nb_bitmaps", count, "1 to 65535"));
        }
        let size = be64(data, 8);
        if size > MAX_DIRECTORY || size < count * MIN_ENTRY {
            let expected = "room for every bitmap, at most 64 MiB";
            return Err(field("bitmap_directory_size", size, expected));
        }
        let offset = be64(data, 16);
        if !layout.aligned(offset) || offset < layout.cluster() || offset >= 1 << 56 {
            let expected = "a multiple of the cluster size behind the header, below 2^56";
            return Err(field("bitmap_directory_offset", offset, expected));
        }
        Ok(Self {
            count: be32(data, 0),
            size,
            offset,
        })
    }

    pub(super) fn to_bytes(self) -> [u8; LENGTH] {
        let mut raw = [0; LENGTH];
        put32(&mut raw, 0, self.count);
        put64(&mut raw, 8, self.size);
        put64(&mut raw, 16, self.offset);
        raw
    }
}
