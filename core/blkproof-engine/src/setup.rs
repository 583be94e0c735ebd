//! Making a setup's images, opening its disks, shutting down, and looking at contents.

use blkproof_device::{BlockDevice, Durability, IoError, IoResult, Load, Store, Wait};
use blkproof_spec::scenario::Role;
use blkproof_spec::{
    At, ByteRange, DiscardMode, DiskSetup, ImageName, JobEnd, JobState, Offset, Refusal, Setup,
};

use crate::bugs::Bug;
use crate::image::NewImage;
use crate::images::attach_writer;
use crate::machine::Machine;
use crate::node::{Node, Use};
use crate::runs::Runs;
use crate::stop::Stop;

/// How much is written at once where a disk gets its contents.
const PIECE: u64 = 1 << 20;

impl Machine {
    /// Makes those images of the setup that the store does not have.
    pub(crate) fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), String> {
        self.reset(store, setup);
        self.events.clear();
        self.now = 0;
        for disk in &setup.disks {
            if !self.exists(&disk.name) {
                let made = self.make_disk(disk);
                made.map_err(|stop| format!("cannot make {}: {}", disk.name, words(&stop)))?;
            }
        }
        self.store = None;
        Ok(())
    }

    /// Opens the disks of the setup.
    pub(crate) fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), String> {
        self.reset(store, setup);
        for (index, disk) in setup.disks.iter().enumerate() {
            let used = match disk.role {
                Role::Device => Use::Device,
                Role::Node => Use::Node,
                Role::Image => continue,
            };
            let opened = self.open_disk(index, disk, used);
            opened.map_err(|refusal| format!("cannot open {}: {refusal}", disk.name))?;
        }
        Ok(())
    }

    fn open_disk(&mut self, index: usize, disk: &DiskSetup, used: Use) -> Result<(), Refusal> {
        if self.nodes.uses(&disk.name) {
            return Err(Refusal::ImageInUse);
        }
        let discard = disk.geometry.discard;
        let image = self.open_image(&disk.name, discard, |nodes, layer| {
            match nodes.writer(layer) {
                Some(_) => Err(Refusal::ImageInUse),
                None => Ok(None),
            }
        })?;
        let number = blkproof_spec::DiskId(u32::try_from(index).unwrap_or(u32::MAX));
        let mut node = Node::new(number, image, discard, used);
        node.stale = self.bugs.has(Bug::StatusIsStale).then(Runs::default);
        node.load_bitmaps(self.bugs)?;
        self.nodes.add(node);
        Ok(())
    }

    /// Drops whatever is open.
    fn reset(&mut self, store: Box<dyn Store>, setup: &Setup) {
        self.peeked = None;
        self.jobs.clear();
        self.requests.clear();
        self.nodes.clear();
        self.store = Some(store);
        self.units_max = setup.limits.units_per_step;
        self.disks.clear();
        self.formats.clear();
        for disk in &setup.disks {
            self.disks.push(disk.name.clone());
            self.formats.insert(disk.name.clone(), disk.geometry.format);
        }
    }

    fn make_disk(&mut self, disk: &DiskSetup) -> Result<(), Stop> {
        let backing = disk.backing.as_ref().map(|name| {
            let format = self.formats.get(name).copied();
            (name.clone(), format.unwrap_or(disk.geometry.format))
        });
        let new = NewImage {
            format: disk.geometry.format,
            size: disk.geometry.size.0,
            cluster: disk.geometry.cluster.0,
            backing,
        };
        self.create_image(&disk.name, &new)?;
        if disk.contents.is_empty() {
            return Ok(());
        }
        let mut image = self.open_image(&disk.name, DiscardMode::Unmap, attach_writer)?;
        for (range, byte) in &disk.contents {
            write_all(image.device(), *range, *byte)?;
        }
        image.device().flush()?;
        Ok(())
    }

    /// Makes everything ready to be closed: what is on its way is carried out, disks are
    /// flushed, bitmaps stored. Where something waits nothing is closed; a failed flush is told.
    pub(crate) fn settle_all(&mut self) -> Result<Result<(), String>, Wait> {
        self.peeked = None;
        self.drain(|_| true)?;
        for index in 0..self.jobs.len() {
            if self.jobs[index].state != JobState::Concluded {
                self.quiesce(index)?;
            }
        }
        let mut result = Ok(());
        for node in self.nodes.iter_mut().filter(|node| !node.is_target()) {
            match node.device().flush() {
                Ok(()) => {}
                Err(IoError::Wait(wait)) => return Err(wait),
                Err(error) => result = Err(format!("cannot flush {}: {error}", node.name())),
            }
        }
        self.store_bitmaps()?;
        Ok(result)
    }

    /// Closes everything, which is settled. Jobs are cancelled.
    pub(crate) fn close(&mut self) {
        while let Some(index) = self.jobs.len().checked_sub(1) {
            if self.jobs[index].state != JobState::Concluded {
                self.abort(index, JobEnd::Cancelled);
                continue;
            }
            self.enter(index, JobState::Null);
            self.jobs.remove(index);
        }
        self.requests.clear();
        self.nodes.clear();
        self.store = None;
    }

    /// Reads a disk as the guest would, or an image through its chain.
    pub(crate) fn peek(
        &mut self,
        at: &At,
        range: ByteRange,
        read: impl FnOnce(&mut dyn BlockDevice) -> IoResult<()>,
    ) -> Result<(), String> {
        let name = at.name();
        let read = match self.nodes.named(name).or_else(|| self.nodes.writer(name)) {
            Some(node) => read(self.nodes[node].device()),
            None => self.peek_image(name, read)?,
        };
        read.map_err(|error| format!("cannot read {range} of {name}: {error}"))
    }

    fn peek_image(
        &mut self,
        name: &ImageName,
        read: impl FnOnce(&mut dyn BlockDevice) -> IoResult<()>,
    ) -> Result<IoResult<()>, String> {
        let open = self.peeked.take().filter(|image| image.name == *name);
        let mut image = match open {
            Some(image) => image,
            None => self
                .open_image(name, DiscardMode::Ignore, attach_writer)
                .map_err(|refusal| format!("cannot open {name}: {refusal}"))?,
        };
        let read = read(image.device());
        self.peeked = Some(image);
        Ok(read)
    }
}

fn write_all(device: &mut dyn BlockDevice, range: ByteRange, byte: u8) -> Result<(), IoError> {
    if byte == 0 {
        return device.write_zeroes(range, true);
    }
    let mut rest = range;
    while !rest.is_empty() {
        let piece = ByteRange::new(rest.start, rest.len.min(PIECE));
        let load = Load::Fill(byte, piece.len);
        device.write_load(Offset(piece.start), load, Durability::Later)?;
        rest = ByteRange::between(piece.end(), rest.end());
    }
    Ok(())
}

fn words(stop: &Stop) -> String {
    match stop {
        Stop::Refused(refusal) => refusal.to_string(),
        Stop::Failed(errno) => errno.to_string(),
        Stop::Waits(_) => "suspended".to_owned(),
    }
}
