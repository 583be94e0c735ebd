//! The seam to an independent look at images.
//!
//! Reading images only through the judged subject would hide errors that write and read alike, so
//! the judge also looks with eyes of its own: an inspector opens images beneath their faults.

use core::fmt;

use blkproof_device::{FaultStore, Media, Piece, Store, StoreError, Visible};
use blkproof_spec::{ByteRange, Format, ImageName, Length};

/// The images of a store, beneath their faults.
pub trait Images: fmt::Debug {
    /// Opens the device of this name for reading.
    ///
    /// # Errors
    ///
    /// Where there is none, or it cannot be reached.
    fn plain(&self, name: &ImageName) -> Result<Box<dyn Visible>, StoreError>;

    /// Returns the names of all devices, in order.
    fn names(&self) -> Vec<ImageName>;
}

impl<M: Media> Images for FaultStore<M> {
    fn plain(&self, name: &ImageName) -> Result<Box<dyn Visible>, StoreError> {
        Self::plain(self, name)
    }

    fn names(&self) -> Vec<ImageName> {
        self.list()
    }
}

/// Someone who can open images independently of the subject.
pub trait Inspector: fmt::Debug {
    /// Opens the image and its backing chain as they are in the store now. Nobody changes them
    /// until the result is dropped.
    ///
    /// # Errors
    ///
    /// Where an image of the chain is not there or cannot be read as what it is said to be.
    fn open(
        &mut self,
        images: &dyn Images,
        image: &ImageName,
        format: Format,
    ) -> Result<Box<dyn Inspected>, InspectError>;

    /// Opens the image without its backing chain: what it does not have itself reads as zeroes.
    ///
    /// # Errors
    ///
    /// Where the image is not there or cannot be read as what it is said to be.
    fn open_alone(
        &mut self,
        images: &dyn Images,
        image: &ImageName,
        format: Format,
    ) -> Result<Box<dyn Inspected>, InspectError>;
}

/// What an image says about its backing file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backing {
    /// Its name.
    pub image: ImageName,
    /// Its format, where the image tells it.
    pub format: Option<Format>,
}

/// An image that an inspector has open.
pub trait Inspected: fmt::Debug {
    /// Returns the size that a guest would see.
    fn size(&self) -> Length;

    /// Returns the names of the images that were opened, the top of the chain first.
    fn chain(&self) -> &[ImageName];

    /// Returns what the top image of the chain says about its backing file, if it has one.
    fn backing(&self) -> Option<Backing>;

    /// Adds to `ranges` what the top image of the chain has allocated as data or as zeroes, in
    /// ascending order.
    ///
    /// # Errors
    ///
    /// Where the image cannot be read.
    fn allocated(&mut self, ranges: &mut Vec<ByteRange>) -> Result<(), InspectError>;

    /// Adds to `ranges` what may read as something else than zeroes through the whole chain, in
    /// ascending order.
    ///
    /// # Errors
    ///
    /// Where an image of the chain cannot be read.
    fn data(&mut self, ranges: &mut Vec<ByteRange>) -> Result<(), InspectError>;

    /// Reads through the chain. The range lies within the size.
    ///
    /// # Errors
    ///
    /// Where an image of the chain cannot be read.
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), InspectError>;

    /// Shows what [`read`](Self::read) would read, piece by piece in ascending order, each with its
    /// position.
    ///
    /// # Errors
    ///
    /// Where an image of the chain cannot be read.
    fn visit(
        &mut self,
        range: ByteRange,
        see: &mut dyn FnMut(u64, Piece<'_>),
    ) -> Result<(), InspectError>;

    /// Returns the parts of the top image's file that lie, in whole or in part, within `wanted`.
    /// Without it nobody can tell what a loss of power took; by default nothing is told.
    ///
    /// # Errors
    ///
    /// Where the image cannot be read.
    fn parts(&mut self, wanted: &[ByteRange]) -> Result<Vec<FilePart>, InspectError> {
        let _ = wanted;
        Ok(Vec::new())
    }

    /// Looks at the structure of the top image.
    ///
    /// # Errors
    ///
    /// Where the image cannot be read.
    fn soundness(&mut self) -> Result<Soundness, InspectError>;
}

/// A part of an image, as it lies in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FilePart {
    /// Where it lies.
    pub range: ByteRange,
    /// What it is, in the words of the format: `data`, `L2 table`.
    pub what: &'static str,
    /// What leads there, and where in the file that says so.
    pub led_by: Option<(&'static str, ByteRange)>,
    /// Which byte of the guest its first one is, if it is data.
    pub guest: Option<u64>,
}

/// What an inspector found out about an image's structure.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Soundness {
    /// What is wrong: clusters used twice, reference counts too low, tables out of place.
    pub errors: Vec<String>,
    /// Clusters that are allocated and not used. They cost space, not data.
    pub leaks: u64,
}

/// Why an inspector could not look at an image.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct InspectError {
    /// What happened.
    pub message: String,
}

impl InspectError {
    /// Makes an error of what happened.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for InspectError {}
