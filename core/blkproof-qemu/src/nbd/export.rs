//! The export: a device that breaks, shared by all connections, and what they do to it.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blkproof_device::{
    BlockDevice, Durability, IoError, IoResult, MemStore, Pool, RangeSet, StatusKind, Store,
    StoreError, Wait,
};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno, FaultRule, ImageName, Layer, Length, Offset, Place};

use super::bitmap::{BitmapError, Bitmaps, DirtyBitmap};
use super::handshake::{Agreed, Context};
use super::offer::Offer;
use super::outbox::Outbox;
use super::reply;
use super::request::{Operation, Request};
use super::session::Session;
use super::status::{Runs, of_set};
use super::wire::{allocation, dirty};

/// The largest size of an export: 16 TiB.
pub const SIZE_MAX: u64 = 1 << 44;

/// How much an export's volatile cache holds at most before it writes all of it to the medium.
const CACHE_MAX: u64 = 1 << 28;

/// A memory disk that breaks on request. Clones are handles to the same one.
///
/// It is a raw image: reads raise `read_aio` below the format, writes `write_aio`, flushes
/// `flush_to_os` and `flush_to_disk`. It is opened when it is made and after each loss of power,
/// not by each connection. One request of a client is one request to the device, but for what has
/// to be durable at once and is no write: that is followed by a flush.
#[derive(Clone, Debug)]
pub struct Export(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: MemStore,
    name: ImageName,
    read_only: bool,
    /// The size of the disk, for those who look without the lock.
    size: AtomicU64,
    disk: Mutex<Disk>,
}

/// What one request at a time works on.
#[derive(Debug)]
struct Disk {
    device: Box<dyn BlockDevice>,
    size: u64,
    /// How often it was opened: connections of before the last time do nothing any more.
    boots: u64,
    bitmaps: Bitmaps,
    /// What reads as zeroes and was said to be no hole.
    provisioned: RangeSet,
    /// How much was written since the cache was last looked at.
    written: u64,
}

impl Export {
    /// Makes an export of `size` bytes that read as zeroes; with a volatile cache, if so. The
    /// `rules` are in place when it is opened.
    ///
    /// # Errors
    ///
    /// If there can be no such disk.
    pub fn new(
        name: &ImageName,
        size: Length,
        cached: bool,
        read_only: bool,
        rules: &[FaultRule],
    ) -> Result<Self, StoreError> {
        // What a full cache gives up is what it takes next.
        let pool = if cached {
            Pool::keeping(Length(CACHE_MAX))
        } else {
            Pool::new()
        };
        let mut store = MemStore::new(&pool);
        store.set_caching(cached);
        for layer in [Layer::File, Layer::Format] {
            let image = name.clone();
            store.announce(&Place { image, layer });
        }
        for rule in rules {
            store.install(rule);
        }
        let file = store.create(name, size)?;
        let disk = Disk {
            device: store.above_format(name, Box::new(Raw(file))),
            size: size.0,
            boots: 0,
            bitmaps: Bitmaps::default(),
            provisioned: RangeSet::default(),
            written: 0,
        };
        Ok(Self(Arc::new(Shared {
            store,
            name: name.clone(),
            read_only,
            size: AtomicU64::new(size.0),
            disk: Mutex::new(disk),
        })))
    }

    /// Returns the store, by which rules are installed and lifted, time passes and power is lost.
    #[must_use]
    pub fn store(&self) -> &MemStore {
        &self.0.store
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &ImageName {
        &self.0.name
    }

    /// Returns its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.size.load(Ordering::Relaxed)
    }

    /// Returns what is offered to a client that connects now.
    #[must_use]
    pub fn offer(&self) -> Offer {
        let disk = self.0.lock();
        let bitmaps = disk.bitmaps.iter();
        Offer {
            name: self.0.name.to_string(),
            description: "a disk in memory that breaks on request".to_owned(),
            size: disk.size,
            read_only: self.0.read_only,
            bitmaps: bitmaps.map(|one| one.name().to_owned()).collect(),
            refused: None,
        }
    }

    /// Lets a connection in whose negotiation is over. After a loss of power it does nothing any
    /// more.
    #[must_use]
    pub fn admit(&self, session: &Session) -> Client {
        Client {
            boots: self.0.lock().boots,
            export: self.clone(),
            agreed: session.agreed(),
        }
    }

    /// Adds a bitmap.
    ///
    /// # Errors
    ///
    /// If there is one of this name, or too many.
    pub fn add_bitmap(&self, bitmap: DirtyBitmap) -> Result<(), BitmapError> {
        self.0.lock().bitmaps.add(bitmap)
    }

    /// Removes a bitmap. Connections that selected it have their queries refused.
    ///
    /// # Errors
    ///
    /// If there is none of this name.
    pub fn remove_bitmap(&self, name: &str) -> Result<(), BitmapError> {
        self.0.lock().bitmaps.remove(name)
    }

    /// Changes a bitmap. No request is under way then.
    ///
    /// # Errors
    ///
    /// If there is none of this name.
    pub fn with_bitmap(
        &self,
        name: &str,
        change: impl FnOnce(&mut DirtyBitmap),
    ) -> Result<(), BitmapError> {
        let mut disk = self.0.lock();
        change(disk.bitmaps.get_mut(name).ok_or(BitmapError::Missing)?);
        Ok(())
    }

    /// Returns copies of all bitmaps.
    #[must_use]
    pub fn bitmaps(&self) -> Vec<DirtyBitmap> {
        self.0.lock().bitmaps.iter().cloned().collect()
    }

    /// Changes the size of the export, as a client can.
    ///
    /// # Errors
    ///
    /// If the device cannot have it.
    pub fn resize(&self, size: Length) -> IoResult<()> {
        self.0.resize(&mut self.0.lock(), size.0)
    }

    /// Opens the disk anew, as it must be after the power was lost or its process killed.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn boot(&self) -> Result<(), StoreError> {
        let mut disk = self.0.lock();
        let mut store = self.0.store.clone();
        let file = store.open(&self.0.name)?;
        let (old, new) = (disk.size, file.size().0);
        disk.device = store.above_format(&self.0.name, Box::new(Raw(file)));
        disk.boots += 1;
        disk.resized(old, new);
        self.0.size.store(new, Ordering::Relaxed);
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Disk> {
        // A loss of power unwinds through it, and leaves nothing half done that matters then.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resize(&self, disk: &mut Disk, new: u64) -> IoResult<()> {
        if new > SIZE_MAX {
            return Err(Errno::ENOSPC.into());
        }
        let old = disk.size;
        disk.device.set_size(Length(new))?;
        disk.resized(old, new);
        self.size.store(new, Ordering::Relaxed);
        Ok(())
    }

    /// Has the cache write to its medium what it holds, if that is too much.
    fn destage(&self, disk: &mut Disk) {
        if disk.written > CACHE_MAX / 2 {
            disk.written = 0;
            self.store.destage(CACHE_MAX);
        }
    }
}

impl Disk {
    fn resized(&mut self, old: u64, new: u64) {
        self.size = new;
        self.bitmaps.each(|bitmap| bitmap.resize(old, new));
        self.provisioned.remove(ByteRange::between(new, u64::MAX));
    }

    /// Takes note of a request that is about to change `range`, whether or not it will succeed or
    /// anybody will hear of it.
    fn changes(&mut self, range: ByteRange, hole: Hole) {
        self.bitmaps.each(|bitmap| bitmap.record(range));
        match hole {
            Hole::AsBefore => {}
            Hole::Maybe => self.provisioned.remove(range),
            Hole::Not => self.provisioned.insert(range),
        }
        self.written = self.written.saturating_add(range.len);
    }

    /// Checks that the size did not change below a request.
    fn inside(&self, range: ByteRange) -> IoResult<()> {
        if range.end() > self.size {
            return Err(Errno::ENOSPC.into());
        }
        Ok(())
    }

    /// Carries out a request whose reply has no data and that keeps the size.
    fn change(&mut self, operation: Operation, data: &[u8]) -> IoResult<()> {
        let (range, hole, fua) = match operation {
            Operation::Write(range, _) => (range, Hole::AsBefore, false),
            Operation::Trim(range, fua) => (range, Hole::Maybe, fua),
            Operation::WriteZeroes { range, fua, unmap } => {
                (range, if unmap { Hole::Maybe } else { Hole::Not }, fua)
            }
            Operation::Cache(range) => return self.inside(range),
            _ => return self.device.flush(),
        };
        self.inside(range)?;
        self.changes(range, hole);
        match operation {
            Operation::Write(range, fua) => {
                let durability = if fua {
                    Durability::Now
                } else {
                    Durability::Later
                };
                self.device
                    .write_at(Offset(range.start), data, durability)?;
            }
            Operation::WriteZeroes { range, unmap, .. } => {
                self.device.write_zeroes(range, unmap)?;
            }
            _ => self.device.discard(range)?,
        }
        if fua { self.device.flush() } else { Ok(()) }
    }

    /// Returns what a context says about `range`; as one run, if so.
    fn status(&mut self, context: &Context, range: ByteRange, one: bool) -> IoResult<Runs> {
        let Context::Bitmap(name) = context else {
            return self.allocation(range, one);
        };
        let bitmap = self.bitmaps.get(name).ok_or(Errno::EINVAL)?;
        Ok(of_set(range, bitmap.runs(range), dirty::DIRTY, one))
    }

    fn allocation(&mut self, range: ByteRange, one: bool) -> IoResult<Runs> {
        let mut runs = Runs::new(one);
        let mut position = range.start;
        while position < range.end() {
            let rest = ByteRange::between(position, range.end());
            let status = self.device.block_status(rest)?;
            let run = ByteRange::new(position, status.len.0);
            position = run.end();
            let more = match status.kind {
                StatusKind::Data => runs.push(run.len, 0),
                StatusKind::Zero => runs.push(run.len, allocation::ZERO),
                StatusKind::Hole => self.push_hole(run, &mut runs),
            };
            if !more {
                break;
            }
        }
        Ok(runs)
    }

    /// Adds a run that the device has no space for, of which some may count as if it had.
    fn push_hole(&self, run: ByteRange, runs: &mut Runs) -> bool {
        let mut position = run.start;
        let hole = allocation::HOLE | allocation::ZERO;
        for part in self.provisioned.runs(run) {
            let before = part.start - position;
            if before > 0 && !runs.push(before, hole) || !runs.push(part.len, allocation::ZERO) {
                return false;
            }
            position = part.end();
        }
        position == run.end() || runs.push(run.end() - position, hole)
    }
}

/// What a request makes of the space in its range.
#[derive(Clone, Copy)]
enum Hole {
    AsBefore,
    Maybe,
    Not,
}

/// The export as one connection has it. Clones are of the same connection.
#[derive(Clone, Debug)]
pub struct Client {
    export: Export,
    agreed: Arc<Agreed>,
    boots: u64,
}

impl Client {
    /// Carries out a request, and writes the reply. One that has to wait has not happened: it is
    /// made again when the wait is over.
    ///
    /// # Errors
    ///
    /// If it has to wait: for what.
    pub fn carry_out(&self, request: &Request, data: &[u8], out: &mut Outbox) -> Result<(), Wait> {
        let shared = &*self.export.0;
        let mut disk = shared.lock();
        let result = if disk.boots == self.boots {
            self.act(&mut disk, request, data, out)
        } else {
            Err(Errno::EIO.into())
        };
        shared.destage(&mut disk);
        match result {
            Ok(()) => Ok(()),
            Err(IoError::Wait(wait)) => Err(wait),
            Err(IoError::Failed(errno)) => {
                reply::failed(request.cookie, errno, self.agreed.structured, out);
                Ok(())
            }
        }
    }

    fn act(
        &self,
        disk: &mut Disk,
        request: &Request,
        data: &[u8],
        out: &mut Outbox,
    ) -> IoResult<()> {
        match request.operation {
            Operation::Read(range) => {
                disk.inside(range)?;
                let structured = self.agreed.structured;
                reply::data(request, range, structured, out, |buf| {
                    disk.device.read_at(Offset(range.start), buf)
                })
            }
            Operation::BlockStatus(range, one) => {
                disk.inside(range)?;
                self.block_status(disk, request, range, one, out)
            }
            Operation::Resize(size) => {
                self.export.0.resize(disk, size)?;
                reply::done(request, out);
                Ok(())
            }
            other => {
                disk.change(other, data)?;
                reply::done(request, out);
                Ok(())
            }
        }
    }

    fn block_status(
        &self,
        disk: &mut Disk,
        request: &Request,
        range: ByteRange,
        one: bool,
        out: &mut Outbox,
    ) -> IoResult<()> {
        let mut answers = Vec::new();
        for (number, context) in &self.agreed.contexts {
            answers.push((*number, disk.status(context, range, one)?));
        }
        for (index, (number, runs)) in answers.iter().enumerate() {
            let last = index + 1 == answers.len();
            reply::status(request, *number, runs.as_slice(), last, out);
        }
        Ok(())
    }
}

/// A raw image: raises the events of the format, and passes everything on.
#[derive(Debug)]
struct Raw(Box<dyn BlockDevice>);

impl BlockDevice for Raw {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        self.0.event(Event::ReadAio)?;
        self.0.read_at(offset, buf)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        self.0.event(Event::WriteAio)?;
        self.0.write_at(offset, data, durability)
    }

    fn write_compressed(&mut self, _: Offset, _: &[u8]) -> IoResult<()> {
        Err(Errno::ENOTSUP.into())
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        self.0.write_zeroes(range, unmap)
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.0.discard(range)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.0.event(Event::FlushToOs)?;
        self.0.event(Event::FlushToDisk)?;
        self.0.flush()
    }

    fn size(&self) -> Length {
        self.0.size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        self.0.set_size(size)
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<blkproof_device::BlockStatus> {
        self.0.block_status(range)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.0.event(event)
    }
}
