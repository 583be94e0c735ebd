//! Chains of images in a store: an image, its backing file, the backing file of that, and so on.

use core::fmt;

use blkproof_device::{BlockDevice, Store, StoreError};
use blkproof_spec::{ImageName, Offset};

use crate::error::Qcow2Error;
use crate::header::{BackingName, MAGIC};
use crate::image::{OpenOptions, Qcow2};

/// Why a chain of images could not be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChainError<E> {
    /// The store could not give an image.
    Store(StoreError),
    /// An image could not be opened.
    Image {
        /// Its name.
        name: ImageName,
        /// Why.
        error: E,
    },
    /// An image is its own backing file, directly or through others.
    Loop {
        /// The image that is met again.
        name: ImageName,
    },
    /// There are more images than allowed.
    TooLong {
        /// How many are allowed.
        limit: usize,
    },
    /// An image says that its backing file has a format that is neither `qcow2` nor `raw`.
    Format {
        /// The backing file.
        name: ImageName,
        /// The format.
        format: String,
    },
}

impl<E> fmt::Display for ChainError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => f.write_str("an image of the chain could not be had"),
            Self::Image { name, .. } => write!(f, "image '{name}' could not be opened"),
            Self::Loop { name } => write!(f, "image '{name}' is in the chain of its backing files"),
            Self::TooLong { limit } => write!(f, "the chain has more than {limit} images"),
            Self::Format { name, format } => {
                write!(f, "backing file '{name}' is said to have format '{format}'")
            }
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for ChainError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Image { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// An image of a chain as it was opened.
pub(crate) struct Opened<T> {
    pub(crate) image: T,
    pub(crate) backing: Option<BackingName>,
}

/// Opens the images of a chain one after the other. The format of the first is found by its first
/// bytes, that of the others is what their overlay says, if it says something.
pub(crate) fn walk<T, E: From<blkproof_device::IoError>>(
    store: &mut dyn Store,
    name: &ImageName,
    limit: usize,
    mut open: impl FnMut(Box<dyn BlockDevice>, bool) -> Result<Opened<T>, E>,
) -> Result<Vec<T>, ChainError<E>> {
    let mut names: Vec<ImageName> = Vec::new();
    let mut images = Vec::new();
    let mut next = Some(BackingName {
        name: name.as_str().to_owned(),
        format: None,
    });
    while let Some(backing) = next {
        let name = ImageName::new(&backing.name);
        if names.contains(&name) {
            return Err(ChainError::Loop { name });
        }
        if names.len() == limit {
            return Err(ChainError::TooLong { limit });
        }
        let mut device = store.open(&name).map_err(ChainError::Store)?;
        let is_qcow2 = match backing.format.as_deref() {
            Some("qcow2") => Ok(true),
            Some("raw") => Ok(false),
            None => probe(&mut *device).map_err(Into::into),
            Some(other) => {
                let format = other.to_owned();
                return Err(ChainError::Format { name, format });
            }
        };
        let opened = is_qcow2.and_then(|is_qcow2| open(device, is_qcow2));
        let opened = opened.map_err(|error| ChainError::Image {
            name: name.clone(),
            error,
        })?;
        images.push(opened.image);
        next = opened.backing;
        names.push(name);
    }
    Ok(images)
}

/// Tells whether a device begins as a qcow2 image does.
///
/// # Errors
///
/// If the device fails.
pub fn probe<D: BlockDevice + ?Sized>(device: &mut D) -> Result<bool, blkproof_device::IoError> {
    let mut magic = [0; 4];
    if device.size().0 >= 4 {
        device.read_at(Offset(0), &mut magic)?;
    }
    Ok(u32::from_be_bytes(magic) == MAGIC)
}

/// Opens the image `name` of a store with its backing files attached, `limit` images at most.
///
/// Backing files are opened to be read only. The format of the image is found by its first bytes;
/// a raw image is the device itself.
///
/// # Errors
///
/// If an image is missing or cannot be opened, or the chain is a loop or too long.
pub fn open_chain(
    store: &mut dyn Store,
    name: &ImageName,
    options: &OpenOptions,
    limit: usize,
) -> Result<Box<dyn BlockDevice>, ChainError<Qcow2Error>> {
    let mut options = *options;
    let images = walk(store, name, limit, |device, is_qcow2| {
        let opened = if is_qcow2 {
            let image = Qcow2::open(device, &options)?;
            let backing = image.backing_name().cloned();
            Opened {
                image: Image::Qcow2(Box::new(image)),
                backing,
            }
        } else {
            Opened {
                image: Image::Raw(device),
                backing: None,
            }
        };
        options.read_only = true;
        Ok(opened)
    })?;
    let mut below = None;
    for image in images.into_iter().rev() {
        below = Some(match image {
            Image::Raw(device) => device,
            Image::Qcow2(mut image) => {
                image.set_backing(below.take());
                image
            }
        });
    }
    Ok(below.expect("a chain has its first image"))
}

enum Image {
    Raw(Box<dyn BlockDevice>),
    Qcow2(Box<Qcow2<Box<dyn BlockDevice>>>),
}
