//! What names mean: devices, nodes, filters, and what is open.

use super::Model;
use super::bitmaps::Owner;
use super::images::ImageId;
use super::jobs::Job;
use crate::name::{BitmapName, ImageName, JobName};
use crate::reply::Refusal;
use crate::scenario::Role;
use crate::step::At;

/// What a name was resolved to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Resolved {
    pub(super) disk: ImageId,
    /// The job whose filter the name means: a device name, while jobs run.
    pub(super) filter: Option<JobName>,
    /// The name is a node's.
    pub(super) by_node: bool,
}

impl Resolved {
    /// Returns whose bitmaps the name means.
    pub(super) fn owner(&self) -> Owner {
        match &self.filter {
            Some(job) => Owner::Filter(job.clone()),
            None => Owner::Disk(self.disk),
        }
    }
}

impl Model {
    /// Resolves a name as every command but resize does: a device, or else a node.
    pub(super) fn resolve(&self, at: &At) -> Option<Resolved> {
        let disk = self.images.find(at.name())?;
        let role = self.images.get(disk).role;
        let by_node = match (at, role) {
            (_, Role::Image) => return None,
            (At::Device(_), Role::Device) => false,
            (At::Device(_), Role::Node) | (At::Node(_), _) => true,
        };
        let filter = if by_node {
            None
        } else {
            self.jobs_on(disk).next().map(|job| job.name.clone())
        };
        Some(Resolved {
            disk,
            filter,
            by_node,
        })
    }

    /// Returns the active jobs on a disk, the one whose filter is on top first.
    pub(super) fn jobs_on(&self, disk: ImageId) -> impl Iterator<Item = &Job> + '_ {
        self.jobs
            .iter()
            .filter(move |job| job.source == disk && job.is_active())
    }

    /// Returns the index of the job of this name that is not dismissed.
    pub(super) fn job_index(&self, name: &JobName) -> Option<usize> {
        self.jobs.iter().position(|job| job.name == *name)
    }

    /// Returns the index of a bitmap.
    pub(super) fn bitmap_index(&self, owner: &Owner, name: &BitmapName) -> Option<usize> {
        self.bitmaps
            .iter()
            .position(|bitmap| bitmap.name == *name && bitmap.owner == *owner)
    }

    /// Tells whether a disk or an active job's target is this image.
    pub(super) fn is_written(&self, id: ImageId) -> bool {
        self.images.get(id).is_disk()
            || self
                .jobs
                .iter()
                .any(|job| job.is_active() && job.target == id)
    }

    /// Tells whether somebody has the image open, to write it or as part of a backing chain.
    pub(super) fn is_open(&self, id: ImageId) -> bool {
        self.images
            .disks()
            .any(|(disk, _)| self.images.reaches(disk, id))
            || self
                .jobs
                .iter()
                .any(|job| job.is_active() && self.images.reaches(job.target, id))
    }

    /// Tells whether the image of this name is `id` or lies below it.
    pub(super) fn on_chain(&self, id: ImageId, name: &ImageName) -> bool {
        self.images
            .find(name)
            .is_some_and(|part| self.images.reaches(id, part))
    }
}

/// A set of refusals of which any may be given; the first is the one that QEMU's order gives.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Refusals {
    pub(crate) any_of: Vec<Refusal>,
    /// Whatever reason is given, the command must be refused.
    pub(crate) any_reason: bool,
    /// It may also be done.
    pub(crate) or_done: bool,
}

impl Refusals {
    pub(super) fn any() -> Self {
        Self {
            any_reason: true,
            ..Self::default()
        }
    }

    /// Returns the same, for a command that may also be accepted.
    pub(super) fn or_done(mut self) -> Self {
        self.or_done = true;
        self
    }

    pub(crate) fn allow(&self, refusal: Refusal) -> bool {
        self.any_reason || self.any_of.contains(&refusal)
    }
}

impl From<Refusal> for Refusals {
    fn from(refusal: Refusal) -> Self {
        Self::from([refusal].as_slice())
    }
}

impl From<&[Refusal]> for Refusals {
    fn from(any_of: &[Refusal]) -> Self {
        Self {
            any_of: any_of.to_vec(),
            ..Self::default()
        }
    }
}
