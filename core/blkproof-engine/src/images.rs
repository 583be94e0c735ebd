//! Commands about images: opening, making, rebasing, removing and resizing them.

use blkproof_device::IoError;
use blkproof_spec::step::Create;
use blkproof_spec::{At, DiscardMode, DiskId, Errno, Format, ImageName, Length, Refusal};

use crate::bugs::Bug;
use crate::image::{Chain, Image, NewImage, Opener, rebase};
use crate::machine::Machine;
use crate::node::{Nodes, Place, Use};
use crate::stop::Stop;

/// The largest size of a disk.
const SIZE_MAX: u64 = 9_223_372_035_781_033_984;

impl Machine {
    /// Tells whether the store has an image of this name.
    pub(crate) fn exists(&mut self, name: &ImageName) -> bool {
        self.store().exists(name)
    }

    /// Returns the number by which stamped data names a disk; images that are none have no number
    /// of their own.
    pub(crate) fn disk_id(&self, name: &ImageName) -> DiskId {
        let index = self.disks.iter().position(|disk| disk == name);
        DiskId(index.map_or(u32::MAX, |index| u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// Opens an image with its chain. `attach` returns what is open already and is to be used as it
    /// is.
    pub(crate) fn open_image(
        &mut self,
        name: &ImageName,
        discard: DiscardMode,
        mut attach: impl FnMut(&mut Nodes, &ImageName) -> Result<Option<Chain>, Refusal>,
    ) -> Result<Image, Refusal> {
        let store = self.store.as_deref_mut();
        let nodes = &mut self.nodes;
        Opener {
            store: store.expect("images are opened by an engine that is open"),
            formats: &self.formats,
            attach: &mut |layer| attach(nodes, layer),
            bugs: self.bugs,
        }
        .open(name, discard)
    }

    /// Makes an image that is not there yet.
    pub(crate) fn create_image(&mut self, name: &ImageName, image: &NewImage) -> Result<(), Stop> {
        image.create(self.store(), name)?;
        self.formats.insert(name.clone(), image.format);
        Ok(())
    }

    /// Makes the image that a step asks for.
    pub(crate) fn create(&mut self, step: &Create) -> Result<(), Stop> {
        if self.exists(&step.image) {
            return Err(Refusal::ImageExists.into());
        }
        let mut backing = None;
        let mut size = step.size;
        if let Some(name) = &step.backing {
            if !self.exists(name) {
                return Err(Refusal::ImageMissing.into());
            }
            let (format, length) = self.shape(name)?;
            size = size.or(Some(length));
            backing = Some((name.clone(), format));
        }
        let image = NewImage {
            format: step.format,
            size: size.ok_or(Refusal::SizeUnaligned)?.0,
            cluster: step.cluster.0,
            backing,
        };
        self.create_image(&step.image, &image)
    }

    /// Returns the format and the size of an image.
    fn shape(&mut self, name: &ImageName) -> Result<(Format, Length), Refusal> {
        if let Some(node) = self.nodes.writer(name) {
            let node = &self.nodes[node];
            return Ok((node.image.format, Length(node.size)));
        }
        let image = self.open_image(name, DiscardMode::Ignore, attach_writer)?;
        Ok((image.format, Length(image.size())))
    }

    /// Changes the backing file that an image names, without copying.
    pub(crate) fn rebase(
        &mut self,
        name: &ImageName,
        backing: Option<&ImageName>,
    ) -> Result<(), Stop> {
        for image in [name].into_iter().chain(backing) {
            if !self.exists(image) {
                return Err(Refusal::ImageMissing.into());
            }
        }
        if self.nodes.uses(name) {
            return Err(Refusal::ImageInUse.into());
        }
        let backing = match backing {
            Some(backing) => Some((backing.clone(), self.shape(backing)?.0)),
            None => None,
        };
        if self.formats.get(name) == Some(&Format::Raw) {
            return Err(Refusal::Unsupported.into());
        }
        let bugs = self.bugs;
        rebase(self.store(), name, backing.as_ref(), bugs)
    }

    /// Deletes an image.
    pub(crate) fn remove(&mut self, name: &ImageName) -> Result<(), Stop> {
        if !self.exists(name) {
            return Err(Refusal::ImageMissing.into());
        }
        if self.nodes.uses(name) {
            return Err(Refusal::ImageInUse.into());
        }
        self.formats.remove(name);
        let removed = self.store().remove(name);
        removed.map_err(|_| Stop::Failed(Errno::EIO))
    }

    /// Gives a disk a new size. A device is looked up among devices alone, a node among nodes.
    pub(crate) fn resize(&mut self, at: &At, size: Length) -> Result<(), Stop> {
        let place = self.nodes.find(at).ok_or(Refusal::NoSuchDevice)?;
        let node = &self.nodes[place.node()];
        if matches!(at, At::Device(_)) && node.used != Use::Device {
            return Err(Refusal::NoSuchDevice.into());
        }
        match place {
            Place::Filter(..) => return Err(Refusal::NodeBusy.into()),
            Place::Node(_) if node.is_target() => return Err(Refusal::NodeBusy.into()),
            Place::Node(_) if !node.filters.is_empty() => {
                return Err(Refusal::PermissionConflict.into());
            }
            Place::Node(_) => {}
        }
        if size.0 > SIZE_MAX {
            return Err(Refusal::SizeTooLarge.into());
        }
        if !size.0.is_multiple_of(512) {
            return Err(Refusal::SizeUnaligned.into());
        }
        let mut bitmaps = self.nodes[place.node()].bitmaps.iter();
        if bitmaps.any(|bitmap| bitmap.inconsistent) {
            return Err(Refusal::BitmapInconsistent.into());
        }
        self.drain(|node| node == place.node())
            .map_err(|_| Refusal::CannotDrain)?;
        let node = &mut self.nodes[place.node()];
        let old = node.size;
        let result = node.device().set_size(size);
        node.size = node.image.size();
        let new = if self.bugs.has(Bug::SizeAsWished) {
            size.0
        } else {
            node.size
        };
        if new != old {
            for bitmap in &mut node.bitmaps {
                bitmap.resize(old, new);
            }
        }
        match result {
            // It has come about; nothing that is left to do can be seen.
            Err(IoError::Wait(_)) if new == size.0 && new != old => Ok(()),
            Err(IoError::Failed(Errno::EFBIG)) if size.0 > node.image.size_max() => {
                Err(Refusal::SizeTooLarge.into())
            }
            result => result.map_err(Stop::from),
        }
    }
}

/// Uses images that are open for writing as they are.
pub(crate) fn attach_writer(nodes: &mut Nodes, name: &ImageName) -> Result<Option<Chain>, Refusal> {
    Ok(nodes.writer(name).map(|node| nodes.share(node)))
}
