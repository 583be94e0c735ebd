//! The store of the harness: named devices, each behind its faults and its trace.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, ImageName, Length, Offset};

use crate::block_device::{BlockDevice, BlockStatus, Durability, IoResult};
use crate::media::{Media, Memory};
use crate::mem_disk::MemDisk;
use crate::pool::Pool;
use crate::store::{Store, StoreError};

/// A store of memory disks.
pub type MemStore = FaultStore<Memory>;

/// A store whose devices break on request.
///
/// Clones are handles to the same store: the harness keeps one and gives the subject another. Stores
/// share nothing with each other but the pool that they were made with.
pub struct FaultStore<M: Media>(Arc<Mutex<Inner<M>>>);

struct Inner<M: Media> {
    media: M,
    images: BTreeMap<ImageName, Shared<M::Disk>>,
}

type Shared<D> = Arc<Mutex<D>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FaultStore<Memory> {
    /// Makes an empty store of memory disks.
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        Self::on(Memory::new(pool))
    }

    /// Returns a copy of the whole store that shares what neither side has changed since.
    #[must_use]
    pub fn fork(&self) -> Self {
        let inner = lock(&self.0);
        let copy = |disk: &Shared<MemDisk>| Arc::new(Mutex::new(lock(disk).snapshot()));
        Self(Arc::new(Mutex::new(Inner {
            media: inner.media.clone(),
            images: inner
                .images
                .iter()
                .map(|(name, disk)| (name.clone(), copy(disk)))
                .collect(),
        })))
    }
}

impl<M: Media> FaultStore<M> {
    /// Makes a store on `media`.
    #[must_use]
    pub fn on(media: M) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            media,
            images: BTreeMap::new(),
        })))
    }

    /// Returns a handle for the subject.
    #[must_use]
    pub fn subject_handle(&self) -> Box<dyn Store> {
        Box::new(self.clone())
    }

    /// Opens a device beneath its faults and its trace, for judges.
    pub fn plain(&self, name: &ImageName) -> Result<Box<dyn BlockDevice>, StoreError> {
        Ok(Box::new(Handle(lock(&self.0).disk(name)?)))
    }
}

impl<M: Media> Inner<M> {
    fn disk(&mut self, name: &ImageName) -> Result<Shared<M::Disk>, StoreError> {
        if let Some(disk) = self.images.get(name) {
            return Ok(Arc::clone(disk));
        }
        let disk = Arc::new(Mutex::new(self.media.find(name)?));
        self.images.insert(name.clone(), Arc::clone(&disk));
        Ok(disk)
    }
}

impl<M: Media> Store for FaultStore<M> {
    fn create(
        &mut self,
        name: &ImageName,
        size: Length,
    ) -> Result<Box<dyn BlockDevice>, StoreError> {
        let mut inner = lock(&self.0);
        if inner.images.contains_key(name) {
            return Err(StoreError::Exists(name.clone()));
        }
        let disk = Arc::new(Mutex::new(inner.media.create(name, size)?));
        inner.images.insert(name.clone(), Arc::clone(&disk));
        Ok(Box::new(Handle(disk)))
    }

    fn open(&mut self, name: &ImageName) -> Result<Box<dyn BlockDevice>, StoreError> {
        self.plain(name)
    }

    fn remove(&mut self, name: &ImageName) -> Result<(), StoreError> {
        let mut inner = lock(&self.0);
        inner.disk(name)?;
        inner.images.remove(name);
        inner.media.remove(name)
    }

    fn list(&self) -> Vec<ImageName> {
        let inner = lock(&self.0);
        let mut names: Vec<_> = inner.images.keys().cloned().collect();
        names.extend(inner.media.list());
        names.sort_unstable();
        names.dedup();
        names
    }

    fn above_format(
        &mut self,
        _: &ImageName,
        format: Box<dyn BlockDevice>,
    ) -> Box<dyn BlockDevice> {
        format
    }
}

impl<M: Media> Clone for FaultStore<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Media> fmt::Debug for FaultStore<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultStore").field(&self.list()).finish()
    }
}

/// An open device. Handles to one name share the device.
struct Handle<D>(Shared<D>);

impl<D: BlockDevice> BlockDevice for Handle<D> {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        lock(&self.0).read_at(offset, buf)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        lock(&self.0).write_at(offset, data, durability)
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        lock(&self.0).write_compressed(offset, data)
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        lock(&self.0).write_zeroes(range, unmap)
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        lock(&self.0).discard(range)
    }

    fn flush(&mut self) -> IoResult<()> {
        lock(&self.0).flush()
    }

    fn size(&self) -> Length {
        lock(&self.0).size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        lock(&self.0).set_size(size)
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        lock(&self.0).block_status(range)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        lock(&self.0).event(event)
    }
}

impl<D: BlockDevice> fmt::Debug for Handle<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.0).finish()
    }
}
