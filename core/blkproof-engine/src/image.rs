//! Images: formats on devices of the store, with their backing chains.

use std::collections::BTreeMap;

use blkproof_device::{BlockDevice, IoError, Store, StoreError};
use blkproof_qcow2::{
    BackingName, CreateOptions, OpenOptions, Qcow2, Qcow2Error, create, size_max,
};
use blkproof_spec::{DiscardMode, Format, Geometry, ImageName, Length, Offset, Refusal};

use crate::bugs::{Bug, Bugs};
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
    /// Where its bitmaps are stored, if it can store any: the format, below all layers.
    pub(crate) stored: Option<Shared<Stored>>,
    /// The images below it.
    pub(crate) backing: Chain,
}

/// An image that can store bitmaps.
pub(crate) type Stored = Qcow2<Box<dyn BlockDevice>>;

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

    /// Returns the largest size that the format can express.
    pub(crate) fn size_max(&self) -> u64 {
        match self.format {
            Format::Raw => u64::MAX,
            Format::Qcow2 => size_max(Length(self.cluster)).0,
        }
    }

    /// Returns the image and its chain as what another image can be backed by.
    pub(crate) fn share(self) -> (Self, Chain) {
        let shared = self.device.share();
        let chain = self.backing.clone();
        let chain = chain.topped(self.name.clone(), self.format, shared.clone());
        let device = Device::Shared(shared);
        (Self { device, ..self }, chain)
    }

    /// Becomes, with its chain, what another image can be backed by.
    fn into_chain(self) -> Chain {
        let device = self.device.share();
        self.backing.topped(self.name, self.format, device)
    }
}

impl Device {
    fn share(self) -> Shared {
        match self {
            Self::Own(device) => Shared::new(device),
            Self::Shared(shared) => shared,
        }
    }
}

/// The images below an image. They lie from the bottom up, so that an image adds itself to those
/// below it without a copy of them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Chain(Vec<Layer>);

impl Chain {
    /// Adds an image on top.
    fn topped(mut self, name: ImageName, format: Format, device: Shared) -> Self {
        self.0.push(Layer {
            name,
            format,
            device,
        });
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the image on top of the others.
    pub(crate) fn top(&self) -> Option<&Layer> {
        self.0.last()
    }

    /// Returns all images from the top down.
    pub(crate) fn downwards(&mut self) -> impl Iterator<Item = &mut Layer> {
        self.0.iter_mut().rev()
    }

    /// Tells whether an image of this name is among them.
    pub(crate) fn has(&self, name: &ImageName) -> bool {
        self.0.iter().any(|layer| layer.name == *name)
    }
}

/// An image of a backing chain.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) name: ImageName,
    pub(crate) format: Format,
    pub(crate) device: Shared,
}

/// Returns an image and its chain where it is open already and is to be used as it is.
pub(crate) type Attach<'a> = dyn FnMut(&ImageName) -> Result<Option<Chain>, Refusal> + 'a;

/// Says how images are opened.
pub(crate) struct Opener<'a> {
    pub(crate) store: &'a mut dyn Store,
    /// The formats that are known without looking.
    pub(crate) formats: &'a BTreeMap<ImageName, Format>,
    pub(crate) attach: &'a mut Attach<'a>,
    pub(crate) bugs: Bugs,
}

impl Opener<'_> {
    /// Opens an image for writing, and its chain for reading.
    pub(crate) fn open(
        &mut self,
        name: &ImageName,
        discard: DiscardMode,
    ) -> Result<Image, Refusal> {
        let options = OpenOptions {
            discard,
            ..OpenOptions::default()
        };
        self.open_at(name, None, &options, 0)
    }

    fn open_at(
        &mut self,
        name: &ImageName,
        said: Option<Format>,
        options: &OpenOptions,
        depth: usize,
    ) -> Result<Image, Refusal> {
        let mut file = self.store.open(name).map_err(refusal)?;
        let format = match self.formats.get(name).copied().or(said) {
            Some(format) => format,
            None => probe(&mut *file)?,
        };
        let mut cluster = Geometry::DEFAULT_CLUSTER;
        let mut backing = Chain::default();
        let mut stored = None;
        let device: Box<dyn BlockDevice> = match format {
            Format::Raw => Box::new(Raw::open(file)),
            Format::Qcow2 => {
                let mut device = Qcow2::open(file, options).map_err(|error| unreadable(&error))?;
                device.set_mistake(self.bugs.mistake());
                cluster = device.cluster();
                if let Some(below) = device.backing_name() {
                    backing = self.open_backing(&below.clone(), depth)?;
                }
                if let Some(below) = backing.top() {
                    device.set_backing(Some(Box::new(below.device.clone())));
                }
                if options.read_only || device.version() < 3 {
                    Box::new(device)
                } else {
                    let device = Shared::new(device);
                    stored = Some(device.clone());
                    Box::new(device)
                }
            }
        };
        Ok(Image {
            name: name.clone(),
            format,
            cluster: cluster.0,
            device: Device::Own(self.store.above_format(name, device)),
            stored,
            backing,
        })
    }

    fn open_backing(&mut self, below: &BackingName, depth: usize) -> Result<Chain, Refusal> {
        if depth >= CHAIN_MAX {
            return Err(Refusal::ImageUnreadable);
        }
        let name = ImageName::new(&below.name);
        if let Some(chain) = (self.attach)(&name)? {
            return Ok(chain);
        }
        let options = OpenOptions {
            read_only: true,
            ..OpenOptions::default()
        };
        let said = below.format.as_deref().and_then(format_named);
        let image = self.open_at(&name, said, &options, depth + 1)?;
        Ok(image.into_chain())
    }
}

fn format_named(name: &str) -> Option<Format> {
    match name {
        "raw" => Some(Format::Raw),
        "qcow2" => Some(Format::Qcow2),
        _ => None,
    }
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Raw => "raw",
        Format::Qcow2 => "qcow2",
    }
}

fn backing_name((name, format): &(ImageName, Format)) -> BackingName {
    BackingName {
        name: name.as_str().to_owned(),
        format: Some(format_name(*format).to_owned()),
    }
}

fn unreadable(error: &Qcow2Error) -> Refusal {
    match error {
        Qcow2Error::Io(IoError::Wait(_)) => Refusal::CannotDrain,
        _ => Refusal::ImageUnreadable,
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

    fn write(&self, mut file: Box<dyn BlockDevice>) -> Result<(), Stop> {
        if self.format == Format::Raw {
            return Ok(());
        }
        let options = CreateOptions {
            size: Length(self.size),
            cluster: Length(self.cluster),
            backing: self.backing.as_ref().map(backing_name),
        };
        create(&mut *file, &options).map_err(|error| match error {
            Qcow2Error::Option { option: "size", .. } => Refusal::SizeTooLarge.into(),
            Qcow2Error::Option {
                option: "cluster size",
                ..
            } => Refusal::BadCluster.into(),
            error => stop(error),
        })
    }
}

fn stop(error: Qcow2Error) -> Stop {
    match error {
        Qcow2Error::Io(error) => error.into(),
        Qcow2Error::Option { .. } => Refusal::Unsupported.into(),
        _ => Refusal::ImageUnreadable.into(),
    }
}

/// Changes the backing file that an image names, without copying.
pub(crate) fn rebase(
    store: &mut dyn Store,
    name: &ImageName,
    backing: Option<&(ImageName, Format)>,
    bugs: Bugs,
) -> Result<(), Stop> {
    let file = store.open(name).map_err(refusal)?;
    let mut image = match Qcow2::open(file, &OpenOptions::default()) {
        Err(Qcow2Error::NotQcow2 { .. }) => return Err(Refusal::Unsupported.into()),
        opened => opened.map_err(stop)?,
    };
    image
        .write_backing_name(backing.map(backing_name))
        .map_err(stop)?;
    if !bugs.has(Bug::RebasedIsVolatile) {
        image.flush()?;
    }
    Ok(())
}
