//! Backups in the making.

use blkproof_spec::step::{Action, Backup, BitmapMode, ErrorPolicy, Run, Sync, TargetMode};
use blkproof_spec::{BitmapName, Format, ImageName, JobName, Length};

use super::IntoAt;

/// Begins a backup of a disk. What it copies is said next.
pub fn backup(source: impl IntoAt) -> BackupBuilder {
    let at = source.into_at();
    let mut backup = Backup::new(at.name().clone(), Sync::Full, ImageName::new(""));
    backup.at = at;
    BackupBuilder { backup }
}

/// A backup in the making, with QEMU's defaults for all that is not said.
#[derive(Clone, Debug)]
#[must_use = "a step is made of it by `ScenarioBuilder::backup`"]
pub struct BackupBuilder {
    backup: Backup,
}

impl BackupBuilder {
    /// Copies everything into a new image.
    pub fn full(self, target: &str) -> Self {
        self.of(Sync::Full, target)
    }

    /// Copies what the top image of the chain has allocated into a new image.
    pub fn top(self, target: &str) -> Self {
        self.of(Sync::Top, target)
    }

    /// Copies only what the guest is about to overwrite into a new image.
    pub fn none(self, target: &str) -> Self {
        self.of(Sync::None, target)
    }

    /// Copies what the bitmap says into an image that is there already.
    pub fn incremental(self, bitmap: &str, target: &str) -> Self {
        let mut new = self.of(Sync::Incremental, target).existing();
        new.backup.bitmap = Some(BitmapName::new(bitmap));
        new
    }

    /// Copies what the bitmap says into an image that is there already; `mode` says what becomes of
    /// the bitmap.
    pub fn bitmap(self, bitmap: &str, mode: BitmapMode, target: &str) -> Self {
        let mut new = self.of(Sync::Bitmap, target).existing();
        new.backup.bitmap = Some(BitmapName::new(bitmap));
        new.backup.bitmap_mode = Some(mode);
        new
    }

    /// Copies what `sync` says into the image `target`.
    pub fn of(mut self, sync: Sync, target: &str) -> Self {
        self.backup.sync = sync;
        self.backup.target = ImageName::new(target);
        self
    }

    /// The job gets this id instead of the device's name.
    pub fn id(mut self, job: &str) -> Self {
        self.backup.job = Some(JobName::new(job));
        self
    }

    /// The target is there already.
    pub fn existing(mut self) -> Self {
        self.backup.mode = TargetMode::Existing;
        self
    }

    /// The job makes the target, in this format.
    pub fn creating(mut self, format: Format) -> Self {
        self.backup.mode = TargetMode::Create {
            format: Some(format),
        };
        self
    }

    /// The target is there and becomes a node, as with `blockdev-backup`.
    pub fn to_node(mut self) -> Self {
        self.backup.mode = TargetMode::Node;
        self
    }

    /// Limits the speed to this many bytes per second of virtual time.
    pub fn speed(mut self, bytes: i64) -> Self {
        self.backup.speed = bytes;
        self
    }

    /// Says what happens when the source cannot be read, and when the target cannot be written.
    pub fn on_error(mut self, source: ErrorPolicy, target: ErrorPolicy) -> Self {
        self.backup.on_source_error = source;
        self.backup.on_target_error = target;
        self
    }

    /// Writes the target compressed.
    pub fn compress(mut self) -> Self {
        self.backup.compress = true;
        self
    }

    /// The job waits for `finalize`.
    pub fn finalize_by_hand(mut self) -> Self {
        self.backup.auto_finalize = false;
        self
    }

    /// The job waits for `dismiss`.
    pub fn dismiss_by_hand(mut self) -> Self {
        self.backup.auto_dismiss = false;
        self
    }

    /// Gives the job's clusters a lower bound.
    pub fn min_cluster(mut self, size: u64) -> Self {
        self.backup.min_cluster = Some(Length(size));
        self
    }

    /// Returns the backup.
    #[must_use]
    pub fn build(self) -> Backup {
        self.backup
    }

    pub(super) fn action(self, run: Run) -> Action {
        Action::Backup {
            backup: Box::new(self.backup),
            run,
        }
    }
}
