//! How a backup begins: what it freezes, what it has to copy, what it will restore.

use super::Model;
use super::bitmaps::{Base, Owner};
use super::images::{Absent, Contents, Image, ImageId, Presence, Value};
use super::jobs::{Errors, Job, Pause, Point};
use super::judgement::{About, Fact, Judgement, Observation};
use super::persistence::judge_refusal;
use super::plan::{Plan, PlannedTarget, Refused};
use super::ranges::RangeSet;
use super::saved::Saved;
use crate::event::JobEvent;
use crate::geometry::Format;
use crate::name::{ImageName, JobName};
use crate::property::answers_exact;
use crate::reply::{Refusal, Reply};
use crate::status::{IoStatus, JobState};
use crate::step::{Backup, BitmapMode, StepNumber, Sync, TargetMode};
use crate::units::ByteRange;

/// The transaction that a backup belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Company {
    /// Its jobs end as one.
    pub(super) group: Option<u32>,
    /// It has more than one backup.
    pub(super) shared: bool,
}

impl Model {
    /// Judges the start of a backup, and starts it.
    pub(super) fn backup(
        &mut self,
        number: StepNumber,
        backup: &Backup,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        self.find_out(backup, seen.reply);
        if self.cannot_drain(seen) {
            self.scope.refused = true;
            return self.doubt_target(backup);
        }
        if self.is_below_doubtful(backup, seen.reply) {
            self.scope.refused = true;
            return;
        }
        match self.plan(backup) {
            Err(refused) => {
                let by_fault = matches!(
                    seen.reply,
                    Reply::Failed(_) | Reply::Refused(Refusal::ImageUnreadable)
                ) && fired_on(seen, |name| {
                    *name == backup.target
                        || self.target_reaches(backup, name)
                        || self.base_reaches(&refused, name)
                });
                if !by_fault {
                    judge_refusal(&refused.why, seen.reply, out);
                }
                self.refuse_backup(backup, refused, by_fault);
                self.scope.refused = true;
            }
            Ok(plan) if self.failed_to_start(backup, &plan, seen) => {
                self.scope.rolled_back.push(plan.job);
                if let PlannedTarget::New(geometry, backing) = plan.target {
                    let id = self.make_image(&backup.target, geometry, backing);
                    self.images.get_mut(id).presence = Presence::Unknown;
                }
            }
            Ok(plan) => {
                if let Reply::Refused(_) = seen.reply {
                    let about = About::Job(plan.job);
                    answers_exact::reply(about, Fact::Reply(Reply::Done), seen.reply, out);
                    return;
                }
                let company = Company {
                    group: None,
                    shared: false,
                };
                let source = plan.source;
                let alone = !self.flights.iter().any(|flight| flight.disk == source);
                let index = self.open_job(number, backup, plan, company);
                self.blame_job(index, alone, seen.fired);
            }
        }
    }

    /// Learns from the answer whether a target is there that a failed step may have left behind.
    fn find_out(&mut self, backup: &Backup, reply: Reply) {
        let Some(id) = self.images.find(&backup.target) else {
            return;
        };
        if self.images.get(id).presence == Presence::Unknown {
            let creates = matches!(backup.mode, TargetMode::Create { .. });
            self.images.get_mut(id).presence = match reply {
                Reply::Refused(Refusal::ImageExists) => Presence::Present,
                Reply::Refused(Refusal::ImageMissing) => Presence::Absent,
                // Refused before anybody looked.
                Reply::Refused(
                    Refusal::NoSuchDevice | Refusal::NodeBusy | Refusal::CannotDrain,
                ) => Presence::Unknown,
                _ if creates => Presence::Absent,
                _ => Presence::Present,
            };
        }
    }

    /// Leaves open whether a target is there that a backup would have made: a request that had to
    /// wait kept it from being made, or was asked for while it was made.
    pub(super) fn doubt_target(&mut self, backup: &Backup) {
        let creates = matches!(backup.mode, TargetMode::Create { .. });
        if !creates || self.images.find(&backup.target).is_some() {
            return;
        }
        if let Ok(plan) = self.plan(backup)
            && let PlannedTarget::New(geometry, backing) = plan.target
        {
            let id = self.make_image(&backup.target, geometry, backing);
            self.images.get_mut(id).presence = Presence::Unknown;
        }
    }

    /// Tells whether a backup was refused because of an image below its target that may or may not
    /// be there.
    pub(super) fn is_below_doubtful(&self, backup: &Backup, reply: Reply) -> bool {
        let missing = Reply::Refused(Refusal::ImageMissing);
        let unreadable = Reply::Refused(Refusal::ImageUnreadable);
        (reply == missing || reply == unreadable)
            && self
                .images
                .find(&backup.target)
                .is_some_and(|id| self.images.is_doubtful(id))
    }

    /// Takes in what a refused backup leaves behind.
    pub(super) fn refuse_backup(&mut self, backup: &Backup, refused: Refused, by_fault: bool) {
        if let Some((geometry, backing)) = refused.leaves {
            let id = self.make_image(&backup.target, geometry, backing);
            if by_fault {
                self.images.get_mut(id).presence = Presence::Unknown;
            }
        }
        self.scope.rolled_back.extend(refused.job);
    }

    /// Tells whether the job never came to run because of a fault.
    fn failed_to_start(&self, backup: &Backup, plan: &Plan, seen: &Observation<'_>) -> bool {
        let failed = matches!(
            seen.reply,
            Reply::Failed(_) | Reply::Refused(Refusal::ImageUnreadable)
        );
        let ran = !self.capabilities.events
            || seen.events.iter().any(|event| {
                *event.job() == plan.job
                    && !matches!(
                        event,
                        JobEvent::Status {
                            state: JobState::Created
                                | JobState::Aborting
                                | JobState::Concluded
                                | JobState::Null,
                            ..
                        }
                    )
            });
        let met = |name: &ImageName| {
            *name == backup.target
                || self.on_chain(plan.source, name)
                || self.target_reaches(backup, name)
        };
        failed
            && !ran
            && seen.fired.iter().any(|firing| {
                let said = match seen.reply {
                    Reply::Failed(errno) => firing.errno == Some(errno),
                    _ => firing.errno.is_some(),
                };
                said && met(&firing.place.image)
            })
    }

    /// Tells whether the image of this name lies below the target that is there already.
    fn target_reaches(&self, backup: &Backup, name: &ImageName) -> bool {
        self.images
            .find(&backup.target)
            .is_some_and(|target| self.on_chain(target, name))
    }

    /// Tells whether an image is below a target that was made before the backup was refused: one
    /// is opened on its base before the rest is looked at.
    fn base_reaches(&self, refused: &Refused, name: &ImageName) -> bool {
        let base = refused.leaves.as_ref().and_then(|(_, base)| base.as_ref());
        base.and_then(|base| self.images.find(base))
            .is_some_and(|base| self.on_chain(base, name))
    }

    /// Adds an image that holds nothing.
    pub(super) fn make_image(
        &mut self,
        name: &ImageName,
        geometry: crate::geometry::Geometry,
        backing: Option<ImageName>,
    ) -> ImageId {
        self.images.add(Image::new(name.clone(), geometry, backing))
    }

    /// Opens the job: its source is frozen, its bitmap handed over. Returns the job's index.
    pub(super) fn open_job(
        &mut self,
        number: StepNumber,
        backup: &Backup,
        plan: Plan,
        company: Company,
    ) -> usize {
        let source = plan.source;
        self.drained(source);
        let target = match &plan.target {
            PlannedTarget::Existing(id) => *id,
            PlannedTarget::New(geometry, backing) => {
                self.make_image(&backup.target, *geometry, backing.clone())
            }
        };
        self.retire(target);
        let point = self.freeze(number, source, &plan.job, company.shared);
        let (must, extra) = self.copy_set(&plan);
        let restores = self.will_restore(&plan, target, &must);
        let image = self.images.get(source);
        let (moment, size) = (image.moment, image.size());
        let bitmap = plan.bitmap.map(|index| {
            let bitmap = &mut self.bitmaps[index];
            bitmap.freeze(moment, size);
            (bitmap.owner.clone(), bitmap.name.clone())
        });
        self.jobs.push(Job {
            name: plan.job,
            source,
            target,
            target_is_node: backup.mode == TargetMode::Node,
            sync: plan.sync,
            bitmap,
            mode: plan.mode,
            cluster: plan.cluster,
            must,
            extra,
            point,
            restores,
            touched: RangeSet::default(),
            saved: Saved::default(),
            guarded: RangeSet::default(),
            asked: false,
            most: None,
            state: None,
            len: None,
            offset: 0,
            speed: u64::try_from(backup.speed).unwrap_or(0),
            pause: Pause::None,
            io_status: IoStatus::Ok,
            io_status_open: false,
            on_source_error: backup.on_source_error,
            on_target_error: backup.on_target_error,
            auto_finalize: backup.auto_finalize,
            auto_dismiss: backup.auto_dismiss,
            group: company.group,
            cancelled: false,
            pending_said: false,
            end: None,
            errors: Errors::default(),
        });
        self.spoil_shared(target);
        self.jobs.len() - 1
    }

    /// Keeps what a disk holds now.
    fn freeze(&mut self, step: StepNumber, disk: ImageId, job: &JobName, shared: bool) -> usize {
        let image = self.images.get(disk);
        self.points.push(Point {
            job: job.clone(),
            disk,
            size: image.size(),
            contents: self.images.flatten(disk),
            moment: image.moment,
            step,
            shared,
            stopped: false,
        });
        self.points.len() - 1
    }

    /// Returns the job clusters that have to be copied, and those that may be besides.
    fn copy_set(&self, plan: &Plan) -> (RangeSet, RangeSet) {
        let image = self.images.get(plan.source);
        let size = image.size();
        let (must, may) = match (plan.sync, plan.bitmap) {
            (Sync::Incremental | Sync::Bitmap, Some(index)) => {
                let track = &self.bitmaps[index].track;
                let must = track.must.outward(size, plan.cluster);
                let may = track.extra.outward(size, plan.cluster);
                (must, may)
            }
            // A raw image has everything, also where its file has holes.
            (Sync::Top, _) if image.geometry.format == Format::Raw => {
                let whole = RangeSet::of(image.whole());
                (whole.outward(size, plan.cluster), RangeSet::default())
            }
            (Sync::Top, _) => {
                let (must, may) = allocated(image, &image.layer);
                (
                    must.outward(size, plan.cluster),
                    may.outward(size, plan.cluster),
                )
            }
            _ => {
                let whole = RangeSet::of(image.whole());
                (whole.outward(size, plan.cluster), RangeSet::default())
            }
        };
        let mut extra = may;
        extra.subtract(&must);
        (must, extra)
    }

    /// Tells whether the target's chain will show all of the source, if the job succeeds.
    fn will_restore(&self, plan: &Plan, target: ImageId, must: &RangeSet) -> bool {
        let image = self.images.get(target);
        let backing = self.images.backing_of(target);
        let below = match plan.sync {
            Sync::Full => return true,
            Sync::None => return false,
            Sync::Top => image.backing == self.images.get(plan.source).backing,
            Sync::Incremental | Sync::Bitmap => {
                let Some(track) = plan.bitmap.map(|index| &self.bitmaps[index].track) else {
                    return false;
                };
                let holds = match track.base {
                    Base::Moment(moment) => backing.is_some_and(|backing| {
                        self.images.get(backing).shows == Some((plan.source, moment))
                    }),
                    Base::Image(base) => backing == Some(base),
                };
                track.gapless && holds
            }
        };
        let held = match image.absent {
            Absent::Zero => RangeSet::of(image.whole()),
            Absent::Through => image.layer.iter().map(|run| run.range()).collect(),
        };
        below && held.iter().all(|range| must.covers(range))
    }

    /// Tells whether a command was refused because a request waits; then nothing happened.
    pub(super) fn cannot_drain(&self, seen: &Observation<'_>) -> bool {
        seen.reply == Reply::Refused(Refusal::CannotDrain) && self.may_wait(seen)
    }

    /// Retires the restore points through an image.
    pub(super) fn retire(&mut self, id: ImageId) {
        let image = self.images.get(id);
        if image.shows.is_none() && !self.images.is_base(&image.name) {
            return;
        }
        for restore in &mut self.restore_points {
            if restore.alive && self.images.reaches(restore.image, id) {
                restore.alive = false;
            }
        }
        for index in 0..self.images.count() {
            let other = ImageId(index);
            if self.images.get(other).shows.is_some() && self.images.reaches(other, id) {
                self.images.get_mut(other).shows = None;
            }
        }
    }
}

/// Tells whether a fault made a request to one of these images fail.
fn fired_on(seen: &Observation<'_>, met: impl Fn(&ImageName) -> bool) -> bool {
    seen.fired
        .iter()
        .any(|firing| firing.errno.is_some() && met(&firing.place.image))
}

/// Returns the clusters that an image surely has allocated, and those that it may have besides.
///
/// `layer` is what the image held in its own layer at the time that is asked for.
pub(super) fn allocated(image: &Image, layer: &Contents) -> (RangeSet, RangeSet) {
    let cluster = image.cluster();
    let (mut must, mut may) = (RangeSet::default(), image.kept.clone());
    if image.absent == Absent::Zero {
        may.insert(image.whole());
    }
    for run in layer.iter() {
        let clusters = run.range().outward(cluster);
        match run.value {
            Value::Bytes(bytes) if bytes != crate::content::Bytes::ZERO => must.insert(clusters),
            _ => may.insert(clusters),
        }
    }
    may.subtract(&must);
    (must, may)
}

impl Default for BitmapMode {
    /// What a backup does with its bitmap where nothing else is said.
    fn default() -> Self {
        Self::OnSuccess
    }
}

/// Returns the bytes of a disk that job clusters cover.
pub(super) fn clipped(clusters: &RangeSet, size: u64) -> impl Iterator<Item = ByteRange> + '_ {
    clusters.within(ByteRange::between(0, size))
}

/// Returns the disk that a bitmap tells of.
pub(super) fn disk_of(owner: &Owner, jobs: &[Job]) -> Option<ImageId> {
    match owner {
        Owner::Disk(disk) => Some(*disk),
        Owner::Filter(name) => jobs
            .iter()
            .find(|job| job.name == *name)
            .map(|job| job.source),
    }
}
