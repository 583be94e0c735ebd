//! Bitmaps that outlive the engine: read from an image that is opened, stored when it is closed.
//!
//! While an image is open its bitmaps are flagged in the file. What is not stored at the end, for
//! whatever reason, stays flagged, and is inconsistent from then on.

use std::borrow::Cow;

use blkproof_device::{IoError, Wait};
use blkproof_qcow2::{NewBitmap, Qcow2Error, StoredBitmap};
use blkproof_spec::{BitmapName, JobEnd, JobState, Length, Refusal};

use crate::bitmap::Bitmap;
use crate::bugs::{Bug, Bugs};
use crate::image::Stored;
use crate::job::Job;
use crate::machine::Machine;
use crate::node::{Node, Place};
use crate::stop::Stop;

impl Node {
    /// Takes in the bitmaps that are stored in the image, and flags them there.
    pub(crate) fn load_bitmaps(&mut self, bugs: Bugs) -> Result<(), Refusal> {
        let Some(stored) = self.image.stored.clone() else {
            return Ok(());
        };
        let mut stored = stored.device();
        let all: Vec<_> = stored.bitmaps().collect();
        for found in all {
            let bitmap = self.load(&mut stored, &found, bugs)?;
            self.bitmaps.push(bitmap);
        }
        stored.mark_bitmaps().map_err(|error| unreadable(&error))
    }

    fn load(
        &self,
        stored: &mut Stored,
        found: &StoredBitmap,
        bugs: Bugs,
    ) -> Result<Bitmap, Refusal> {
        let name = BitmapName::new(&found.name);
        let in_use = found.in_use && !bugs.has(Bug::InUseIsValid);
        let enabled = found.enabled && !in_use;
        let enabled = enabled || bugs.has(Bug::DisabledComesBack) && !in_use;
        let mut bitmap = Bitmap::new(name, found.granularity.0, enabled, self.size, bugs);
        bitmap.persistent = true;
        bitmap.inconsistent = in_use;
        if in_use {
            return Ok(bitmap);
        }
        let runs = stored.read_bitmap(&found.name);
        let runs = runs.map_err(|error| unreadable(&error))?;
        Ok(bitmap.loaded(runs.unwrap_or_default()))
    }

    /// Stores the bitmaps in the image, which is about to be closed: all of them or, where a
    /// request fails, none. Those that are held are stored as their jobs give them back. One that
    /// the image cannot hold any more is left out.
    fn store_bitmaps(&self, holders: &[&Job], bugs: Bugs) -> Result<(), Wait> {
        let Some(stored) = &self.image.stored else {
            return Ok(());
        };
        let size = Length(self.size);
        let bitmaps = self.bitmaps.iter().filter(|bitmap| {
            let fits = Stored::can_store_bitmap(size, Length(bitmap.granularity));
            bitmap.persistent && !bitmap.inconsistent && fits
        });
        let bitmaps = bitmaps.map(|bitmap| {
            let holds = |job: &&&Job| {
                let held = job.bitmap.as_ref();
                bitmap.successor.is_some() && held.is_some_and(|(name, _)| *name == bitmap.name)
            };
            let mut bitmap = Cow::Borrowed(bitmap);
            if let Some(job) = holders.iter().find(holds) {
                job.give_back(bitmap.to_mut(), self.size, Some(JobEnd::Cancelled), bugs);
            }
            let runs = bitmap.to_store();
            (bitmap, runs)
        });
        let bitmaps: Vec<_> = bitmaps.collect();
        let new = bitmaps.iter().map(|(bitmap, runs)| NewBitmap {
            name: bitmap.name.as_str(),
            granularity: Length(bitmap.granularity),
            enabled: bitmap.enabled,
            runs,
        });
        let new: Vec<_> = new.collect();
        match stored.device().store_bitmaps(&new) {
            Err(Qcow2Error::Io(IoError::Wait(wait))) => Err(wait),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Flags the bitmaps in the image again, which is not closed after all. Where that fails the
    /// image does it before anything else changes.
    fn flag_bitmaps(&self) {
        if let Some(stored) = &self.image.stored {
            let _later = stored.device().mark_bitmaps();
        }
    }
}

impl Machine {
    /// Stores the bitmaps of all that is open and about to be closed, as they will be when its jobs
    /// are cancelled. Where that would have to wait, none is: a bitmap that was not stored before
    /// would be lost.
    pub(crate) fn store_bitmaps(&self) -> Result<(), Wait> {
        for node in self.nodes.iter() {
            let holds = |job: &&Job| {
                job.state != JobState::Concluded
                    && std::ptr::eq(&raw const self.nodes[job.source], node)
                    && !self.bugs.has(Bug::FrozenIsStored)
            };
            let holders: Vec<_> = self.jobs.iter().filter(holds).collect();
            if let Err(wait) = node.store_bitmaps(&holders, self.bugs) {
                self.nodes.iter().for_each(Node::flag_bitmaps);
                return Err(wait);
            }
        }
        Ok(())
    }

    /// Refuses a bitmap that the image at a place could not hold.
    pub(crate) fn check_storable(
        &mut self,
        place: Place,
        granularity: Length,
    ) -> Result<(), Refusal> {
        let node = &self.nodes[place.node()];
        if node.is_target() {
            return Err(Refusal::Unsupported);
        }
        let stored = node.bitmaps.iter().filter(|bitmap| bitmap.persistent);
        let full = stored.count() as u64 >= Stored::MAX_BITMAPS;
        // As in QEMU, a disk without a byte is found out when the bitmap is to be stored.
        let size = Length(node.size.max(1));
        let fits =
            Stored::can_store_bitmap(size, granularity) || self.bugs.has(Bug::TooLargeIsAdded);
        if node.image.stored.is_none() || full || !fits {
            return Err(Refusal::BitmapTooLarge);
        }
        Ok(())
    }

    /// Removes a bitmap from the file, if it is stored there.
    pub(crate) fn unstore(&mut self, place: Place, name: &BitmapName) -> Result<(), Stop> {
        let persistent = self.bitmap_at(place, name)?.persistent;
        let node = &self.nodes[place.node()];
        let leaves = persistent && !self.bugs.has(Bug::RemovedComesBack);
        let Some(stored) = node.image.stored.as_ref().filter(|_| leaves) else {
            return Ok(());
        };
        let removed = stored.device().remove_bitmap(name.as_str());
        removed.map_err(|error| match error {
            Qcow2Error::Io(error) => Stop::from(error),
            _ => Refusal::ImageUnreadable.into(),
        })?;
        Ok(())
    }
}

fn unreadable(error: &Qcow2Error) -> Refusal {
    match error {
        Qcow2Error::Io(IoError::Wait(_)) => Refusal::CannotDrain,
        _ => Refusal::ImageUnreadable,
    }
}
