//! How a backup ends: what its target holds, what becomes of its bitmap.

use super::Model;
use super::backup::{allocated, clipped};
use super::bitmaps::{Base, Owner, Track};
use super::images::{Absent, Contents, ImageId, Value};
use super::jobs::{Job, Pause, RestorePoint};
use super::judgement::{Against, Demand, Judgement, Scope, Target};
use super::ranges::RangeSet;
use crate::event::Side;
use crate::geometry::Format;
use crate::name::BitmapName;
use crate::property::{Property, fault_surfaces, transaction_atomic};
use crate::status::JobEnd;
use crate::step::{BitmapMode, Sync};
use crate::units::ByteRange;

/// A bitmap that a job with mode `always` gave back without having copied everything: which
/// clusters it copied shows in what the bitmap holds now.
#[derive(Clone, Debug)]
pub(super) struct Remainder {
    pub(super) owner: Owner,
    pub(super) name: BitmapName,
    target: ImageId,
    point: usize,
    /// What the job surely had to copy.
    must: RangeSet,
    /// The unit in which what is dirty counts as not copied.
    cluster: u64,
    /// How many bytes of that it did not copy, at least.
    pub(super) left: u64,
}

impl Model {
    /// Takes in how a job ended.
    pub(super) fn end_job(&mut self, index: usize, end: JobEnd, out: &mut Judgement) {
        let source = self.jobs[index].source;
        self.drained(source);
        // Taken out while its end is worked out, so that nothing of it needs a copy.
        let mut job = self.jobs.remove(index);
        job.end = Some(end);
        job.pause = Pause::None;
        self.scope.ends.push((job.name.clone(), end));
        if let Some(group) = job.group {
            let others = self.group_ends.iter().filter(|(other, _)| *other == group);
            for (_, other) in others {
                transaction_atomic::ends(&job.name, end, *other, out);
            }
            self.group_ends.push((group, end));
        }
        let filter = Owner::Filter(job.name.clone());
        self.bitmaps.retain(|bitmap| bitmap.owner != filter);
        if end == JobEnd::Success {
            fault_surfaces::job(job.errors.owed(), out);
            let may = self.may_allocate(&job);
            self.fill_target(&job);
            // Success is reported of what is durable.
            self.flushed(job.target);
            self.demand_target(&job, may, out);
        } else if self.left_as_saved(&job, end) {
            self.leave_saved(&job, out);
        } else {
            self.blur_target(&job);
        }
        self.return_bitmap(&job, end);
        if !job.touched.is_empty() {
            out.demands.push(Demand {
                target: Target::Disk(self.name_of(source)),
                size: self.images.get(source).geometry.size,
                scope: Scope::Within(job.touched.to_vec()),
                property: Property::GuestUnharmed,
                against: Against::Itself,
            });
        }
        self.jobs.insert(index, job);
    }

    /// Puts what was frozen into the target, wherever it was to be copied.
    fn fill_target(&mut self, job: &Job) {
        self.keep_copied(job);
        let point = &self.points[job.point];
        let image = self.images.get(job.target);
        if job.extra.is_empty() && job.must.covers(image.whole()) {
            let image = self.images.get_mut(job.target);
            image.layer = point.contents.clone();
            image.absent = Absent::Zero;
        } else {
            let image = self.images.get_mut(job.target);
            for range in clipped(&job.must, point.size) {
                put(&mut image.layer, range, &point.contents);
            }
            for range in clipped(&job.extra, point.size) {
                let new = point.contents.cut(range);
                self.images.blur(job.target, range, new, None);
            }
        }
        if job.restores {
            let shows = Some((job.source, point.moment));
            self.images.get_mut(job.target).shows = shows;
            self.restore_points.push(RestorePoint {
                image: job.target,
                point: job.point,
                alive: true,
            });
        }
    }

    /// Leaves open what the target holds, wherever something may have been copied.
    pub(super) fn blur_target(&mut self, job: &Job) {
        if job.state.is_none() {
            return;
        }
        let size = self.points[job.point].size;
        for clusters in [&job.must, &job.extra] {
            for range in clipped(clusters, size) {
                let new = self.points[job.point].contents.cut(range);
                self.unflushed(job.target, range, || new.clone());
                self.images.blur(job.target, range, new, None);
            }
        }
        self.keep_copied(job);
    }

    /// Takes in that the target may have allocated all that was to be copied, zeroes too.
    fn keep_copied(&mut self, job: &Job) {
        let image = self.images.get_mut(job.target);
        let cluster = image.cluster();
        for range in job.must.iter().chain(job.extra.iter()) {
            image.kept.insert(range.outward(cluster));
        }
    }

    /// Returns the clusters that the target of a job that ended well may have allocated, where that
    /// has to be looked at. The target is as the job found it.
    fn may_allocate(&self, job: &Job) -> Option<RangeSet> {
        let image = self.images.get(job.target);
        let looks = !image.is_disk() && job.sync != Sync::None;
        if !looks || image.geometry.format != Format::Qcow2 || job.must.covers(image.whole()) {
            return None;
        }
        let mut may = RangeSet::default();
        let (must, extra) = allocated(image, &image.layer);
        for set in [&must, &extra, &job.must, &job.extra] {
            for range in set.iter() {
                may.insert(range.outward(image.cluster()));
            }
        }
        Some(may)
    }

    fn demand_target(&self, job: &Job, may: Option<RangeSet>, out: &mut Judgement) {
        let image = self.images.get(job.target);
        if image.is_disk() || job.sync == Sync::None {
            return;
        }
        let point = &self.points[job.point];
        let certain = job.restores || job.extra.is_empty();
        let whole = job.must.covers(image.whole());
        let demand = Demand {
            target: Target::Image(image.name.clone()),
            size: point.size.into(),
            scope: if whole {
                Scope::Whole
            } else {
                let mut clusters = job.must.clone();
                clusters.extend(job.extra.iter());
                Scope::Within(clipped(&clusters, point.size).collect())
            },
            property: Property::RestoreExact,
            against: if certain {
                Against::Point(job.point)
            } else {
                Against::Itself
            },
        };
        if let Some(may) = may {
            out.demands.push(Demand {
                scope: Scope::Allocation,
                property: Property::CopyMinimal,
                against: Against::Clusters(may.to_vec()),
                ..demand.clone()
            });
        }
        out.demands.push(demand);
    }

    /// Gives the job's bitmap back as its mode says.
    pub(super) fn return_bitmap(&mut self, job: &Job, end: JobEnd) {
        let Some((owner, name)) = &job.bitmap else {
            return;
        };
        let Some(index) = self.bitmap_index(owner, name) else {
            return;
        };
        let bitmap = &mut self.bitmaps[index];
        self.scope.recovered.push((owner.clone(), name.clone()));
        match (end, job.mode) {
            (_, BitmapMode::Never) => bitmap.reclaim(),
            (JobEnd::Success, _) => bitmap.sync(),
            (_, BitmapMode::OnSuccess) => bitmap.reclaim(),
            (_, BitmapMode::Always) => self.return_remainder(index, job),
        }
    }

    /// Gives a bitmap back with what was not copied added.
    fn return_remainder(&mut self, index: usize, job: &Job) {
        let size = self.points[job.point].size;
        let bitmap = &mut self.bitmaps[index];
        let gapless = bitmap.track.gapless && job.restores;
        bitmap.sync();
        let mut copied = job.must.clone();
        copied.extend(job.extra.iter());
        let untouched = job.state.is_none() || (job.offset == 0 && job.errors.is_empty());
        let remainder = Track {
            must: if untouched {
                job.must.clone()
            } else {
                RangeSet::default()
            },
            // Before it has looked at what is allocated, all of a `top` job is to be copied.
            extra: match job.sync {
                Sync::Top => RangeSet::of(ByteRange::between(0, size).outward(job.cluster)),
                _ => copied,
            },
            ..bitmap.track.clone()
        };
        bitmap.track.merge(&remainder, size, bitmap.granularity);
        bitmap.track.base = Base::Image(job.target);
        bitmap.track.gapless &= gapless;
        // Finer granules behind the end of the disk do not exist, though the last cluster goes
        // there.
        let tail = (size % job.cluster).next_multiple_of(bitmap.granularity);
        let short = match tail {
            0 => 0,
            tail => job.cluster.saturating_sub(tail),
        };
        // Where the target failed, the bitmap may come back just as it was, in finer granules.
        let target_failed = job.errors.of(Side::Write).next().is_some();
        self.scope.remainders.push(Remainder {
            owner: bitmap.owner.clone(),
            name: bitmap.name.clone(),
            target: job.target,
            point: job.point,
            must: job.must.clone(),
            cluster: if target_failed { job.cluster } else { 1 },
            left: if target_failed {
                0
            } else {
                job.len.unwrap_or(0).saturating_sub(job.offset + short)
            },
        });
    }

    /// Learns from the bitmap what the job had copied, and demands that it reads as frozen.
    pub(super) fn settle_remainder(
        &mut self,
        remainder: &Remainder,
        dirty: &RangeSet,
        out: &mut Judgement,
    ) {
        let point = &self.points[remainder.point];
        let mut left = RangeSet::default();
        left.extend(dirty.iter().map(|range| range.outward(remainder.cluster)));
        let mut clean = RangeSet::default();
        for range in clipped(&remainder.must, point.size) {
            clean.extend(left.gaps(range));
        }
        let image = self.images.get_mut(remainder.target);
        if clean.is_empty() || image.is_disk() {
            return;
        }
        for range in clean.iter() {
            put(&mut image.layer, range, &point.contents);
        }
        // A bitmap that calls something clean says that it is durable.
        let contents = point.contents.clone();
        for range in clean.iter() {
            self.found_durable(remainder.target, range, contents.cut(range));
        }
        let (image, point) = (
            self.images.get(remainder.target),
            &self.points[remainder.point],
        );
        out.demands.push(Demand {
            target: Target::Image(image.name.clone()),
            size: point.size.into(),
            scope: Scope::Within(clean.to_vec()),
            property: Property::DirtyRecovers,
            against: Against::Point(remainder.point),
        });
    }
}

/// Replaces `range` of a layer by frozen contents.
pub(super) fn put(layer: &mut Contents, range: ByteRange, frozen: &Contents) {
    layer.set(range, Value::ZERO);
    for run in frozen.within(range) {
        layer.set(run.range(), run.value);
    }
}
