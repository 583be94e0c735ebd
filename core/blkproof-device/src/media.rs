//! What a store's devices are made of.

use core::fmt;

use blkproof_spec::{ImageName, Length};

use crate::mem_disk::MemDisk;
use crate::pool::Pool;
use crate::store::StoreError;
use crate::visible::Visible;

/// What a store's devices are made of: [`Memory`] or files of a folder.
///
/// It makes and finds disks; it need not remember the disks that it made, the store does.
pub trait Media: fmt::Debug + Send + 'static {
    /// A disk.
    type Disk: Visible + 'static;

    /// Makes an empty disk. The store knows of none of this name.
    fn create(&mut self, name: &ImageName, size: Length) -> Result<Self::Disk, StoreError>;

    /// Finds a disk that the store does not know of.
    fn find(&mut self, name: &ImageName) -> Result<Self::Disk, StoreError>;

    /// Deletes a disk.
    fn remove(&mut self, name: &ImageName) -> Result<(), StoreError>;

    /// Returns the names of the disks that the store may not know of.
    fn list(&self) -> Vec<ImageName>;

    /// Returns the pool in which the requests to its disks find buffers.
    fn pool(&self) -> Pool {
        Pool::new()
    }
}

/// Memory from a pool.
#[derive(Clone, Debug)]
pub struct Memory {
    pool: Pool,
}

impl Memory {
    /// Makes disks of the pages of `pool`.
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        Self { pool: pool.clone() }
    }
}

impl Media for Memory {
    type Disk = MemDisk;

    fn create(&mut self, _: &ImageName, size: Length) -> Result<MemDisk, StoreError> {
        Ok(MemDisk::new(&self.pool, size))
    }

    fn find(&mut self, name: &ImageName) -> Result<MemDisk, StoreError> {
        Err(StoreError::Missing(name.clone()))
    }

    fn remove(&mut self, _: &ImageName) -> Result<(), StoreError> {
        Ok(())
    }

    fn list(&self) -> Vec<ImageName> {
        Vec::new()
    }

    fn pool(&self) -> Pool {
        self.pool.clone()
    }
}
