//! Compressed clusters: raw deflate with a window of 4 KiB, several to a host cluster.
//!
//! The host cluster's refcount counts the compressed clusters that have bytes in it.

use core::fmt;

use blkproof_device::{BlockDevice, Load};
use blkproof_spec::Errno;
use blkproof_spec::fault::Event;
use flate2::{Decompress, FlushDecompress};

use crate::deflate::Compressor;
use crate::entry::Packed;
use crate::error::{Corruption, Inner};
use crate::image::Qcow2;
use crate::layout::Run;
use crate::num::index;

/// The compressor and the decompressor with their buffers, made when first needed.
#[derive(Default)]
pub(crate) struct Codec {
    compressor: Option<Compressor>,
    decompress: Option<Decompress>,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Codec {
    /// Compresses `data`, filled up with zeroes to a cluster of `cluster` bytes, into the packed
    /// buffer. Returns how many bytes it takes, or `None` if that does not save anything.
    fn pack(&mut self, data: &[u8], cluster: usize) -> Option<u64> {
        let data = if data.len() == cluster {
            data
        } else {
            self.plain.clear();
            self.plain.extend_from_slice(data);
            self.plain.resize(cluster, 0);
            &self.plain
        };
        let compressor = self.compressor.get_or_insert_with(Compressor::new);
        compressor
            .compress(data, &mut self.packed, cluster - 1)
            .then_some(self.packed.len() as u64)
    }

    /// Decompresses the packed buffer to a whole cluster of `cluster` bytes.
    fn unpack(&mut self, cluster: usize) -> bool {
        let fresh = || Decompress::new(false);
        let decompress = self.decompress.get_or_insert_with(fresh);
        decompress.reset(false);
        self.plain.resize(cluster, 0);
        let done = decompress.decompress(&self.packed, &mut self.plain, FlushDecompress::Finish);
        done.is_ok() && decompress.total_out() == cluster as u64
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").finish_non_exhaustive()
    }
}

impl<D: BlockDevice> Qcow2<D> {
    /// Writes whole clusters compressed, each for itself; the last one may be cut short by the end
    /// of the image. Anything else is refused with `EINVAL`.
    ///
    /// What does not get smaller is stored as it is. A cluster that was written before is replaced.
    pub(crate) fn try_write_compressed(&mut self, position: u64, data: &[u8]) -> Inner<()> {
        let range = self.check_change(position, data.len() as u64)?;
        let whole = self.layout.aligned(range.end()) || range.end() == self.header.size;
        if !self.layout.aligned(position) || range.is_empty() || !whole {
            return Err(Errno::EINVAL.into());
        }
        self.begin_change()?;
        let mut codec = self.codec.take().unwrap_or_default();
        let mut at = position;
        let mut result = Ok(());
        let len = index(self.layout.cluster());
        for cluster in data.chunks(len) {
            result = match codec.pack(cluster, len) {
                Some(len) => self.write_packed(at, &mut codec.packed, len),
                None => self.write(at, Load::Bytes(cluster)),
            };
            if result.is_err() {
                break;
            }
            at += cluster.len() as u64;
        }
        self.codec = Some(codec);
        result
    }

    fn write_packed(&mut self, position: u64, buffer: &mut Vec<u8>, len: u64) -> Inner<()> {
        self.slice_mut(position)?;
        let packed = self.alloc_packed(len)?;
        // The sector is filled up: nothing lies behind the youngest data.
        let end = (packed.offset + len).next_multiple_of(512) - packed.offset;
        buffer.resize(index(end), 0);
        let done = self
            .prepare_replace(position, 1)
            .and_then(|()| self.put_packed(packed, buffer));
        if let Err(trouble) = done {
            let run = Run {
                first: packed.offset >> self.layout.cluster_bits,
                count: 1,
            };
            self.refcounts.unshare(&mut self.file, run);
            return Err(trouble);
        }
        let next = packed.offset + len;
        *self.refcounts.compressed_tail() = if self.layout.aligned(next) { 0 } else { next };
        self.link(position, packed.entry(self.layout), 1)
    }

    fn put_packed(&mut self, packed: Packed, bytes: &[u8]) -> Inner<()> {
        self.file.event(Event::L2UpdateCompressed)?;
        self.file.event(Event::WriteCompressed)?;
        self.file.write(packed.offset, bytes)?;
        Ok(())
    }

    /// Takes room for `len` bytes: behind the last compressed data, or in a new cluster.
    fn alloc_packed(&mut self, len: u64) -> Inner<Packed> {
        self.file.event(Event::ClusterAllocBytes)?;
        let tail = *self.refcounts.compressed_tail();
        let fits = tail != 0 && self.layout.within(tail) + len <= self.layout.cluster();
        let host = tail >> self.layout.cluster_bits;
        let offset = if fits && self.refcounts.share(&mut self.file, host, 1)? {
            tail
        } else {
            let run = self.refcounts.alloc(&mut self.file, 1)?;
            self.layout.bytes(run).start
        };
        Ok(Packed { offset, len })
    }

    /// Reads a part of a compressed cluster.
    pub(crate) fn read_packed(
        &mut self,
        packed: Packed,
        within: u64,
        part: &mut [u8],
    ) -> Inner<()> {
        let mut codec = self.codec.take().unwrap_or_default();
        codec.packed.resize(index(packed.len), 0);
        let read = self.file.read(packed.offset, &mut codec.packed);
        let whole = read.is_ok() && codec.unpack(index(self.layout.cluster()));
        if whole {
            let start = index(within);
            part.copy_from_slice(&codec.plain[start..start + part.len()]);
        }
        self.codec = Some(codec);
        read?;
        if !whole {
            let offset = packed.offset;
            return Err(Corruption::CompressedData { offset }.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Codec;

    #[test]
    fn what_is_short_is_filled_up_with_zeroes() {
        let mut codec = Codec::default();
        for len in [512, 4096, 512] {
            let data = vec![0x5a; len];
            let packed = codec.pack(&data, 4096);
            assert_eq!(packed, Some(codec.packed.len() as u64));
            assert!(codec.unpack(4096));
            assert_eq!(codec.plain[..len], data);
            assert!(codec.plain[len..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn what_is_no_cluster_is_told() {
        let packed = vec![0xee; 100];
        let mut codec = Codec {
            packed,
            ..Codec::default()
        };
        assert!(!codec.unpack(4096));
        assert!(codec.pack(&[1; 4096], 4096).is_some());
        assert!(!codec.unpack(8192));
        assert!(codec.unpack(4096));
    }
}
