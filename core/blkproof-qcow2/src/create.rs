//! Making a new image.
//!
//! Header, refcount table, refcount blocks and L1 table lie one behind the other. The L1 table is
//! all zero and is not written, so an image of 16 TiB costs what one of 64 MiB costs.

use blkproof_device::{BlockDevice, Durability};
use blkproof_spec::{Length, Offset};

use crate::error::Qcow2Error;
use crate::header::{BackingName, Header, MAX_L1_BYTES, MAX_SIZE};
use crate::layout::{Layout, MAX_CLUSTER_BITS, MIN_CLUSTER_BITS};
use crate::num::{index, put64};

/// What a new image is to be: version 3, refcounts of 16 bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateOptions {
    /// The size that the guest sees, a multiple of 512.
    pub size: Length,
    /// The cluster size, a power of two from 512 to 2 MiB.
    pub cluster: Length,
    /// The backing file that the header names. It is not opened.
    pub backing: Option<BackingName>,
}

impl CreateOptions {
    /// Returns the options that `qemu-img create` takes by default: clusters of 64 KiB, no backing.
    #[must_use]
    pub fn new(size: Length) -> Self {
        Self {
            size,
            cluster: Length(64 << 10),
            backing: None,
        }
    }
}

const REFCOUNT_ORDER: u32 = 4;
const ENTRY: u64 = 8;
/// Bytes of a refcount.
const WIDTH: u64 = 2;

/// Writes an empty image over whatever `device` holds.
///
/// The header comes last, behind a flush of all that it leads to: a device that fails or loses its
/// power on the way holds no image. What is reported as done is durable.
///
/// # Errors
///
/// If the options cannot be expressed in the format (nothing is written then), or the device fails.
pub fn create<D: BlockDevice + ?Sized>(
    device: &mut D,
    options: &CreateOptions,
) -> Result<(), Qcow2Error> {
    let plan = Plan::new(options)?;
    let header = plan.header.to_bytes()?;
    if device.size().0 != 0 {
        device.set_size(Length(0))?;
    }
    device.set_size(Length(plan.clusters << plan.header.layout.cluster_bits))?;
    plan.write_refcounts(device)?;
    device.flush()?;
    device.write_at(Offset(0), &header, Durability::Later)?;
    device.flush()?;
    Ok(())
}

/// Where everything goes.
struct Plan {
    header: Header,
    refblocks: u64,
    clusters: u64,
}

impl Plan {
    fn new(options: &CreateOptions) -> Result<Self, Qcow2Error> {
        let layout = Layout {
            version: 3,
            cluster_bits: cluster_bits(options.cluster)?,
            refcount_order: REFCOUNT_ORDER,
        };
        let size = options.size.0;
        if !size.is_multiple_of(512) || size > MAX_SIZE {
            return Err(option("size", size, "a multiple of 512 below 2^63"));
        }
        let l1_entries = layout.l1_entries(size);
        if l1_entries * ENTRY > MAX_L1_BYTES {
            let expected = "a size that 4194304 L1 entries map; larger clusters allow more";
            return Err(option("size", size, expected));
        }
        let l1_clusters = layout.clusters(l1_entries * ENTRY);
        let (table, refblocks) = refcount_clusters(layout, 1 + l1_clusters);
        let l1_offset = (1 + table + refblocks) << layout.cluster_bits;
        let header = Header {
            layout,
            size,
            l1_entries,
            l1_offset: if l1_entries == 0 { 0 } else { l1_offset },
            reftable_offset: layout.cluster(),
            reftable_clusters: table,
            snapshots: 0,
            snapshots_offset: 0,
            compatible: 0,
            autoclear: 0,
            rest: Header::new_rest(),
            backing: options.backing.clone(),
            backing_offset: 0,
            bitmaps: None,
            extensions: Vec::new(),
        };
        Ok(Self {
            header,
            refblocks,
            clusters: 1 + table + refblocks + l1_clusters,
        })
    }

    /// Counts every cluster once.
    ///
    /// Refcount blocks lie one behind the other, so that the counts of a larger image are one
    /// write.
    fn write_refcounts<D: BlockDevice + ?Sized>(&self, device: &mut D) -> Result<(), Qcow2Error> {
        let layout = self.header.layout;
        let table = self.header.reftable_offset;
        let blocks = table + (self.header.reftable_clusters << layout.cluster_bits);
        let mut small = [0; 64];
        let longest = index((self.clusters * WIDTH).max(self.refblocks * ENTRY));
        let mut large = vec![0; if longest > small.len() { longest } else { 0 }];
        let buffer = if large.is_empty() {
            &mut small[..]
        } else {
            &mut large
        };
        let counts = &mut buffer[..index(self.clusters * WIDTH)];
        counts.chunks_exact_mut(2).for_each(|count| count[1] = 1);
        device.write_at(Offset(blocks), counts, Durability::Later)?;
        let entries = &mut buffer[..index(self.refblocks * ENTRY)];
        for block in 0..self.refblocks {
            let at = index(block * ENTRY);
            put64(entries, at, blocks + (block << layout.cluster_bits));
        }
        device.write_at(Offset(table), entries, Durability::Later)?;
        Ok(())
    }
}

fn option(option: &'static str, value: u64, expected: &'static str) -> Qcow2Error {
    Qcow2Error::Option {
        option,
        value,
        expected,
    }
}

fn cluster_bits(cluster: Length) -> Result<u32, Qcow2Error> {
    let bits = cluster.0.trailing_zeros();
    if !cluster.0.is_power_of_two() || !(MIN_CLUSTER_BITS..=MAX_CLUSTER_BITS).contains(&bits) {
        let expected = "a power of two from 512 to 2097152";
        return Err(option("cluster size", cluster.0, expected));
    }
    Ok(bits)
}

/// Returns how many clusters the refcount table and the refcount blocks take that count themselves
/// and `others`.
fn refcount_clusters(layout: Layout, others: u64) -> (u64, u64) {
    let (mut table, mut blocks) = (1, 1);
    loop {
        let clusters = others + table + blocks;
        let blocks_needed = clusters.div_ceil(1 << layout.refblock_bits());
        let table_needed = layout.clusters(blocks_needed * ENTRY);
        if (table_needed, blocks_needed) == (table, blocks) {
            return (table, blocks);
        }
        (table, blocks) = (table_needed, blocks_needed);
    }
}
