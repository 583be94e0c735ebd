//! Whether a backup may start: every check, in QEMU's order.

use super::Model;
use super::images::ImageId;
use super::names::{Refusals, Resolved};
use crate::geometry::{Format, Geometry};
use crate::name::{BitmapName, ImageName, JobName};
use crate::reply::Refusal;
use crate::step::{Backup, BitmapMode, Sync, TargetMode};

/// What a backup that may start will be.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) source: ImageId,
    pub(super) job: JobName,
    pub(super) sync: Sync,
    /// The index of the bitmap that it holds.
    pub(super) bitmap: Option<usize>,
    pub(super) mode: BitmapMode,
    pub(super) target: PlannedTarget,
    pub(super) cluster: u64,
}

/// A backup's target, before the job has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum PlannedTarget {
    Existing(ImageId),
    /// It is to be made, of this shape and with this backing file.
    New(Geometry, Option<ImageName>),
}

/// Why a backup may not start, and what it leaves behind.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) why: Refusals,
    /// The target was made before the refusal.
    pub(super) leaves: Option<(Geometry, Option<ImageName>)>,
    /// The job that existed for a moment and may have sent events.
    pub(super) job: Option<JobName>,
}

impl Refused {
    fn early(why: impl Into<Refusals>) -> Self {
        Self {
            why: why.into(),
            leaves: None,
            job: None,
        }
    }

    fn late(target: &PlannedTarget, why: impl Into<Refusals>) -> Self {
        let leaves = match target {
            PlannedTarget::Existing(_) => None,
            PlannedTarget::New(geometry, backing) => Some((*geometry, backing.clone())),
        };
        Self {
            why: why.into(),
            leaves,
            job: None,
        }
    }
}

impl Model {
    /// Returns what the backup will be, or why it is refused.
    pub(super) fn plan(&self, backup: &Backup) -> Result<Plan, Refused> {
        let Some(source) = self.resolve(&backup.at) else {
            return Err(Refused::early(Refusal::NoSuchDevice));
        };
        let is_node = backup.mode == TargetMode::Node;
        if source.filter.is_some() && !is_node {
            return Err(Refused::early(Refusal::NodeBusy));
        }
        let image = self.images.get(source.disk);
        let sync = match backup.sync {
            Sync::Top if image.backing.is_none() && !is_node => Sync::Full,
            sync => sync,
        };
        let target = self
            .plan_target(backup, &source, sync)
            .map_err(Refused::early)?;
        let late = |why: Refusals| Refused::late(&target, why);
        let bitmap = self
            .plan_bitmap(backup, &source, sync)
            .map_err(|why| late(why.into()))?;
        let (cluster, size) = self.target_shape(&target);
        self.check_pair(backup, &source, &target).map_err(late)?;
        if size != image.size() {
            return Err(late(Refusal::SizesDiffer.into()));
        }
        let least = backup.min_cluster.map_or(0, |length| length.0);
        if least != 0 && !least.is_power_of_two() {
            return Err(late(Refusal::BadMinCluster.into()));
        }
        let job = self.plan_job(backup, &source).map_err(late)?;
        if backup.speed < 0 {
            return Err(Refused {
                job: Some(job),
                ..late(Refusal::NegativeSpeed.into())
            });
        }
        Ok(Plan {
            source: source.disk,
            job,
            sync,
            bitmap,
            mode: backup.bitmap_mode.unwrap_or(BitmapMode::OnSuccess),
            cluster: cluster.max(least).max(Geometry::DEFAULT_CLUSTER.0),
            target,
        })
    }

    /// Returns the cluster size and the size of a target.
    fn target_shape(&self, target: &PlannedTarget) -> (u64, u64) {
        let geometry = match target {
            PlannedTarget::Existing(id) => self.images.get(*id).geometry,
            PlannedTarget::New(geometry, _) => *geometry,
        };
        let cluster = match geometry.format {
            Format::Qcow2 => geometry.cluster.0,
            Format::Raw => Geometry::DEFAULT_CLUSTER.0,
        };
        (cluster, geometry.size.0)
    }

    fn plan_target(
        &self,
        backup: &Backup,
        source: &Resolved,
        sync: Sync,
    ) -> Result<PlannedTarget, Refusals> {
        let found = self.images.find(&backup.target);
        let TargetMode::Create { format } = backup.mode else {
            let Some(target) = found else {
                let missing: &[_] = match backup.mode {
                    TargetMode::Node => &[Refusal::NoSuchDevice, Refusal::ImageMissing],
                    _ => &[Refusal::ImageMissing],
                };
                return Err(missing.into());
            };
            return self.plan_existing(backup, source, sync, target);
        };
        if let Some(target) = found {
            return Err(if self.is_open(target) {
                [Refusal::ImageExists, Refusal::ImageInUse]
                    .as_slice()
                    .into()
            } else {
                Refusal::ImageExists.into()
            });
        }
        let image = self.images.get(source.disk);
        let format = format.unwrap_or(image.geometry.format);
        let backing = match sync {
            Sync::Top => image.backing.clone(),
            Sync::None => Some(image.name.clone()),
            Sync::Full | Sync::Incremental | Sync::Bitmap => None,
        };
        if format == Format::Raw && backing.is_some() {
            return Err(Refusals::any());
        }
        let geometry =
            super::images::fresh_geometry(image.geometry.size, format, Geometry::DEFAULT_CLUSTER);
        Ok(PlannedTarget::New(geometry, backing))
    }

    fn plan_existing(
        &self,
        backup: &Backup,
        source: &Resolved,
        sync: Sync,
        target: ImageId,
    ) -> Result<PlannedTarget, Refusals> {
        let is_node = backup.mode == TargetMode::Node;
        let held = self
            .jobs
            .iter()
            .find(|job| job.is_active() && job.target == target);
        if is_node && target == source.disk {
            return Ok(PlannedTarget::Existing(target));
        }
        if let Some(job) = held {
            if is_node && job.target_is_node {
                // Refused by the node's own job, after the checks of the bitmap.
                return Ok(PlannedTarget::Existing(target));
            }
            return Err([Refusal::ImageInUse, Refusal::NodeBusy].as_slice().into());
        }
        if self.is_open(target) {
            return Err(Refusal::ImageInUse.into());
        }
        let fleecing = sync == Sync::None;
        let mut conflict = false;
        let complete = self.images.descend(target, |below| {
            conflict |= self.is_written(below) && !(fleecing && below == source.disk);
        });
        if complete.is_none() {
            return Err([Refusal::ImageMissing, Refusal::ImageUnreadable]
                .as_slice()
                .into());
        }
        if conflict {
            return Err(Refusal::ImageInUse.into());
        }
        Ok(PlannedTarget::Existing(target))
    }

    /// Checks what is said of the bitmap, and returns its index.
    fn plan_bitmap(
        &self,
        backup: &Backup,
        source: &Resolved,
        sync: Sync,
    ) -> Result<Option<usize>, Refusal> {
        let needs = matches!(sync, Sync::Incremental | Sync::Bitmap);
        let Some(name) = &backup.bitmap else {
            return match backup.bitmap_mode {
                _ if needs => Err(Refusal::BitmapRequired),
                Some(_) => Err(Refusal::BitmapModeWithoutBitmap),
                None => Ok(None),
            };
        };
        if sync == Sync::Incremental
            && backup
                .bitmap_mode
                .is_some_and(|mode| mode != BitmapMode::OnSuccess)
        {
            return Err(Refusal::BitmapModeNotOnSuccess);
        }
        let index = self.named_bitmap(source, name)?;
        let mode = match (backup.bitmap_mode, sync) {
            (Some(mode), _) => mode,
            (None, Sync::Incremental) => BitmapMode::OnSuccess,
            (None, _) => return Err(Refusal::BitmapModeRequired),
        };
        let bitmap = &self.bitmaps[index];
        match (sync, mode) {
            _ if bitmap.busy() => Err(Refusal::BitmapBusy),
            _ if bitmap.inconsistent => Err(Refusal::BitmapInconsistent),
            (Sync::None, _) => Err(Refusal::BitmapWithSyncNone),
            (Sync::Full | Sync::Top, BitmapMode::Never) => Err(Refusal::BitmapModeNeverUseless),
            _ => Ok(Some(index)),
        }
    }

    fn named_bitmap(&self, source: &Resolved, name: &BitmapName) -> Result<usize, Refusal> {
        self.bitmap_index(&source.owner(), name)
            .ok_or(Refusal::BackupBitmapNotFound)
    }

    /// Checks source and target against each other and against running jobs.
    fn check_pair(
        &self,
        backup: &Backup,
        source: &Resolved,
        target: &PlannedTarget,
    ) -> Result<(), Refusals> {
        let format = match target {
            PlannedTarget::Existing(id) => self.images.get(*id).geometry.format,
            PlannedTarget::New(geometry, _) => geometry.format,
        };
        if *target == PlannedTarget::Existing(source.disk) {
            // A name of the filter is not the source, but busy.
            return Err(match source.filter {
                Some(_) => [Refusal::SourceIsTarget, Refusal::NodeBusy]
                    .as_slice()
                    .into(),
                None => Refusal::SourceIsTarget.into(),
            });
        }
        if backup.compress && format == Format::Raw {
            return Err(Refusal::CompressionUnsupported.into());
        }
        let held = |id: &ImageId| {
            self.jobs
                .iter()
                .any(|job| job.is_active() && job.target == *id)
        };
        let busy = match target {
            PlannedTarget::Existing(id) => held(id),
            PlannedTarget::New(..) => false,
        };
        if busy || source.filter.is_some() {
            return Err(Refusal::NodeBusy.into());
        }
        Ok(())
    }

    /// Returns the job's id, or why it cannot have it.
    fn plan_job(&self, backup: &Backup, source: &Resolved) -> Result<JobName, Refusals> {
        let name = match &backup.job {
            Some(name) => name.clone(),
            None => {
                let image = self.images.get(source.disk);
                let device = image.role == crate::scenario::Role::Device;
                if !device || self.jobs_on(source.disk).next().is_some() {
                    return Err(Refusal::InvalidJobId.into());
                }
                JobName::from(&image.name)
            }
        };
        if !is_well_formed(name.as_str()) {
            return Err(Refusal::InvalidJobId.into());
        }
        if self.job_index(&name).is_some() {
            return Err(Refusal::JobIdInUse.into());
        }
        Ok(name)
    }
}

/// Tells whether a text may be a job's id: a letter, then letters, digits, `-`, `.` and `_`.
fn is_well_formed(id: &str) -> bool {
    id.starts_with(|first: char| first.is_ascii_alphabetic())
        && id
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "-._".contains(char))
}
