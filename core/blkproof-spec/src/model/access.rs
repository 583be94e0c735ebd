//! What a generator may ask the model: names, sizes, states. Nothing here changes it.

use super::Model;
use super::bitmaps::Owner;
use super::jobs::{Job, Pause};
use crate::geometry::Geometry;
use crate::name::{BitmapName, ImageName, JobName, RequestId};
use crate::scenario::Role;
use crate::status::JobState;
use crate::step::Sync;

/// An image, or a disk with what is opened of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageView<'a> {
    /// Its name.
    pub name: &'a ImageName,
    /// Its shape now.
    pub geometry: Geometry,
    /// Its backing file.
    pub backing: Option<&'a ImageName>,
    /// What is opened of it.
    pub role: Role,
    /// Whether a disk, a job, or the chain of one has it open.
    pub open: bool,
}

/// A bitmap of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BitmapView<'a> {
    /// Its disk.
    pub disk: &'a ImageName,
    /// Its name.
    pub name: &'a BitmapName,
    /// Bytes per bit.
    pub granularity: u64,
    /// Whether a job holds it.
    pub busy: bool,
    /// Whether it, or its successor, records writes.
    pub recording: bool,
    /// Whether it is stored in the image.
    pub persistent: bool,
    /// Whether it was not stored properly, so that it can only be removed.
    pub inconsistent: bool,
    /// The bytes of the granules that have to be dirty.
    pub dirty: u64,
}

/// A job that is not dismissed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobView<'a> {
    /// Its id.
    pub name: &'a JobName,
    /// Its source.
    pub source: &'a ImageName,
    /// Its target.
    pub target: &'a ImageName,
    /// What it copies.
    pub sync: Sync,
    /// Its state.
    pub state: Option<JobState>,
    /// Whether a command or an error paused it.
    pub paused: bool,
    /// Whether it has not ended.
    pub active: bool,
}

impl Model {
    /// Returns all images that are, or may be, in the store, by name.
    pub fn images(&self) -> impl Iterator<Item = ImageView<'_>> + '_ {
        self.images.present().map(|(id, image)| ImageView {
            name: &image.name,
            geometry: image.geometry,
            backing: image.backing.as_ref(),
            role: image.role,
            open: self.is_open(id),
        })
    }

    /// Returns the bitmaps of all disks, in the order in which they were added.
    pub fn bitmaps(&self) -> impl Iterator<Item = BitmapView<'_>> + '_ {
        self.bitmaps.iter().filter_map(|bitmap| {
            let Owner::Disk(disk) = bitmap.owner else {
                return None;
            };
            Some(BitmapView {
                disk: &self.images.get(disk).name,
                name: &bitmap.name,
                granularity: bitmap.granularity,
                busy: bitmap.busy(),
                recording: bitmap.recording(),
                persistent: bitmap.persistent,
                inconsistent: bitmap.inconsistent,
                dirty: bitmap.track.must.total(),
            })
        })
    }

    /// Returns all jobs that are not dismissed, in the order in which they were started.
    pub fn jobs(&self) -> impl Iterator<Item = JobView<'_>> + '_ {
        self.jobs.iter().map(|job: &Job| JobView {
            name: &job.name,
            source: &self.images.get(job.source).name,
            target: &self.images.get(job.target).name,
            sync: job.sync,
            state: job.state,
            paused: job.pause != Pause::None,
            active: job.is_active(),
        })
    }

    /// Returns the names of the requests in flight.
    pub fn requests(&self) -> impl Iterator<Item = &RequestId> + '_ {
        self.flights.iter().filter_map(|flight| flight.id.as_ref())
    }

    /// Returns the images that restore a point in time now, each with the job that made it.
    pub fn restore_points(&self) -> impl Iterator<Item = (&ImageName, &JobName)> + '_ {
        self.restore_points
            .iter()
            .filter(|restore| restore.alive)
            .map(|restore| {
                let image = self.images.get(restore.image);
                (&image.name, &self.points[restore.point].job)
            })
    }
}
