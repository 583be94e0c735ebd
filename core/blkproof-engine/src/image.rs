//! Images: formats on devices of the store, with their backing chains.

use blkproof_device::{BlockDevice, Store, StoreError};
use blkproof_spec::{DiscardMode, Format, Geometry, ImageName, Length, Offset, Refusal};

use crate::raw::Raw;
use crate::shared::Shared;
use crate::stop::Stop;

/// The longest backing chain. Longer ones, and loops, count as damage.
const CHAIN_MAX: usize = 200;

/// The first bytes of a qcow2 image.
const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";

/// An open image.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) name: ImageName,
    pub(crate) format: Format,
    /// The cluster size; for raw images what QEMU assumes.
    pub(crate) cluster: u64,
    device: Device,
    /// The images below it, from the top down.
    pub(crate) backing: Vec<Layer>,
}

/// How an image is reached.
#[derive(Debug)]
enum Device {
    Own(Box<dyn BlockDevice>),
    Shared(Shared),
}

impl Image {
    /// Returns the image as it reads, through its chain.
    pub(crate) fn device(&mut self) -> &mut dyn BlockDevice {
        match &mut self.device {
            Device::Own(device) => &mut **device,
            Device::Shared(device) => device,
        }
    }

    /// Returns the size that the guest sees.
    pub(crate) fn size(&self) -> u64 {
        match &self.device {
            Device::Own(device) => device.size().0,
            Device::Shared(device) => device.size().0,
        }
    }

    /// Returns the image and its chain as what another image can be backed by.
    pub(crate) fn share(self) -> (Self, Vec<Layer>) {
        let shared = match self.device {
            Device::Own(device) => Shared::new(device),
            Device::Shared(shared) => shared,
        };
        let mut layers = vec![Layer {
            name: self.name.clone(),
            format: self.format,
            device: shared.clone(),
        }];
        layers.extend(self.backing.iter().cloned());
        let device = Device::Shared(shared);
        (Self { device, ..self }, layers)
    }
}

/// An image of a backing chain.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) name: ImageName,
    pub(crate) format: Format,
    pub(crate) device: Shared,
}

/// Says how images are opened.
pub(crate) struct Opener<'a> {
    pub(crate) store: &'a mut dyn Store,
    /// Returns the format of an image where it is known without looking.
    pub(crate) format: &'a dyn Fn(&ImageName) -> Option<Format>,
    /// Returns an image and its chain where it is open already and is to be used as it is.
    pub(crate) attach: &'a mut dyn FnMut(&ImageName) -> Result<Option<Vec<Layer>>, Refusal>,
}

impl Opener<'_> {
    /// Opens an image for writing, and its chain for reading.
    pub(crate) fn open(
        &mut self,
        name: &ImageName,
        discard: DiscardMode,
    ) -> Result<Image, Refusal> {
        self.open_at(name, None, discard, 0)
    }

    fn open_at(
        &mut self,
        name: &ImageName,
        said: Option<Format>,
        discard: DiscardMode,
        depth: usize,
    ) -> Result<Image, Refusal> {
        if depth > CHAIN_MAX {
            return Err(Refusal::ImageUnreadable);
        }
        let mut file = self.store.open(name).map_err(refusal)?;
        let format = match (self.format)(name).or(said) {
            Some(format) => format,
            None => probe(&mut *file)?,
        };
        match format {
            Format::Raw => Ok(self.wrap(name, format, Raw::open(file), Vec::new())),
            Format::Qcow2 => {
                let _ = discard;
                Err(Refusal::Unsupported)
            }
        }
    }

    fn wrap(
        &mut self,
        name: &ImageName,
        format: Format,
        device: impl BlockDevice + 'static,
        backing: Vec<Layer>,
    ) -> Image {
        Image {
            name: name.clone(),
            format,
            cluster: Geometry::DEFAULT_CLUSTER.0,
            device: Device::Own(self.store.above_format(name, Box::new(device))),
            backing,
        }
    }
}

/// Tells an image's format from its first bytes.
fn probe(file: &mut dyn BlockDevice) -> Result<Format, Refusal> {
    let mut magic = [0; 4];
    file.read_at(Offset(0), &mut magic)
        .map_err(|error| Stop::from(error).refusal(Refusal::ImageUnreadable))?;
    Ok(if magic == QCOW2_MAGIC {
        Format::Qcow2
    } else {
        Format::Raw
    })
}

fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Missing(_) => Refusal::ImageMissing,
        StoreError::Exists(_) => Refusal::ImageExists,
        _ => Refusal::ImageUnreadable,
    }
}

/// What a new image is to be.
#[derive(Clone, Debug)]
pub(crate) struct NewImage {
    pub(crate) format: Format,
    pub(crate) size: u64,
    pub(crate) cluster: u64,
    pub(crate) backing: Option<(ImageName, Format)>,
}

impl NewImage {
    /// Makes the image. Where that fails nothing is left of it.
    pub(crate) fn create(&self, store: &mut dyn Store, name: &ImageName) -> Result<(), Stop> {
        if self.format == Format::Raw && self.backing.is_some() {
            return Err(Refusal::Unsupported.into());
        }
        if !self.size.is_multiple_of(512) {
            return Err(Refusal::SizeUnaligned.into());
        }
        let size = match self.format {
            Format::Raw => self.size,
            Format::Qcow2 => 0,
        };
        let file = store.create(name, Length(size)).map_err(refusal)?;
        let made = self.write(file);
        if made.is_err() {
            let _gone = store.remove(name);
        }
        made
    }

    fn write(&self, _file: Box<dyn BlockDevice>) -> Result<(), Stop> {
        match self.format {
            Format::Raw => Ok(()),
            Format::Qcow2 => Err(Refusal::Unsupported.into()),
        }
    }
}

/// Changes the backing file that an image names, without copying.
pub(crate) fn rebase(
    _store: &mut dyn Store,
    _name: &ImageName,
    _backing: Option<(ImageName, Format)>,
) -> Result<(), Stop> {
    Err(Refusal::Unsupported.into())
}
