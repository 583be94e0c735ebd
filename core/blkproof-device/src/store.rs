//! The seam to the named devices that a subject creates and opens.

use core::fmt;

use blkproof_spec::{Errno, ImageName, Length};

use crate::block_device::{BlockDevice, Wait};

/// A folder of image files, as a subject sees it.
///
/// The harness owns the store; each device it hands out already wears its faults and its trace.
/// That is how faults get under the format of any subject, and how the targets that a subject
/// creates are reached. Handles to one name share the device behind them.
pub trait Store: fmt::Debug + Send {
    /// Makes an empty device of `size` and opens it. A device of this name must not be there.
    fn create(
        &mut self,
        name: &ImageName,
        size: Length,
    ) -> Result<Box<dyn BlockDevice>, StoreError>;

    /// Opens a device. Each opening raises the `none` event on its fault layer anew; the layer
    /// keeps its state and its rules.
    fn open(&mut self, name: &ImageName) -> Result<Box<dyn BlockDevice>, StoreError>;

    /// Deletes a device. Handles that are open keep working on what is no longer there.
    fn remove(&mut self, name: &ImageName) -> Result<(), StoreError>;

    /// Returns the names of all devices, in order.
    fn list(&self) -> Vec<ImageName>;

    /// Tells whether there is a device of this name.
    fn exists(&self, name: &ImageName) -> bool {
        self.list().contains(name)
    }

    /// Lays the harness's layers for faults above the format over a subject's opened image, where
    /// the scenario has such rules, and returns it unchanged where it has none.
    fn above_format(
        &mut self,
        name: &ImageName,
        format: Box<dyn BlockDevice>,
    ) -> Box<dyn BlockDevice>;

    /// Tells whether what a request waits for has come about, or the rule that held it is gone. A
    /// suspended request must not be made again before; a delayed one that is, waits on.
    fn is_over(&self, wait: &Wait) -> bool;
}

/// Why a store could not do what it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no device of this name.
    Missing(ImageName),
    /// There is a device of this name already.
    Exists(ImageName),
    /// The device could not be reached.
    Failed(ImageName, Errno),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "there is no image '{name}'"),
            Self::Exists(name) => write!(f, "image '{name}' exists already"),
            Self::Failed(name, errno) => write!(f, "image '{name}' cannot be reached: {errno}"),
        }
    }
}

impl core::error::Error for StoreError {}
