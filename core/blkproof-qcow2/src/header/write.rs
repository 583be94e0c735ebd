//! The header as bytes.

use super::{
    EXT_BACKING_FORMAT, EXT_BITMAPS, Header, MAGIC, MAX_BACKING_NAME, V2_LENGTH, V3_LENGTH,
    WRITTEN_LENGTH,
};
use crate::error::Qcow2Error;
use crate::num::{index, put32, put64};

/// Room that a new header leaves behind its extensions for the one about bitmaps, so that the name
/// of the backing file need not move when it comes.
const SPARE: u64 = 32;

impl Header {
    /// Returns the fields that change while an image is open, as they lie from byte 24 to byte 60.
    pub(crate) fn live_fields(&self) -> [u8; 36] {
        let mut raw = [0; 36];
        put64(&mut raw, 0, self.size);
        put32(&mut raw, 12, narrow(self.l1_entries));
        put64(&mut raw, 16, self.l1_offset);
        put64(&mut raw, 24, self.reftable_offset);
        put32(&mut raw, 32, narrow(self.reftable_clusters));
        raw
    }

    /// Returns the header with its extensions and the backing name as they stand in the file.
    ///
    /// # Errors
    ///
    /// If they do not fit into the first cluster.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Qcow2Error> {
        let mut raw = vec![0; V2_LENGTH];
        put32(&mut raw, 0, MAGIC);
        put32(&mut raw, 4, self.layout.version);
        put32(&mut raw, 20, self.layout.cluster_bits);
        raw[24..60].copy_from_slice(&self.live_fields());
        put32(&mut raw, 60, self.snapshots);
        put64(&mut raw, 64, self.snapshots_offset);
        if self.layout.version == 3 {
            raw.resize(V3_LENGTH, 0);
            put64(&mut raw, 80, self.compatible);
            put64(&mut raw, 88, self.autoclear);
            put32(&mut raw, 96, self.layout.refcount_order);
            raw.extend_from_slice(&self.rest);
            let length = narrow(raw.len() as u64);
            put32(&mut raw, 100, length);
        }
        let format = self
            .backing
            .as_ref()
            .and_then(|backing| backing.format.as_ref());
        if let Some(format) = format {
            push_extension(&mut raw, EXT_BACKING_FORMAT, format.as_bytes());
        }
        for extension in &self.extensions {
            push_extension(&mut raw, extension.kind, &extension.data);
        }
        if let Some(bitmaps) = &self.bitmaps {
            push_extension(&mut raw, EXT_BITMAPS, &bitmaps.to_bytes());
        }
        push_extension(&mut raw, 0, &[]);
        self.push_backing(&mut raw)?;
        if raw.len() as u64 > self.layout.cluster() {
            return Err(Qcow2Error::Option {
                option: "a header of bytes",
                value: raw.len() as u64,
                expected: "at most one cluster",
            });
        }
        Ok(raw)
    }

    /// Adds the name of the backing file: where it is in the file already if that lies behind the
    /// extensions, else behind some room for another one.
    fn push_backing(&self, raw: &mut Vec<u8>) -> Result<(), Qcow2Error> {
        let Some(backing) = &self.backing else {
            return Ok(());
        };
        let len = backing.name.len() as u64;
        let end = raw.len() as u64;
        let spare = if self.bitmaps.is_none() { SPARE } else { 0 };
        let places = [self.backing_offset, end + spare, end];
        let fits = |at: &u64| *at >= end && at + len <= self.layout.cluster();
        let at = places.into_iter().find(fits);
        let Some(at) = at.filter(|_| len <= MAX_BACKING_NAME) else {
            return Err(Qcow2Error::Option {
                option: "a backing file name of bytes",
                value: len,
                expected: "at most 1023, within the first cluster",
            });
        };
        put64(raw, 8, at);
        put32(raw, 16, narrow(len));
        raw.resize(index(at), 0);
        raw.extend_from_slice(backing.name.as_bytes());
        Ok(())
    }

    /// Returns what lies behind the known fields of a header that is made anew.
    pub(crate) fn new_rest() -> Vec<u8> {
        vec![0; WRITTEN_LENGTH - V3_LENGTH]
    }
}

fn push_extension(raw: &mut Vec<u8>, kind: u32, data: &[u8]) {
    raw.extend_from_slice(&kind.to_be_bytes());
    raw.extend_from_slice(&narrow(data.len() as u64).to_be_bytes());
    raw.extend_from_slice(data);
    raw.resize(raw.len().next_multiple_of(8), 0);
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).expect("a checked field fits its 32 bits")
}
