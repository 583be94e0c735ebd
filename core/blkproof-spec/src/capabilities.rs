//! What a subject can do and what it claims.

use crate::fault::Layer;
use crate::step::{
    Action, Backup, BitmapCommand, BitmapStep, ErrorPolicy, GuestOp, Run, Sync, TargetMode,
    TransactionAction, Work,
};
use crate::units::Length;

/// What a subject can do and what it claims, so that it is asked for no more.
///
/// Each field that is false removes steps from what is generated or relaxes what is judged. A
/// subject says the truth: one that refuses as unsupported what it claims, or does what it does not
/// claim, breaks the property `claims-true`. Reads, writes, flushes, full backups, bitmaps,
/// incremental ones and targets on a backing file are what everybody has.
///
/// ```
/// use blkproof_spec::{Capabilities, Length};
///
/// // Full and incremental backups that run to their end at once, and bitmaps of 64 KiB a bit.
/// let mut can = Capabilities::MINIMAL;
/// can.declines = false;
/// can.bitmap_status = true;
/// can.granularity = Some(Length(64 << 10));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a capability of its own"
)]
pub struct Capabilities {
    /// It reports bitmaps through its status.
    pub bitmap_status: bool,
    /// Its status tells the dirty ranges, not only counts.
    pub dirty_ranges: bool,
    /// It emits events. Without them nobody can tell how a job ended that ran beside other steps,
    /// so none does.
    pub events: bool,
    /// Its jobs can be advanced unit by unit.
    pub stepwise: bool,
    /// It has transactions.
    pub transactions: bool,
    /// It takes requests that stay in flight.
    pub in_flight: bool,
    /// It places layers above the format where the store asks for it.
    pub faults_above_format: bool,
    /// It resizes disks.
    pub resize: bool,
    /// It changes the backing file of an image.
    pub rebase: bool,
    /// Its jobs run beside other steps: they can be started without being finished, and take
    /// commands.
    pub background_jobs: bool,
    /// Its jobs take options: a speed, error policies, `auto-finalize`, `auto-dismiss`, a least
    /// cluster.
    pub job_options: bool,
    /// It backs up what the topmost image of a chain holds (`top`).
    pub top: bool,
    /// It backs up nothing but what the guest is about to overwrite (`none`).
    pub copy_before_write: bool,
    /// Its backups take bitmap modes (`bitmap`, `bitmap-mode`).
    pub bitmap_modes: bool,
    /// Its targets may be nodes (`mode=node`).
    pub node_targets: bool,
    /// It writes compressed, for guests and in backups.
    pub compressed: bool,
    /// It merges bitmaps.
    pub merge: bool,
    /// It enables and disables bitmaps, and adds disabled ones.
    pub disabled_bitmaps: bool,
    /// The one granularity that all its bitmaps have, also where none is asked for; absent if any
    /// can be asked for.
    pub granularity: Option<Length>,
    /// It can be restarted.
    pub restart: bool,
    /// It stores persistent bitmaps.
    pub persistent: bool,
    /// It can be killed at any moment: what it had open is dropped as it is, and it opens its disks
    /// again.
    pub power: bool,
    /// What it has not flushed may turn out to hold anything at all after a loss of power.
    pub unflushed_arbitrary: bool,
    /// It may decline, as unsupported, any step but a guest's plain read, write or flush: what it
    /// does not decline is judged.
    pub declines: bool,
}

impl Capabilities {
    /// Everything: what the built-in engine can do.
    pub const FULL: Self = Self {
        bitmap_status: true,
        dirty_ranges: true,
        events: true,
        stepwise: true,
        transactions: true,
        in_flight: true,
        faults_above_format: true,
        resize: true,
        rebase: true,
        background_jobs: true,
        job_options: true,
        top: true,
        copy_before_write: true,
        bitmap_modes: true,
        node_targets: true,
        compressed: true,
        merge: true,
        disabled_bitmaps: true,
        granularity: None,
        restart: true,
        persistent: true,
        power: true,
        unflushed_arbitrary: false,
        declines: false,
    };

    /// Nothing beyond reads, writes, full and incremental backups.
    pub const MINIMAL: Self = Self {
        bitmap_status: false,
        dirty_ranges: false,
        events: false,
        stepwise: false,
        transactions: false,
        in_flight: false,
        faults_above_format: false,
        resize: false,
        rebase: false,
        background_jobs: false,
        job_options: false,
        top: false,
        copy_before_write: false,
        bitmap_modes: false,
        node_targets: false,
        compressed: false,
        merge: false,
        disabled_bitmaps: false,
        granularity: None,
        restart: false,
        persistent: false,
        power: false,
        unflushed_arbitrary: false,
        declines: true,
    };

    /// Less than anybody has: what any step takes is missing here.
    pub(crate) const NOTHING: Self = Self {
        granularity: Some(Length(0)),
        ..Self::MINIMAL
    };

    /// Returns the capability that a step takes and that is missing here, by the name of its field.
    /// A subject answers such a step with `refused(unsupported)`, and is never given one by
    /// scenarios that are made up for it.
    ///
    /// ```
    /// use blkproof_spec::{Action, Capabilities};
    ///
    /// assert_eq!(Capabilities::MINIMAL.lacking(&Action::Restart), Some("restart"));
    /// assert_eq!(Capabilities::FULL.lacking(&Action::Restart), None);
    /// ```
    #[must_use]
    pub fn lacking(&self, step: &Action) -> Option<&'static str> {
        match step {
            Action::Guest { op, .. } => self.lacking_for_op(op),
            Action::Start { op, .. } => {
                missing(self.in_flight, "in_flight").or_else(|| self.lacking_for_op(op))
            }
            Action::Settle { .. } => missing(self.in_flight, "in_flight"),
            Action::Advance { work, .. } => missing(self.stepwise, "stepwise").or(match work {
                Work::Request(_) => missing(self.in_flight, "in_flight"),
                Work::Job(_) => self.lacking_for_commands(),
            }),
            Action::Bitmap(step) => self.lacking_for_bitmap(step),
            Action::Rebase { .. } => missing(self.rebase, "rebase"),
            Action::Backup { backup, run } => {
                let beside = || match run {
                    Run::Start => self.lacking_for_commands(),
                    Run::Finish => None,
                };
                self.lacking_for_backup(backup).or_else(beside)
            }
            Action::Job { .. } | Action::Finish { .. } => self.lacking_for_commands(),
            Action::Transaction { actions, .. } => {
                let of_actions = || actions.iter().find_map(|action| self.lacking_for(action));
                missing(self.transactions, "transactions").or_else(of_actions)
            }
            Action::Resize { .. } => missing(self.resize, "resize"),
            Action::Restart => missing(self.restart, "restart"),
            Action::Kill { .. } | Action::PowerCut(_) => missing(self.power, "power"),
            Action::Install(rule) => {
                let has_place = self.faults_above_format || rule.place.layer != Layer::Format;
                missing(has_place, "faults_above_format")
            }
            Action::Create(_)
            | Action::Remove { .. }
            | Action::Tick(_)
            | Action::Lift(_)
            | Action::LiftAll
            | Action::WaitFor(_)
            | Action::ResumeTag(_)
            | Action::Check(_) => None,
        }
    }

    fn lacking_for_op(&self, op: &GuestOp) -> Option<&'static str> {
        let compressed = matches!(
            op,
            GuestOp::Write {
                compressed: true,
                ..
            }
        );
        missing(self.compressed || !compressed, "compressed")
    }

    fn lacking_for_bitmap(&self, step: &BitmapStep) -> Option<&'static str> {
        match &step.command {
            BitmapCommand::Add {
                granularity,
                persistent,
                disabled,
            } => {
                let own = self.granularity.or(*granularity);
                let has_granularity = granularity.is_none() || own == *granularity;
                missing(self.persistent || !persistent, "persistent")
                    .or(missing(
                        self.disabled_bitmaps || !disabled,
                        "disabled_bitmaps",
                    ))
                    .or(missing(has_granularity, "granularity"))
            }
            BitmapCommand::Enable | BitmapCommand::Disable => {
                missing(self.disabled_bitmaps, "disabled_bitmaps")
            }
            BitmapCommand::Merge { .. } => missing(self.merge, "merge"),
            BitmapCommand::Remove | BitmapCommand::Clear => None,
        }
    }

    fn lacking_for_backup(&self, backup: &Backup) -> Option<&'static str> {
        let sync = match backup.sync {
            Sync::Top => missing(self.top, "top"),
            Sync::None => missing(self.copy_before_write, "copy_before_write"),
            Sync::Bitmap => missing(self.bitmap_modes, "bitmap_modes"),
            Sync::Full | Sync::Incremental => None,
        };
        let has_mode = self.bitmap_modes || backup.bitmap_mode.is_none();
        let is_node = backup.mode == TargetMode::Node;
        let policies = [backup.on_source_error, backup.on_target_error];
        let stops = |policy| !matches!(policy, ErrorPolicy::Report | ErrorPolicy::Ignore);
        let awaits_commands =
            !backup.auto_finalize || !backup.auto_dismiss || policies.into_iter().any(stops);
        let commands = || {
            let awaits = awaits_commands || backup.sync == Sync::None;
            awaits.then(|| self.lacking_for_commands()).flatten()
        };
        let plain = backup.speed == 0
            && backup.auto_finalize
            && backup.auto_dismiss
            && backup.min_cluster.is_none()
            && policies == [ErrorPolicy::Report; 2];
        sync.or(missing(has_mode, "bitmap_modes"))
            .or(missing(self.node_targets || !is_node, "node_targets"))
            .or(missing(self.compressed || !backup.compress, "compressed"))
            .or(missing(self.job_options || plain, "job_options"))
            .or_else(commands)
    }

    fn lacking_for(&self, action: &TransactionAction) -> Option<&'static str> {
        match action {
            TransactionAction::Abort => None,
            TransactionAction::Bitmap(step) => self.lacking_for_bitmap(step),
            TransactionAction::Backup(backup) => self
                .lacking_for_backup(backup)
                .or_else(|| self.lacking_for_commands()),
        }
    }

    /// What it takes to follow a job that runs beside other steps, and to command it.
    fn lacking_for_commands(&self) -> Option<&'static str> {
        missing(self.background_jobs, "background_jobs").or(missing(self.events, "events"))
    }
}

fn missing(has: bool, name: &'static str) -> Option<&'static str> {
    (!has).then_some(name)
}
