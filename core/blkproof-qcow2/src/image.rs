//! The open image: what it is made of, how it is opened, and what the caller may ask about it.

use core::fmt;

use blkproof_device::{BlockDevice, IoError, IoResult};
use blkproof_spec::{DiscardMode, Errno, Length};

use crate::bitmaps::Bitmaps;
use crate::cache::{Slot, TableCache};
use crate::compress::Codec;
use crate::create::{CreateOptions, create};
use crate::error::{Corruption, Inner, Qcow2Error, Trouble};
use crate::file::ImageFile;
use crate::header::{self, BackingName, Extension, Header};
use crate::layout::Layout;
use crate::mistake::Mistake;
use crate::refcount::Refcounts;
use crate::sparse::SparseTable;

/// Bytes of L2 tables that are cached by default: they map 8 GiB in clusters of 64 KiB.
const L2_CACHE_BYTES: u64 = 1 << 20;
/// How much of an L1 table is read at once, as a power of two.
const L1_SLICE_BITS: u32 = 12;

/// How an image is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenOptions {
    /// What a discard does.
    pub discard: DiscardMode,
    /// Refuse what would change the image, with `EPERM`.
    pub read_only: bool,
    /// Bytes of L2 tables to keep in memory, at most.
    pub l2_cache: Length,
}

impl Default for OpenOptions {
    /// Discards are ignored, as QEMU does by default.
    fn default() -> Self {
        Self {
            discard: DiscardMode::Ignore,
            read_only: false,
            l2_cache: Length(L2_CACHE_BYTES),
        }
    }
}

/// An open image on the device `D`, its file.
///
/// It is a [`BlockDevice`] itself. Tables are cached, and written when it is flushed: an image has
/// to be flushed before another reads its file. Where a request fails, what is in memory stays
/// true, and the same request, or a flush, succeeds once the fault is gone.
pub struct Qcow2<D> {
    pub(crate) file: ImageFile<D>,
    pub(crate) backing: Option<Box<dyn BlockDevice>>,
    pub(crate) header: Header,
    pub(crate) bitmaps: Bitmaps,
    pub(crate) layout: Layout,
    pub(crate) l1: SparseTable,
    pub(crate) l2: TableCache,
    pub(crate) refcounts: Refcounts,
    /// Clusters of shared L2 tables that lost a user.
    pub(crate) lonely: Vec<u64>,
    pub(crate) options: OpenOptions,
    pub(crate) mistake: Option<Mistake>,
    /// The slice of an L2 table that was used last.
    pub(crate) recent: Option<Recent>,
    /// Something was asked to change since the last complete flush.
    pub(crate) changed: bool,
    /// The header's size or L1 fields in the file may differ from those in memory.
    pub(crate) header_dirty: bool,
    pub(crate) corruption: Option<Corruption>,
    /// One run of clusters, for what has to be put together before it is written.
    pub(crate) scratch: Vec<u8>,
    pub(crate) codec: Option<Box<Codec>>,
}

/// A slice that was looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recent {
    /// Guest positions shifted by what a slice maps.
    pub(crate) id: u64,
    pub(crate) slot: Slot,
    /// Its table may be changed in place.
    pub(crate) owned: bool,
}

impl<D: BlockDevice> Qcow2<D> {
    /// Opens the image that `device` holds. A backing file, if it names one, is attached by the
    /// caller.
    ///
    /// # Errors
    ///
    /// If the device fails, or the header is not one of an image that can be opened.
    pub fn open(mut device: D, options: &OpenOptions) -> Result<Self, Qcow2Error> {
        let header = header::read(&mut device)?;
        let layout = header.layout;
        let mut image = Self {
            file: ImageFile::new(device),
            backing: None,
            layout,
            l1: SparseTable::new(header.l1_offset, header.l1_entries, L1_SLICE_BITS),
            l2: TableCache::new(1 << layout.slice_bits(), options.l2_cache.0),
            refcounts: Refcounts::new(&header),
            lonely: Vec::new(),
            options: *options,
            mistake: None,
            recent: None,
            changed: false,
            header_dirty: false,
            corruption: None,
            scratch: Vec::new(),
            codec: None,
            bitmaps: Bitmaps::default(),
            header,
        };
        if image.header.l1_entries > 0 {
            image.l1.get(&mut image.file, 0)?;
        }
        image.load_bitmaps()?;
        Ok(image)
    }

    /// Makes a new image on `device` and opens it. See [`create`].
    ///
    /// # Errors
    ///
    /// If the device fails, or the format cannot express the options.
    pub fn create(
        mut device: D,
        create_options: &CreateOptions,
        options: &OpenOptions,
    ) -> Result<Self, Qcow2Error> {
        create(&mut device, create_options)?;
        Self::open(device, options)
    }

    /// Returns what the header says about the backing file.
    pub fn backing_name(&self) -> Option<&BackingName> {
        self.header.backing.as_ref()
    }

    /// Attaches a backing file, or none; returns what was attached before. The header stays as it
    /// is.
    pub fn set_backing(
        &mut self,
        backing: Option<Box<dyn BlockDevice>>,
    ) -> Option<Box<dyn BlockDevice>> {
        core::mem::replace(&mut self.backing, backing)
    }

    /// Returns the attached backing file.
    pub fn backing_mut(&mut self) -> Option<&mut Box<dyn BlockDevice>> {
        self.backing.as_mut()
    }

    /// Returns the size of a cluster.
    pub fn cluster(&self) -> Length {
        Length(self.layout.cluster())
    }

    /// Returns the version of the format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.layout.version
    }

    /// Returns the width of the refcounts in bits.
    pub fn refcount_bits(&self) -> u32 {
        1 << self.layout.refcount_order
    }

    /// Returns the header extensions that are kept without being understood.
    pub fn extensions(&self) -> &[Extension] {
        &self.header.extensions
    }

    /// Returns what a discard does.
    pub fn discard_mode(&self) -> DiscardMode {
        self.options.discard
    }

    /// Changes what a discard does from now on.
    pub fn set_discard_mode(&mut self, mode: DiscardMode) {
        self.options.discard = mode;
    }

    /// Returns the first thing that was found wrong in the tables of this image, if any was.
    pub fn corruption(&self) -> Option<Corruption> {
        self.corruption
    }

    /// Returns the device that holds the image.
    pub fn file(&self) -> &D {
        self.file.device()
    }

    /// Returns the device that holds the image. Whoever writes to it breaks the image.
    pub fn file_mut(&mut self) -> &mut D {
        self.file.device_mut()
    }

    /// Gives the device back. What was not flushed is lost.
    pub fn into_file(self) -> D {
        self.file.into_device()
    }

    /// Turns the end of a request inside the driver into one of the seam's.
    pub(crate) fn settle<T>(&mut self, result: Inner<T>) -> IoResult<T> {
        result.map_err(|trouble| match trouble {
            Trouble::Io(error) => error,
            Trouble::Corrupt(corruption) => {
                self.corruption.get_or_insert(corruption);
                IoError::Failed(Errno::EIO)
            }
        })
    }

    /// Tells whether what is not allocated at `position` and behind it reads as zeroes.
    pub(crate) fn hole_is_zero(&self, position: u64) -> bool {
        match &self.backing {
            Some(backing) => position >= backing.size().0,
            None => true,
        }
    }
}

impl<D: fmt::Debug> fmt::Debug for Qcow2<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qcow2")
            .field("file", &self.file)
            .field("backing", &self.backing)
            .field("header", &self.header)
            .field("options", &self.options)
            .field("corruption", &self.corruption)
            .finish_non_exhaustive()
    }
}
