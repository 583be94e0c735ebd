//! Dirty bits of what was not flushed.
//!
//! A bitmap that outlives a loss of power has to be sound: what differs from its base is dirty. A
//! change that the loss took back differs from nothing, so whoever keeps bitmap and data in order
//! by other means than a flush, as on a device that never reorders, may well have lost both. Of
//! what was not flushed the bits are therefore open until the disk shows whether it is there.

use super::super::Model;
use super::super::bitmaps::{Bitmap, Owner, Track};
use super::super::images::ImageId;
use super::super::ranges::RangeSet;
use super::{Change, Unflushed};

impl Model {
    /// Tells whether account is kept of what is not flushed.
    pub(in super::super) fn expects_power_losses(&self) -> bool {
        self.power.expected
    }

    /// Takes in that all that made bits of a disk's bitmaps dirty is durable, but for what requests
    /// that are still in flight do.
    pub(super) fn firm_bits(&mut self, disk: ImageId) {
        let flights = self.flights.iter();
        let open = flights.filter(|flight| flight.disk == disk && !flight.done);
        let open: Vec<_> = open.filter_map(|flight| flight.effect).collect();
        for bitmap in of_disk(&mut self.bitmaps, disk) {
            let granularity = bitmap.granularity;
            for track in tracks(bitmap) {
                track.loose = RangeSet::default();
                for effect in &open {
                    track.loosen(effect.dirty.outward(granularity));
                }
            }
        }
    }

    /// Leaves open which bits of a disk's bitmaps have to be dirty, of those that only what was not
    /// flushed made so. What a kill leaves may be lost by a cut later.
    pub(super) fn lose_bits(&mut self, disk: ImageId, unflushed: &Unflushed, kill: bool) {
        for bitmap in of_disk(&mut self.bitmaps, disk) {
            let durable = unflushed.changes.iter().filter_map(|change| match change {
                Change::Durable { range, .. } => Some(bitmap.granules(*range)),
                _ => None,
            });
            let mut firm = RangeSet::default();
            firm.extend(durable);
            for track in tracks(bitmap) {
                track.lose(&firm);
                if !kill {
                    track.loose = RangeSet::default();
                }
            }
        }
    }

    /// Takes in that a step is over in which power was lost: reports tell from now on which bits
    /// are dirty.
    pub(in super::super) fn forget_lost_bits(&mut self) {
        if self.power.losses > 0 {
            for bitmap in &mut self.bitmaps {
                bitmap.track.lost = RangeSet::default();
            }
        }
    }
}

fn of_disk(bitmaps: &mut [Bitmap], disk: ImageId) -> impl Iterator<Item = &mut Bitmap> {
    let of_disk = move |bitmap: &&mut Bitmap| bitmap.owner == Owner::Disk(disk);
    bitmaps.iter_mut().filter(of_disk)
}

fn tracks(bitmap: &mut Bitmap) -> impl Iterator<Item = &mut Track> {
    [&mut bitmap.track].into_iter().chain(&mut bitmap.successor)
}
