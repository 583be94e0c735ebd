//! Compressed clusters: raw deflate with a window of 4 KiB, several to a host cluster.
//!
//! The host cluster's refcount counts the compressed clusters that have bytes in it.

use core::fmt;

use blkproof_device::{BlockDevice, Load};
use blkproof_spec::Errno;
use blkproof_spec::fault::Event;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::entry::Packed;
use crate::error::{Corruption, Inner};
use crate::image::Qcow2;
use crate::layout::Run;
use crate::num::index;

/// QEMU inflates with a window of this size (as a power of two).
const WINDOW_BITS: u8 = 12;

/// How much room there is for packed data at first. Most of what tests write packs into less, while
/// the largest clusters have 2 MiB.
const FIRST_ROOM: usize = 16 << 10;

/// The compressor and the decompressor with their buffers, made when first needed.
pub(crate) struct Codec {
    /// Each is made when it is first needed: few images need both, and zlib zeroes 200 KiB for it.
    compress: Option<Compress>,
    decompress: Option<Decompress>,
    /// The cluster that was packed or unpacked last, once there was one.
    plain: Vec<u8>,
    /// As much as was ever packed: that may be two clusters, and is little as a rule.
    packed: Vec<u8>,
    /// How many bytes the cluster in the plain buffer takes in the packed one, if it was packed
    /// last (`None` where that saves nothing). Zeroes and fills come again and again.
    last: Option<Option<u64>>,
}

impl Codec {
    fn new() -> Self {
        Self {
            compress: None,
            decompress: None,
            plain: Vec::new(),
            packed: Vec::new(),
            last: None,
        }
    }

    /// Compresses `data`, filled up with zeroes to a cluster, into the packed buffer. Returns how
    /// many bytes it takes, or `None` if that does not save anything.
    fn pack(&mut self, data: &[u8], cluster: usize) -> Option<u64> {
        if let Some(len) = self.last.filter(|_| self.plain == data) {
            return len;
        }
        self.plain.clear();
        self.plain.extend_from_slice(data);
        self.plain.resize(cluster, 0);
        let len = self.pack_plain();
        self.last = Some(len);
        len
    }

    fn pack_plain(&mut self) -> Option<u64> {
        let fresh = || Compress::new_with_window_bits(Compression::default(), false, WINDOW_BITS);
        let compress = self.compress.get_or_insert_with(fresh);
        compress.reset();
        let room_max = self.plain.len() - 1;
        loop {
            let (read, written) = (compress.total_in(), compress.total_out());
            if self.packed.len() == index(written) {
                let more = self.packed.len().max(FIRST_ROOM);
                self.packed.resize(self.packed.len() + more, 0);
            }
            let room = self.packed.len().min(room_max);
            let out = &mut self.packed[index(written)..room];
            let plain = &self.plain[index(read)..];
            match compress.compress(plain, out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => break Some(compress.total_out()),
                // It wants more room than there was, and may have it.
                Ok(_) if room < room_max && index(compress.total_out()) == room => {}
                _ => break None,
            }
        }
    }

    /// Returns so much of the packed buffer, for reading what is to be unpacked.
    fn packed(&mut self, len: usize) -> &mut [u8] {
        self.last = None;
        if self.packed.len() < len {
            self.packed.resize(len, 0);
        }
        &mut self.packed[..len]
    }

    /// Decompresses the first `len` bytes of the packed buffer to a whole cluster.
    fn unpack(&mut self, len: usize, cluster: usize) -> bool {
        self.plain.resize(cluster, 0);
        let decompress = self
            .decompress
            .get_or_insert_with(|| Decompress::new(false));
        decompress.reset(false);
        let packed = &self.packed[..len];
        let status = decompress.decompress(packed, &mut self.plain, FlushDecompress::Finish);
        status.is_ok() && decompress.total_out() == self.plain.len() as u64
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
        let mut codec = self.take_codec();
        let mut at = position;
        let mut result = Ok(());
        let cluster_bytes = index(self.layout.cluster());
        for cluster in data.chunks(cluster_bytes) {
            result = match codec.pack(cluster, cluster_bytes) {
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

    fn take_codec(&mut self) -> Box<Codec> {
        self.codec.take().unwrap_or_else(|| Box::new(Codec::new()))
    }

    fn write_packed(&mut self, position: u64, buffer: &mut Vec<u8>, len: u64) -> Inner<()> {
        self.slice_mut(position)?;
        let packed = self.alloc_packed(len)?;
        // The sector is filled up: nothing lies behind the youngest data.
        let end = (packed.offset + len).next_multiple_of(512) - packed.offset;
        buffer.resize(buffer.len().max(index(end)), 0);
        buffer[index(len)..index(end)].fill(0);
        let done = self
            .prepare_replace(position, 1)
            .and_then(|()| self.put_packed(packed, &buffer[..index(end)]));
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
        let mut codec = self.take_codec();
        let read = self
            .file
            .read(packed.offset, codec.packed(index(packed.len)));
        let cluster = index(self.layout.cluster());
        let whole = read.is_ok() && codec.unpack(index(packed.len), cluster);
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

    /// Inflates what was packed last, and tells what it was.
    fn packed(codec: &Codec, len: Option<u64>) -> Vec<u8> {
        let len = usize::try_from(len.expect("it gets smaller")).expect("it fits");
        let mut other = Codec::new();
        other.packed(len).copy_from_slice(&codec.packed[..len]);
        assert!(other.unpack(len, codec.plain.len()));
        other.plain
    }

    #[test]
    fn what_was_packed_before_is_packed_alike() {
        let mut codec = Codec::new();
        let (ones, mut twos) = ([1; 4096], [2; 4096]);
        twos[4095] = 3;
        for data in [&ones, &ones, &twos, &twos, &ones] {
            let len = codec.pack(data, 4096);
            assert_eq!(packed(&codec, len), data);
        }
        let len = codec.pack(&ones[..512], 4096);
        assert_eq!(packed(&codec, len)[512..], [0; 3584]);
        let len = codec.pack(&ones, 4096);
        assert_eq!(packed(&codec, len), ones);
    }

    #[test]
    fn room_grows_up_to_a_cluster_and_no_further() {
        let mut codec = Codec::new();
        let mut noise: Vec<u8> = Vec::new();
        let mut state = 1_u32;
        for _ in 0..1 << 20 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.push(state.to_be_bytes()[0]);
        }
        assert_eq!(codec.pack(&noise, noise.len()), None, "noise gets larger");
        noise[..1 << 18].fill(0);
        let len = codec.pack(&noise, noise.len());
        assert!(
            len.is_some_and(|len| len > 700_000 && len < 1 << 20),
            "{len:?}"
        );
        assert_eq!(packed(&codec, len), noise);
    }

    #[test]
    fn what_is_read_between_is_not_taken_for_what_was_packed() {
        let mut codec = Codec::new();
        codec.pack(&[1; 4096], 4096);
        codec.packed(100).fill(0xee);
        assert!(!codec.unpack(100, 4096));
        let len = codec.pack(&[1; 4096], 4096);
        assert_eq!(packed(&codec, len), [1; 4096]);
    }
}
