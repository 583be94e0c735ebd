//! What a guest sees through a chain of images, by where it lies in them.

mod piece;

mod visit;

use core::fmt;

use blkproof_device::{StatusKind, Store, Visible};
use blkproof_spec::{ByteRange, ImageName, Length, Offset};
use flate2::{Decompress, FlushDecompress};

use super::parse::Parsed;
use super::table::{Budget, Entries, entries};
use super::uses::compressed_bytes;
use super::{InspectError, Problem, Use};
use crate::chain::{self, ChainError, Opened};
use crate::header::BackingName;
use crate::num::index;
use piece::TablePiece;

/// The L2 entry of a zero cluster.
const ZERO: u64 = 1;
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const L1_BUDGET: u64 = 64 << 20;

/// Bytes that lie together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Where the guest sees them.
    pub range: ByteRange,
    /// What they are.
    pub found: Found,
}

/// What bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Found {
    /// Zeroes, whether they are written down or just missing.
    Zero,
    /// Bytes of a layer's file.
    Data {
        /// The index of the layer; 0 is the image itself, 1 its backing file.
        layer: usize,
        /// The position in the layer's file.
        offset: Offset,
    },
    /// A compressed cluster, or a part of it.
    Compressed {
        /// The index of the layer.
        layer: usize,
        /// The L2 entry.
        entry: u64,
    },
}

/// One image of a chain.
pub struct Layer {
    device: Box<dyn Visible>,
    size: u64,
    /// `None` for a raw image.
    tables: Option<Box<Tables>>,
}

struct Tables {
    parsed: Parsed,
    /// The L1 entries that are not zero, without their flags.
    l1: Vec<Entries>,
    piece: TablePiece,
    /// The table that many L1 entries in a row point to which was looked at last, and whether it
    /// has nothing but zero clusters.
    shared_table: (u64, bool),
}

impl Layer {
    /// Takes a device as a raw image.
    #[must_use]
    pub fn raw(device: Box<dyn Visible>) -> Self {
        Self {
            size: device.size().0,
            device,
            tables: None,
        }
    }

    /// Takes a device as a qcow2 image.
    ///
    /// # Errors
    ///
    /// If the device fails or holds no image that can be read.
    pub fn qcow2(mut device: Box<dyn Visible>) -> Result<Self, InspectError> {
        let parsed = Parsed::read(&mut *device)?;
        let mut l1 = Vec::new();
        let mut budget = Budget(L1_BUDGET);
        entries(&mut *device, parsed.l1, &mut budget, |entries| {
            let value = entries.value & OFFSET;
            if value != 0 {
                l1.push(Entries { value, ..entries });
            }
            Ok(())
        })?;
        Ok(Self {
            device,
            size: parsed.size,
            tables: Some(Box::new(Tables {
                piece: TablePiece::new(1 << parsed.cluster_bits),
                parsed,
                l1,
                shared_table: (0, false),
            })),
        })
    }

    /// Returns the size that a guest sees.
    #[must_use]
    pub fn size(&self) -> Length {
        Length(self.size)
    }

    /// Returns the device that holds the image, from which [`Found::Data`] is read.
    pub fn device_mut(&mut self) -> &mut dyn Visible {
        &mut *self.device
    }

    /// Returns what the image says about its backing file.
    #[must_use]
    pub fn backing(&self) -> Option<&BackingName> {
        self.tables
            .as_ref()
            .and_then(|tables| tables.parsed.backing.as_ref())
    }

    /// Tells whether the start of `range`, which lies within the image, is allocated in this layer
    /// alone, as data or as zeroes, and up to where that is so at least.
    ///
    /// # Errors
    ///
    /// If the device fails, or a table cannot be read as one.
    pub fn allocation(&mut self, range: ByteRange) -> Result<(bool, ByteRange), InspectError> {
        let (at, end) = (range.start, range.end());
        let (is_allocated, to) = match &mut self.tables {
            Some(tables) => {
                let (found, to) = tables.look(&mut *self.device, 0, at, end)?;
                (found.is_some(), to)
            }
            None => {
                let status = self.device.block_status(range)?;
                let to = at + status.len.0.max(1).min(range.len);
                (status.kind != StatusKind::Hole, to)
            }
        };
        Ok((is_allocated, ByteRange::between(at, to)))
    }

    /// Tells what `at` is in this layer alone, `None` for what it does not have, and up to where.
    fn look(
        &mut self,
        layer: usize,
        at: u64,
        end: u64,
    ) -> Result<(Option<Found>, u64), InspectError> {
        match &mut self.tables {
            Some(tables) => tables.look(&mut *self.device, layer, at, end),
            None => {
                let status = self.device.block_status(ByteRange::between(at, end))?;
                let end = at + status.len.0.max(1).min(end - at);
                let found = match status.kind {
                    StatusKind::Data => Found::Data {
                        layer,
                        offset: Offset(at),
                    },
                    StatusKind::Zero | StatusKind::Hole => Found::Zero,
                };
                Ok((Some(found), end))
            }
        }
    }
}

impl Tables {
    fn look(
        &mut self,
        device: &mut dyn Visible,
        layer: usize,
        at: u64,
        end: u64,
    ) -> Result<(Option<Found>, u64), InspectError> {
        let bits = self.parsed.cluster_bits;
        let table_bits = 2 * bits - 3;
        let number = at >> table_bits;
        let place = self
            .l1
            .partition_point(|entries| entries.first + entries.count <= number);
        let (table, same_end) = match self.l1.get(place) {
            Some(&Entries { first, .. }) if first > number => {
                return Ok((None, end.min(first << table_bits)));
            }
            Some(entries) => (entries.value, entries.first + entries.count),
            None => return Ok((None, end)),
        };
        if table & ((1 << bits) - 1) != 0 {
            let what = Use::L2;
            return Err(problem(Problem::Misaligned {
                what,
                offset: table,
            }));
        }
        if same_end > number + 1 && self.is_zero_table(device, table)? {
            return Ok((Some(Found::Zero), end.min(same_end << table_bits)));
        }
        let entry_at = table + ((at >> bits) & ((1 << (bits - 3)) - 1)) * 8;
        let place = self.piece.seek(device, entry_at)?;
        self.run(layer, place, at, end)
    }

    fn is_zero_table(
        &mut self,
        device: &mut dyn Visible,
        table: u64,
    ) -> Result<bool, InspectError> {
        if self.shared_table.0 != table {
            self.shared_table = (0, false);
            let is_zero = self.parsed.version >= 3 && self.has_only_zeroes(device, table)?;
            self.shared_table = (table, is_zero);
        }
        Ok(self.shared_table.1)
    }

    fn has_only_zeroes(
        &mut self,
        device: &mut dyn Visible,
        table: u64,
    ) -> Result<bool, InspectError> {
        let (cluster, count) = (1 << self.parsed.cluster_bits, self.piece.entries());
        for at in (0..cluster).step_by(count * 8) {
            self.piece.seek(device, table + at)?;
            if self.piece.entry(0) != ZERO || self.piece.alike_from(0) < count {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes through the entries of the piece at hand from `place` on, as long as they go on alike.
    fn run(
        &self,
        layer: usize,
        mut place: usize,
        at: u64,
        end: u64,
    ) -> Result<(Option<Found>, u64), InspectError> {
        let cluster = 1 << self.parsed.cluster_bits;
        let within = at % cluster;
        let first = self.found(layer, self.piece.entry(place), within)?;
        let mut to = at - within + cluster;
        if matches!(first, None | Some(Found::Zero)) {
            let more = self.piece.alike_from(place) - 1;
            place += more;
            to += more as u64 * cluster;
        }
        while to < end && !matches!(first, Some(Found::Compressed { .. })) {
            place += 1;
            if place >= self.piece.entries() {
                break;
            }
            let next = self.found(layer, self.piece.entry(place), 0)?;
            if !goes_on(first, next, to - at) {
                break;
            }
            to += cluster;
        }
        Ok((first, to.min(end)))
    }

    fn found(&self, layer: usize, entry: u64, within: u64) -> Result<Option<Found>, InspectError> {
        if entry & COMPRESSED != 0 {
            return Ok(Some(Found::Compressed { layer, entry }));
        }
        if entry & 1 != 0 && self.parsed.version >= 3 {
            return Ok(Some(Found::Zero));
        }
        let offset = entry & OFFSET;
        if offset == 0 {
            return Ok(None);
        }
        if offset & ((1 << self.parsed.cluster_bits) - 1) != 0 {
            let what = Use::Data;
            return Err(problem(Problem::Misaligned { what, offset }));
        }
        let offset = Offset(offset + within);
        Ok(Some(Found::Data { layer, offset }))
    }
}

fn problem(problem: Problem) -> InspectError {
    InspectError::Problem(problem)
}

/// Tells whether `next`, `distance` bytes behind `first`, is more of the same.
fn goes_on(first: Option<Found>, next: Option<Found>, distance: u64) -> bool {
    match (first, next) {
        (None, None) | (Some(Found::Zero), Some(Found::Zero)) => true,
        (
            Some(Found::Data { layer, offset }),
            Some(Found::Data {
                layer: other,
                offset: behind,
            }),
        ) => layer == other && offset.0 + distance == behind.0,
        _ => false,
    }
}

/// A chain of images, read as a guest sees it, without the driver.
///
/// Tables are read as they were when the chain was opened: after a change it is opened anew.
pub struct Contents {
    layers: Vec<Layer>,
    /// Made when first needed.
    inflate: Option<Decompress>,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Contents {
    /// Takes an image and its backing files, each before its own backing file.
    #[must_use]
    pub fn new(layers: Vec<Layer>) -> Self {
        Self {
            layers,
            inflate: None,
            plain: Vec::new(),
            packed: Vec::new(),
        }
    }

    /// Opens the image `name` of a store with its backing files, `limit` images at most.
    ///
    /// # Errors
    ///
    /// If an image is missing or cannot be read, or the chain is a loop or too long.
    pub fn open(
        store: &mut dyn Store,
        name: &ImageName,
        limit: usize,
    ) -> Result<Self, ChainError<InspectError>> {
        let layers = chain::walk(store, name, limit, |device, is_qcow2| {
            let device: Box<dyn Visible> = Box::new(device);
            let layer = if is_qcow2 {
                Layer::qcow2(device)?
            } else {
                Layer::raw(device)
            };
            let backing = layer.backing().cloned();
            Ok(Opened {
                image: layer,
                backing,
            })
        })?;
        Ok(Self::new(layers))
    }

    /// Returns the size that a guest sees.
    #[must_use]
    pub fn size(&self) -> Length {
        self.layers.first().map_or(Length(0), Layer::size)
    }

    /// Returns the images, the one that was opened first.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Returns the images for change, the one that was opened first.
    pub fn layers_mut(&mut self) -> &mut [Layer] {
        &mut self.layers
    }

    /// Tells what the start of `range` is, as far as it is all alike and, if data, lies together.
    ///
    /// An empty range, or one that starts behind the end of the image, is zeroes.
    ///
    /// # Errors
    ///
    /// If a device fails, or a table cannot be read as one.
    pub fn extent(&mut self, range: ByteRange) -> Result<Extent, InspectError> {
        let (first, mut at) = self.resolve(range.start, range.end())?;
        while at < range.end() && !matches!(first, Found::Compressed { .. }) {
            let (next, end) = self.resolve(at, range.end())?;
            if !goes_on(Some(first), Some(next), at - range.start) {
                break;
            }
            at = end;
        }
        Ok(Extent {
            range: ByteRange::between(range.start, at),
            found: first,
        })
    }

    fn resolve(&mut self, at: u64, mut end: u64) -> Result<(Found, u64), InspectError> {
        for (number, layer) in self.layers.iter_mut().enumerate() {
            if at >= layer.size || at >= end {
                break;
            }
            let (found, to) = layer.look(number, at, end.min(layer.size))?;
            match found {
                Some(found) => return Ok((found, to)),
                None => end = to,
            }
        }
        Ok((Found::Zero, end))
    }

    /// Reads `buf.len()` bytes at `offset`; behind the end of the image there are zeroes.
    ///
    /// # Errors
    ///
    /// If a device fails, or a table or compressed data cannot be read as such.
    pub fn read(&mut self, offset: Offset, buf: &mut [u8]) -> Result<(), InspectError> {
        let end = offset.0.saturating_add(buf.len() as u64);
        let mut at = offset.0;
        while at < end {
            let extent = self.extent(ByteRange::between(at, end))?;
            let start = index(at - offset.0);
            let part = &mut buf[start..start + index(extent.range.len)];
            match extent.found {
                Found::Zero => part.fill(0),
                Found::Data { layer, offset } => {
                    self.layers[layer].device.read_at(offset, part)?;
                }
                Found::Compressed { layer, entry } => {
                    part.copy_from_slice(self.unpack(layer, entry, at, extent.range.len)?);
                }
            }
            at += extent.range.len;
        }
        Ok(())
    }

    /// Unpacks a compressed cluster, and returns `len` bytes of it from `at` on.
    fn unpack(
        &mut self,
        layer: usize,
        entry: u64,
        at: u64,
        len: u64,
    ) -> Result<&[u8], InspectError> {
        let layer = &mut self.layers[layer];
        let bits = match &layer.tables {
            Some(tables) => tables.parsed.cluster_bits,
            None => return Ok(&[]),
        };
        let (offset, packed) = compressed_bytes(entry, bits);
        self.packed.resize(index(packed), 0);
        self.plain.resize(1 << bits, 0);
        layer.device.read_at(Offset(offset), &mut self.packed)?;
        let fresh = || Decompress::new(false);
        let inflate = self.inflate.get_or_insert_with(fresh);
        inflate.reset(false);
        let done = inflate.decompress(&self.packed, &mut self.plain, FlushDecompress::Finish);
        if done.is_err() || inflate.total_out() != 1 << bits {
            let what = Use::Compressed;
            return Err(problem(Problem::Unreadable { what, offset }));
        }
        let start = index(at & ((1 << bits) - 1));
        Ok(&self.plain[start..start + index(len)])
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("device", &self.device)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents")
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}
