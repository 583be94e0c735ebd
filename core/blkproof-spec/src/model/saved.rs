//! What a `none` job saves: nothing by itself, and all that the guest is about to change.
//!
//! Such a job has no success to report, so its target is judged when it is cancelled. Each request
//! that succeeded while it ran must have left behind, in whole job clusters, what was frozen; one
//! that failed, or of which nobody knows, may have. What no request touched is as the job found it.

use super::Model;
use super::backup::{allocated, clipped};
use super::ends::put;
use super::images::ImageId;
use super::jobs::Job;
use super::judgement::{Against, Demand, Judgement, Scope, Target};
use super::ranges::RangeSet;
use crate::geometry::Format;
use crate::name::ImageName;
use crate::property::Property;
use crate::status::JobEnd;
use crate::step::Sync;
use crate::units::ByteRange;

/// What a job saved of what the guest changed, in whole job clusters.
#[derive(Clone, Default, Debug)]
pub(crate) struct Saved {
    /// What it must have saved.
    must: RangeSet,
    /// What it may have saved, that included.
    may: RangeSet,
    /// A fault struck its target, or another job writes there too: nothing can be said of it.
    spoilt: bool,
}

impl Saved {
    /// Returns how many bytes it must have saved, and how many it may have.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.must.total(), self.may.total())
    }
}

impl Model {
    /// Takes in that a request is on its way that changes `range` of a disk, if it succeeds.
    pub(super) fn saving(&mut self, disk: ImageId, range: ByteRange) {
        for job in self.guards(disk).filter(|_| !range.is_empty()) {
            let clusters = range.outward(job.cluster);
            let wanted: u64 = [&job.must, &job.extra]
                .into_iter()
                .flat_map(|set| set.within(clusters))
                .map(|part| part.len)
                .sum();
            job.asked |= wanted > 0;
            let rests = job.is_at_rest();
            job.most = job.most.filter(|_| rests).map(|most| most + wanted);
        }
        self.each_saving(disk, range, |saved, clusters| saved.may.insert(clusters));
    }

    /// Takes in that a request changed `range` of a disk.
    pub(super) fn saved(&mut self, disk: ImageId, range: ByteRange) {
        for job in self.guards(disk).filter(|_| !range.is_empty()) {
            let clusters = job.must.within(range.outward(job.cluster));
            job.guarded.extend(clusters);
        }
        self.each_saving(disk, range, |saved, clusters| {
            saved.must.insert(clusters);
            saved.may.insert(clusters);
        });
    }

    fn each_saving(
        &mut self,
        disk: ImageId,
        range: ByteRange,
        take: impl Fn(&mut Saved, ByteRange),
    ) {
        for job in self.guards(disk).filter(|_| !range.is_empty()) {
            if job.sync == Sync::None {
                take(&mut job.saved, range.outward(job.cluster));
            }
        }
    }

    /// Returns the jobs that save what a guest's request to a disk is about to change.
    fn guards(&mut self, disk: ImageId) -> impl Iterator<Item = &mut Job> {
        let jobs = self.jobs.iter_mut();
        jobs.filter(move |job| job.source == disk && job.is_active())
    }

    /// Takes in that a fault struck an image, which may be a job's target. What fails elsewhere
    /// fails the request that waits for it.
    pub(super) fn spoil_target(&mut self, image: &ImageName) {
        let Some(id) = self.images.find(image) else {
            return;
        };
        for job in self.jobs.iter_mut().filter(|job| job.target == id) {
            job.saved.spoilt = true;
        }
    }

    /// Takes in that jobs write to one target.
    pub(super) fn spoil_shared(&mut self, target: ImageId) {
        let writes = |job: &&mut Job| job.target == target && job.is_active();
        if self.jobs.iter_mut().filter(writes).count() > 1 {
            for job in self.jobs.iter_mut().filter(writes) {
                job.saved.spoilt = true;
            }
        }
    }

    /// Tells whether it is known what a job that ended like this left in its target.
    pub(super) fn left_as_saved(&self, job: &Job, end: JobEnd) -> bool {
        let known = job.sync == Sync::None && end == JobEnd::Cancelled && !job.saved.spoilt;
        let doubtful = self.images.is_doubtful(job.target);
        known && !self.images.get(job.target).is_disk() && !doubtful
    }

    /// Puts into the target what the job saved, and demands that it stands there and nothing else.
    pub(super) fn leave_saved(&mut self, job: &Job, out: &mut Judgement) {
        self.demand_untouched(job, out);
        let size = self.points[job.point].size;
        let saved: Vec<_> = clipped(&job.saved.must, size).collect();
        for range in &saved {
            let new = self.points[job.point].contents.cut(*range);
            self.unflushed(job.target, *range, || new.clone());
            put(&mut self.images.get_mut(job.target).layer, *range, &new);
        }
        let mut open = job.saved.may.clone();
        open.subtract(&job.saved.must);
        for range in clipped(&open, size) {
            let new = self.points[job.point].contents.cut(range);
            self.unflushed(job.target, range, || new.clone());
            self.images.blur(job.target, range, new, None);
        }
        let image = self.images.get_mut(job.target);
        let cluster = image.cluster();
        for range in job.saved.may.iter() {
            image.kept.insert(range.outward(cluster));
        }
        let demand = self.demand_of_saved(job, Scope::Within(saved));
        out.demands.push(demand);
        if self.is_still(job.target) {
            out.demands.push(Demand {
                against: Against::Itself,
                ..self.demand_of_saved(job, Scope::Whole)
            });
        }
    }

    fn demand_of_saved(&self, job: &Job, scope: Scope) -> Demand {
        Demand {
            target: Target::Image(self.name_of(job.target)),
            size: self.points[job.point].size.into(),
            scope,
            property: Property::RestoreExact,
            against: Against::Point(job.point),
        }
    }

    /// Demands that the target, which is as the job found it, has nothing allocated besides but
    /// what may have been saved.
    fn demand_untouched(&self, job: &Job, out: &mut Judgement) {
        let image = self.images.get(job.target);
        if image.geometry.format != Format::Qcow2 {
            return;
        }
        let (mut may, extra) = allocated(image, &image.layer);
        may.extend(extra.iter());
        let saved = job.saved.may.iter();
        may.extend(saved.map(|range| range.outward(image.cluster())));
        out.demands.push(Demand {
            property: Property::CopyMinimal,
            against: Against::Clusters(may.to_vec()),
            ..self.demand_of_saved(job, Scope::Allocation)
        });
    }

    /// Tells whether an image stands on nothing that a guest writes to.
    fn is_still(&self, image: ImageId) -> bool {
        let mut still = true;
        let complete = self
            .images
            .descend(image, |below| still &= !self.images.get(below).is_disk());
        complete.is_some() && still
    }
}
