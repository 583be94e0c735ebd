//! The log of what was recorded of a store.

use core::fmt;

use blkproof_spec::{ByteRange, Errno, ImageName, Length, Offset};

use super::Writer;
use crate::block_device::{BlockDevice, Durability, IoError, IoResult, StatusKind};
use crate::fault_store::MemStore;
use crate::record::{Operation, Recorded};
use crate::store::StoreError;
use crate::visible::Visible;

/// How much of what was there before is written as one entry.
const CHUNK: u64 = 1 << 20;

/// Why a record could not be exported.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ExportError {
    /// The record is not one of this store.
    Store(StoreError),
    /// The log cannot be written.
    Log(IoError),
}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<IoError> for ExportError {
    fn from(error: IoError) -> Self {
        Self::Log(error)
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the record cannot be carried out: {error}"),
            Self::Log(error) => write!(f, "the log cannot be written: {error}"),
        }
    }
}

impl core::error::Error for ExportError {}

/// Exports what was recorded of one image of a store: first what it held before, durably, then each
/// operation. `store` is as the recorded one was at the beginning, and changes as that did.
///
/// What changes parts of sectors is exported with what stands beside it in them. An image that is
/// made or deleted gets another size, durably.
///
/// # Errors
///
/// If the record is not of this store, or the log cannot be written.
pub fn export<D: BlockDevice>(
    store: &MemStore,
    image: &ImageName,
    record: &[Recorded],
    log: &mut Writer<D>,
) -> Result<(), ExportError> {
    if let Ok(mut device) = store.plain(image) {
        begin(&mut *device, log)?;
    }
    for recorded in record {
        if let Operation::PowerCut(..) = recorded.what {
            lose(store, image, recorded, log)?;
            continue;
        }
        if recorded.image == *image {
            add(store, recorded, log)?;
        }
        store.redo(recorded, true)?;
    }
    Ok(())
}

/// Exports what a device holds.
fn begin<D: BlockDevice>(device: &mut dyn Visible, log: &mut Writer<D>) -> IoResult<()> {
    let (size, sector) = (device.size(), log.sector().0);
    log.resize(size)?;
    let mut at = 0;
    while at < size.0 {
        let status = device.block_status(ByteRange::between(at, size.0))?;
        let whole = status.len.0 - status.len.0 % sector;
        let is_hole = status.kind != StatusKind::Data;
        if is_hole && at + status.len.0 == size.0 {
            break;
        }
        if is_hole && whole > 0 {
            at += whole;
            continue;
        }
        let len = whole.clamp(sector, CHUNK.max(sector));
        write(device, log, ByteRange::new(at, len), Durability::Later)?;
        at += len;
    }
    log.flush()
}

/// Exports what a device holds in `range` as having been written.
fn write<D: BlockDevice>(
    device: &mut dyn Visible,
    log: &mut Writer<D>,
    range: ByteRange,
    durability: Durability,
) -> IoResult<()> {
    let mut data = buffer(range.len)?;
    device.read_at(Offset(range.start), &mut data)?;
    log.write(range.start, &data, durability)
}

fn buffer(len: u64) -> IoResult<Vec<u8>> {
    let len = usize::try_from(len).map_err(|_| Errno::EFBIG)?;
    Ok(vec![0; len])
}

/// Exports one operation, which is still to be done in the store.
fn add<D: BlockDevice>(
    store: &MemStore,
    recorded: &Recorded,
    log: &mut Writer<D>,
) -> Result<(), ExportError> {
    let image = &recorded.image;
    match &recorded.what {
        Operation::Write { start, data, fua } => {
            let durability = if *fua {
                Durability::Now
            } else {
                Durability::Later
            };
            let range = ByteRange::new(*start, data.len() as u64);
            let outer = range.outward(log.sector().0);
            if outer == range {
                log.write(*start, data, durability)?;
            } else {
                over(store, image, range, log, durability, |part| {
                    part.copy_from_slice(data)
                })?;
            }
        }
        Operation::WriteZeroes { range, .. } => zero(store, image, *range, false, log)?,
        Operation::Discard(range) => zero(store, image, *range, true, log)?,
        Operation::Flush if recorded.struck => {}
        Operation::Flush => log.flush()?,
        Operation::Resize(size) => log.resize(*size)?,
        Operation::Create(size) => {
            log.resize(Length(0))?;
            log.resize(*size)?;
            log.flush()?;
        }
        Operation::Remove => {
            log.resize(Length(0))?;
            log.flush()?;
        }
        Operation::PowerCut(..) => {}
    }
    Ok(())
}

/// Exports a loss of power, and has it happen: what is left where something was pending is written,
/// durably.
fn lose<D: BlockDevice>(
    store: &MemStore,
    image: &ImageName,
    recorded: &Recorded,
    log: &mut Writer<D>,
) -> Result<(), ExportError> {
    let doubtful = store.undurable(image);
    store.redo(recorded, true)?;
    let Ok(mut device) = store.plain(image) else {
        return Ok(());
    };
    let (size, sector) = (device.size(), log.sector().0);
    let held = ByteRange::new(0, size.0.next_multiple_of(sector));
    for range in doubtful {
        let range = range.outward(sector).intersect(held);
        let mut at = range.start;
        while at < range.end() {
            let piece = ByteRange::new(at, (range.end() - at).min(CHUNK.max(sector)));
            write(&mut *device, log, piece, Durability::Later)?;
            at = piece.end();
        }
    }
    log.resize(size)?;
    log.flush()?;
    Ok(())
}

/// Exports that `range` was zeroed: its whole sectors as such, and those that it touches with what
/// stands beside it.
fn zero<D: BlockDevice>(
    store: &MemStore,
    image: &ImageName,
    range: ByteRange,
    discards: bool,
    log: &mut Writer<D>,
) -> Result<(), ExportError> {
    let sector = log.sector().0;
    let inner = range.inward(sector);
    let mut edges = Vec::new();
    if inner.is_empty() {
        edges.push(range);
    } else {
        edges.push(ByteRange::between(range.start, inner.start));
        edges.push(ByteRange::between(inner.end(), range.end()));
        if discards {
            log.discard(inner)?;
        } else {
            log.write_zeroes(inner)?;
        }
    }
    for edge in edges.into_iter().filter(|edge| !edge.is_empty()) {
        over(store, image, edge, log, Durability::Later, |part| {
            part.fill(0)
        })?;
    }
    Ok(())
}

/// Exports that `range` was written, which `change` does to what stands there, with what stands
/// beside it in its first and last sector.
fn over<D: BlockDevice>(
    store: &MemStore,
    image: &ImageName,
    range: ByteRange,
    log: &mut Writer<D>,
    durability: Durability,
    change: impl FnOnce(&mut [u8]),
) -> Result<(), ExportError> {
    let outer = range.outward(log.sector().0);
    let mut whole = buffer(outer.len)?;
    store
        .plain(image)?
        .read_at(Offset(outer.start), &mut whole)?;
    let within = |position: u64| usize::try_from(position - outer.start).map_err(|_| Errno::EFBIG);
    let part = within(range.start).and_then(|from| Ok(from..within(range.end())?));
    change(&mut whole[part.map_err(IoError::from)?]);
    log.write(outer.start, &whole, durability)?;
    Ok(())
}
