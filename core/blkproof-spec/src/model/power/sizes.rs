//! Sizes that a loss of power may take back, and what becomes of them.

use super::super::Model;
use super::super::bitmaps::Owner;
use super::super::images::ImageId;
use super::Change;
use crate::name::ImageName;
use crate::units::Length;

impl Model {
    /// Takes in that an image is about to get another size: durably, or nobody knows.
    pub(in super::super) fn resizing(&mut self, id: ImageId, size: u64, durable: bool) {
        let change = if durable {
            Change::DurableSize(size)
        } else {
            Change::Size { size, tried: false }
        };
        if let Some(unflushed) = self.account(id) {
            unflushed.changes.push(change);
        }
    }

    /// Takes in that an image was to get another size and goes on with the one that it had: its
    /// file may have either until that is written again.
    pub(in super::super) fn resize_tried(&mut self, id: ImageId, size: u64) {
        if let Some(unflushed) = self.account(id) {
            unflushed.changes.push(Change::Size { size, tried: true });
        }
    }

    /// Returns the disks and images of which a loss of power left the size open, with the sizes
    /// that they may have, ascending. The harness finds out and says so by
    /// [`Model::settle_size`], before anything is compared.
    #[must_use]
    pub fn doubtful_sizes(&self) -> Vec<(ImageName, Vec<u64>)> {
        let open = self
            .images
            .present()
            .filter(|(_, image)| !image.sizes.is_empty());
        open.map(|(_, image)| (image.name.clone(), image.sizes.clone()))
            .collect()
    }

    /// Takes in which size an image turned out to have.
    pub fn settle_size(&mut self, name: &ImageName, size: u64) {
        let Some(id) = self.images.find(name) else {
            return;
        };
        let image = self.images.get_mut(id);
        if !image.sizes.contains(&size) {
            return;
        }
        image.sizes.clear();
        if let Some(unflushed) = &mut image.unflushed {
            // A kill left it open, and the next loss goes on from what came of that.
            let found = Change::Size { size, tried: false };
            unflushed.changes.push(found);
        }
        image.geometry.size = Length(size);
        image.layer.truncate(size);
        let cluster = image.cluster();
        image.kept.truncate(size.next_multiple_of(cluster));
        for bitmap in self.bitmaps.iter_mut().chain(&mut self.power.vanished) {
            if bitmap.owner == Owner::Disk(id) {
                bitmap.track.high = bitmap.track.high.max(size);
            }
        }
    }
}
