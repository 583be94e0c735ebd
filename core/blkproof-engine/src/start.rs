//! Starting a backup: what is checked, in QEMU's order, and what is made.
//!
//! Everything is checked before anything is changed, but for the target image: `mode=create` makes
//! it before the bitmap is looked at, and leaves it behind where the job is refused then.

use blkproof_spec::step::{Backup, BitmapMode, Sync, TargetMode};
use blkproof_spec::{
    BitmapName, DiscardMode, Format, ImageName, IoStatus, JobEvent, JobName, JobState, Length,
    Refusal,
};

use crate::bitmap::Bitmap;
use crate::bugs::{Bug, Bugs};
use crate::chunk::Style;
use crate::copier::Copier;
use crate::image::{Image, NewImage};
use crate::job::{Job, JobSerial};
use crate::machine::Machine;
use crate::node::{Node, NodeId, Place, Use};
use crate::rate::Rate;
use crate::runs::Runs;

/// The smallest job cluster.
const CLUSTER_MIN: u64 = 64 << 10;

/// A target that was looked up.
enum Target {
    /// It was opened for this job.
    Opened(Box<Image>),
    /// It is the source.
    Source,
    /// Another job has it as its node.
    Busy(NodeId),
}

/// A backup that was checked.
struct Plan {
    name: JobName,
    sync: Sync,
    source: NodeId,
    bitmap: Option<(BitmapName, BitmapMode)>,
    cluster: u64,
}

impl Machine {
    /// Creates a job that is not running yet: its filter is in place and its bitmap frozen.
    ///
    /// `group` is the transaction in which it stands or falls with others.
    pub(crate) fn create_job(
        &mut self,
        backup: &Backup,
        group: Option<u32>,
    ) -> Result<JobSerial, Refusal> {
        let place = self.nodes.find(&backup.at).ok_or(Refusal::NoSuchDevice)?;
        let source = place.node();
        if !self.bugs.has(Bug::StartIsNotDrained) {
            self.drain(|node| node == source)
                .map_err(|_| Refusal::CannotDrain)?;
        }
        if backup.mode != TargetMode::Node {
            self.check_source(place)?;
        }
        let sync = self.effective_sync(backup, source);
        let target = self.look_up_target(backup, sync, source)?;
        let bitmap = self.check_bitmap(backup, place)?;
        let image = match target {
            Target::Source => return Err(Refusal::SourceIsTarget),
            Target::Busy(node) => {
                check_compress(backup, self.nodes[node].image.format)?;
                return Err(Refusal::NodeBusy);
            }
            Target::Opened(image) => image,
        };
        check_compress(backup, image.format)?;
        self.check_source(place)?;
        if image.size() != self.nodes[source].size {
            return Err(Refusal::SizesDiffer);
        }
        let cluster = job_cluster(backup, &image, self.bugs)?;
        let name = self.job_name(backup, source)?;
        let plan = Plan {
            name,
            sync,
            source,
            bitmap,
            cluster,
        };
        if backup.speed < 0 {
            for state in [JobState::Created, JobState::Null] {
                let job = plan.name.clone();
                self.events.push(JobEvent::Status { job, state });
            }
            return Err(Refusal::NegativeSpeed);
        }
        Ok(self.make_job(backup, plan, *image, group))
    }

    /// Refuses a source that is a job's filter or target.
    fn check_source(&self, place: Place) -> Result<(), Refusal> {
        match place {
            Place::Node(node) if !self.nodes[node].is_target() && !self.nodes[node].stuck => Ok(()),
            _ => Err(Refusal::NodeBusy),
        }
    }

    /// Returns what is copied: all, where only the top image is to be and there is no other.
    fn effective_sync(&self, backup: &Backup, source: NodeId) -> Sync {
        let alone = self.nodes[source].image.backing.is_empty();
        match backup.sync {
            Sync::Top if alone && backup.mode != TargetMode::Node => Sync::Full,
            sync => sync,
        }
    }

    fn look_up_target(
        &mut self,
        backup: &Backup,
        sync: Sync,
        source: NodeId,
    ) -> Result<Target, Refusal> {
        let name = &backup.target;
        if backup.mode == TargetMode::Node
            && let Some(node) = self.nodes.named(name)
        {
            if node == source {
                return Ok(Target::Source);
            }
            if self.nodes[node].is_target() {
                return Ok(Target::Busy(node));
            }
        }
        let exists = self.exists(name);
        match backup.mode {
            TargetMode::Create { .. } if exists => return Err(Refusal::ImageExists),
            TargetMode::Create { format } => self.make_target(backup, format, sync, source)?,
            _ if !exists => return Err(Refusal::ImageMissing),
            _ if self.nodes.uses(name) => return Err(Refusal::ImageInUse),
            _ => {}
        }
        let frozen = (sync == Sync::None).then_some(source);
        let image = self.open_target(name, backup.mode, frozen)?;
        Ok(Target::Opened(Box::new(image)))
    }

    /// Makes the image that `drive-backup` makes: of the source's size and, for jobs that do not
    /// copy everything, backed by what they leave out.
    fn make_target(
        &mut self,
        backup: &Backup,
        format: Option<Format>,
        sync: Sync,
        source: NodeId,
    ) -> Result<(), Refusal> {
        let source = &self.nodes[source];
        let image = NewImage {
            format: format.unwrap_or(source.image.format),
            size: source.size,
            cluster: CLUSTER_MIN,
            backing: match sync {
                Sync::Top => source
                    .image
                    .backing
                    .top()
                    .map(|layer| (layer.name.clone(), layer.format)),
                Sync::None => Some((source.name().clone(), source.image.format)),
                _ => None,
            },
        };
        self.create_image(&backup.target, &image)
            .map_err(|stop| stop.refusal(Refusal::ImageUnreadable))
    }

    /// Opens a target. Its chain must not hold what is open for writing, but for the disk `frozen`.
    fn open_target(
        &mut self,
        name: &ImageName,
        mode: TargetMode,
        frozen: Option<NodeId>,
    ) -> Result<Image, Refusal> {
        let discard = match mode {
            TargetMode::Node => DiscardMode::Ignore,
            TargetMode::Existing | TargetMode::Create { .. } => DiscardMode::Unmap,
        };
        self.open_image(name, discard, |nodes, layer| match nodes.writer(layer) {
            None => Ok(None),
            Some(node) if Some(node) == frozen => Ok(Some(nodes.share(node))),
            Some(_) => Err(Refusal::ImageInUse),
        })
    }

    fn check_bitmap(
        &mut self,
        backup: &Backup,
        place: Place,
    ) -> Result<Option<(BitmapName, BitmapMode)>, Refusal> {
        let by_bitmap = matches!(backup.sync, Sync::Bitmap | Sync::Incremental);
        if by_bitmap && backup.bitmap.is_none() {
            return Err(Refusal::BitmapRequired);
        }
        let mut mode = backup.bitmap_mode;
        if backup.sync == Sync::Incremental {
            if mode.is_some_and(|mode| mode != BitmapMode::OnSuccess) {
                return Err(Refusal::BitmapModeNotOnSuccess);
            }
            mode = Some(BitmapMode::OnSuccess);
        }
        let Some(name) = &backup.bitmap else {
            return match mode {
                Some(_) => Err(Refusal::BitmapModeWithoutBitmap),
                None => Ok(None),
            };
        };
        let mut bitmaps = self.bitmaps_at(place).iter();
        let bitmap = bitmaps.find(|bitmap| bitmap.name == *name);
        let bitmap = bitmap.ok_or(Refusal::BackupBitmapNotFound)?;
        let mode = mode.ok_or(Refusal::BitmapModeRequired)?;
        bitmap.check_usable()?;
        if backup.sync == Sync::None {
            return Err(Refusal::BitmapWithSyncNone);
        }
        if mode == BitmapMode::Never && !by_bitmap {
            return Err(Refusal::BitmapModeNeverUseless);
        }
        Ok(Some((name.clone(), mode)))
    }

    /// Returns the id that a job gets: by default its device's name, where the device sits on the
    /// source itself.
    fn job_name(&self, backup: &Backup, source: NodeId) -> Result<JobName, Refusal> {
        let source = &self.nodes[source];
        let name = match &backup.job {
            Some(name) => name.clone(),
            None if source.used == Use::Device && source.filters.is_empty() => {
                JobName::new(source.name().as_str())
            }
            None => return Err(Refusal::InvalidJobId),
        };
        let mut letters = name.as_str().bytes();
        let begins_well = letters
            .next()
            .is_some_and(|letter| letter.is_ascii_alphabetic());
        if !begins_well
            || !letters.all(|letter| letter.is_ascii_alphanumeric() || b"-._".contains(&letter))
        {
            return Err(Refusal::InvalidJobId);
        }
        if self.job_named(&name).is_ok() {
            return Err(Refusal::JobIdInUse);
        }
        Ok(name)
    }

    fn make_job(
        &mut self,
        backup: &Backup,
        plan: Plan,
        image: Image,
        group: Option<u32>,
    ) -> JobSerial {
        let serial = JobSerial(self.jobs_made);
        self.jobs_made += 1;
        let named = backup.mode == TargetMode::Node;
        let style = Style {
            detect_zeroes: !named,
            compress: backup.compress,
            increment: matches!(plan.sync, Sync::Incremental | Sync::Bitmap),
            bugs: self.bugs,
        };
        let disk = self.disk_id(&image.name);
        let node = Node::new(disk, image, DiscardMode::Ignore, Use::Target { named });
        let target = self.nodes.add(node);
        let source = &mut self.nodes[plan.source];
        let size = source.size;
        source.filters.push(serial);
        let bitmap = plan.bitmap.as_ref();
        let bitmap = bitmap.and_then(|(name, _)| source.bitmap(name));
        let todo = copy_set(&plan, size, bitmap.as_deref(), self.bugs);
        if let Some(bitmap) = bitmap {
            bitmap.freeze();
        }
        let mut copier = Copier::new(plan.cluster, size, todo, style);
        if plan.sync == Sync::Top {
            copier.scanned = 0;
        }
        self.jobs.push(Job {
            serial,
            name: plan.name,
            source: plan.source,
            target,
            sync: plan.sync,
            bitmap: plan.bitmap,
            on_source_error: backup.on_source_error,
            on_target_error: backup.on_target_error,
            auto_finalize: backup.auto_finalize,
            auto_dismiss: backup.auto_dismiss,
            group,
            copier,
            rate: Rate::new(backup.speed.unsigned_abs()),
            state: JobState::Created,
            pause: false,
            stopped: false,
            pauses: 0,
            asleep: false,
            fruitless: 0,
            ignored_at: Length(0),
            io_status: IoStatus::Ok,
            flushed: false,
            durable: false,
            end: None,
            filter_bitmaps: Vec::new(),
        });
        self.enter(self.jobs.len() - 1, JobState::Created);
        serial
    }
}

/// Returns the job clusters that are to be copied of a disk of `size`.
fn copy_set(plan: &Plan, size: u64, bitmap: Option<&Bitmap>, bugs: Bugs) -> Runs {
    let mut clusters = size.div_ceil(plan.cluster);
    if bugs.has(Bug::TailIsForgotten) {
        clusters = size / plan.cluster;
    }
    let mut todo = Runs::default();
    match (plan.sync, bitmap) {
        (Sync::Incremental | Sync::Bitmap, Some(bitmap)) => {
            todo.insert_scaled(&bitmap.dirty, bitmap.granularity, plan.cluster);
            todo.remove(clusters, u64::MAX);
            todo.remove(bitmap.searched().div_ceil(plan.cluster), u64::MAX);
        }
        _ => todo = Runs::below(clusters),
    }
    todo
}

fn check_compress(backup: &Backup, format: Format) -> Result<(), Refusal> {
    if backup.compress && format == Format::Raw {
        return Err(Refusal::CompressionUnsupported);
    }
    Ok(())
}

/// Returns the unit in which a job copies. Neither the source nor the bitmap has a say in it.
fn job_cluster(backup: &Backup, target: &Image, bugs: Bugs) -> Result<u64, Refusal> {
    let min = backup.min_cluster.map_or(0, |min| min.0);
    if min > 0 && !min.is_power_of_two() {
        return Err(Refusal::BadMinCluster);
    }
    if bugs.has(Bug::ClusterIs64k) {
        return Ok(CLUSTER_MIN);
    }
    Ok(CLUSTER_MIN.max(target.cluster).max(min))
}
