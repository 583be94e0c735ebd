//! Scenarios written in Rust: the same as in text, one call a line.
//!
//! ```
//! use blkproof::build::{backup, fill, rule, scenario, stamp};
//! use blkproof::spec::Errno;
//!
//! let scenario = scenario("a failed increment loses nothing")
//!     .disk("drive0", 64 << 20)
//!     .backup(backup("drive0").full("full0"))
//!     .bitmap_add("drive0", "bitmap0")
//!     .write("drive0", 0, 512, fill(0x41))
//!     .write("drive0", 1 << 20, 32 << 10, stamp())
//!     .fault(rule("drive0").error(Errno::EIO).on_reads().nth(1))
//!     .create_on("inc0", "full0")
//!     .backup(backup("drive0").incremental("bitmap0", "inc0"))
//!     .must_fail_with(Errno::EIO)
//!     .lift_all()
//!     .remove("inc0")
//!     .create_on("inc1", "full0")
//!     .backup(backup("drive0").incremental("bitmap0", "inc1"))
//!     .check_image("inc1", "drive0")
//!     .finish();
//! assert_eq!(
//!     blkproof::text::print(&scenario),
//!     "blkproof 1
//! title a failed increment loses nothing
//! disk drive0 64M qcow2
//! backup drive0 full to=full0
//! bitmap add drive0 bitmap0
//! write drive0 0 512 fill=0x41
//! write drive0 1M 32k stamp
//! fault drive0 error errno=EIO iotype=read when=nth(1)
//! create inc0 qcow2 backing=full0
//! backup drive0 incremental bitmap=bitmap0 to=inc0 mode=existing expect=failed(EIO)
//! lift-all
//! remove inc0
//! create inc1 qcow2 backing=full0
//! backup drive0 incremental bitmap=bitmap0 to=inc1 mode=existing
//! check inc1 == drive0
//! "
//! );
//! ```

mod disks;

mod backup;

mod fault;

mod check;

use blkproof_spec::content::Content;
use blkproof_spec::power::{Cache, Lost, Moment, PowerCut};
use blkproof_spec::step::{
    Action, BitmapCommand, CompletionMode, Expect, JobVerb, Run, TransactionAction, Work,
};
use blkproof_spec::{
    At, DiskSetup, Errno, FaultRule, Geometry, ImageName, JobName, Length, Millis, Name, Refusal,
    RuleName, Scenario, StatedOutcome, Step, Tag, Units,
};

use disks::bitmap_step;

pub use backup::{BackupBuilder, backup};
pub use fault::{ExtendedBuilder, RuleBuilder, rule};

/// Begins a scenario that proves what `title` says.
pub fn scenario(title: &str) -> ScenarioBuilder {
    ScenarioBuilder {
        scenario: Scenario {
            title: Some(title.into()),
            ..Scenario::default()
        },
    }
}

/// Returns the content of a write whose every byte is `byte`.
#[must_use]
pub fn fill(byte: u8) -> Content {
    Content::Fill(byte)
}

/// Returns the content of a write whose every sector carries its disk, number and step.
#[must_use]
pub fn stamp() -> Content {
    Content::Stamp
}

/// Returns the node of this name, where a plain name is taken for the device.
#[must_use]
pub fn node(name: &str) -> At {
    At::Node(ImageName::new(name))
}

/// What can say which disk is meant: a name is the device, [`node`] the node.
pub trait IntoAt {
    /// Returns which disk is meant.
    fn into_at(self) -> At;
}

impl IntoAt for &str {
    fn into_at(self) -> At {
        At::Device(ImageName::new(self))
    }
}

impl IntoAt for At {
    fn into_at(self) -> At {
        self
    }
}

/// A scenario in the making.
///
/// Calls of the setup may come at any time and act from the start. Each other call adds a step that
/// must succeed, unless a call such as [`must_fail_with`](ScenarioBuilder::must_fail_with) right
/// behind it says otherwise.
#[derive(Clone, Debug)]
#[must_use = "a scenario is made by `finish`"]
pub struct ScenarioBuilder {
    scenario: Scenario,
}

/// The setup.
impl ScenarioBuilder {
    /// Sets up a qcow2 disk of `size` bytes with a device.
    pub fn disk(self, name: &str, size: u64) -> Self {
        self.disk_with(name, Geometry::qcow2(Length(size)), |_| {})
    }

    /// Sets up a raw disk of `size` bytes with a device.
    pub fn raw_disk(self, name: &str, size: u64) -> Self {
        self.disk_with(name, Geometry::raw(Length(size)), |_| {})
    }

    /// Sets up a disk of any shape; `change` may give it a role, a backing file or contents.
    pub fn disk_with(
        mut self,
        name: &str,
        geometry: Geometry,
        change: impl FnOnce(&mut DiskSetup),
    ) -> Self {
        let mut disk = DiskSetup {
            name: ImageName::new(name),
            geometry,
            backing: None,
            role: blkproof_spec::scenario::Role::Device,
            contents: Vec::new(),
        };
        change(&mut disk);
        self.scenario.setup.disks.push(disk);
        self
    }

    /// Has a fault rule, made by [`rule`], in place when the disks are opened.
    pub fn at_open(mut self, rule: impl Into<FaultRule>) -> Self {
        self.scenario.setup.rules.push(rule.into());
        self
    }

    /// Bounds the units of work that one step may do.
    pub fn units_per_step(mut self, units: u64) -> Self {
        self.scenario.setup.limits.units_per_step = Units(units);
        self
    }

    /// States that `property` is among those that fail.
    pub fn must_break(mut self, property: &str) -> Self {
        self.scenario.outcome = StatedOutcome::Fail(Name::new(property));
        self
    }

    /// Returns the scenario.
    #[must_use]
    pub fn finish(self) -> Scenario {
        self.scenario
    }
}

/// How the step before must be answered.
impl ScenarioBuilder {
    /// The step before must fail with `errno`.
    pub fn must_fail_with(self, errno: Errno) -> Self {
        self.expect(Expect::Failed(Some(errno)))
    }

    /// The step before must be refused for this reason.
    pub fn must_be_refused(self, refusal: Refusal) -> Self {
        self.expect(Expect::Refused(Some(refusal)))
    }

    /// The step before must still be under way when it ends.
    pub fn must_be_pending(self) -> Self {
        self.expect(Expect::Pending)
    }

    /// The power must be cut, or the process killed, in the midst of the step before.
    pub fn must_be_cut(self) -> Self {
        self.expect(Expect::Cut)
    }

    /// The step before is judged by the model alone.
    pub fn may_do_anything(self) -> Self {
        self.expect(Expect::Any)
    }

    /// Says how the step before must be answered. Without a step before, nothing is said.
    pub fn expect(mut self, expect: Expect) -> Self {
        if let Some(step) = self.scenario.steps.last_mut() {
            step.expect = expect;
        }
        self
    }
}

/// Jobs and transactions.
impl ScenarioBuilder {
    /// Runs a backup to its end.
    pub fn backup(self, backup: BackupBuilder) -> Self {
        self.step(backup.action(Run::Finish))
    }

    /// Starts a backup.
    pub fn start_backup(self, backup: BackupBuilder) -> Self {
        self.step(backup.action(Run::Start))
    }

    /// Gives a command to a job.
    pub fn job(self, job: &str, verb: JobVerb) -> Self {
        let job = JobName::new(job);
        self.step(Action::Job { job, verb })
    }

    /// Does `units` of a job's work.
    pub fn advance(self, job: &str, units: u64) -> Self {
        let work = Work::Job(JobName::new(job));
        let units = Units(units);
        self.step(Action::Advance { work, units })
    }

    /// Runs a job until it concludes or cannot go on by itself.
    pub fn finish_job(self, job: &str) -> Self {
        let job = JobName::new(job);
        self.step(Action::Finish { job })
    }

    /// Does several actions at one moment; all jobs succeed or none does.
    pub fn grouped(self, make: impl FnOnce(TransactionBuilder) -> TransactionBuilder) -> Self {
        self.transaction(CompletionMode::Grouped, make)
    }

    /// Does several actions at one moment; each job ends for itself.
    pub fn individual(self, make: impl FnOnce(TransactionBuilder) -> TransactionBuilder) -> Self {
        self.transaction(CompletionMode::Individual, make)
    }

    fn transaction(
        self,
        mode: CompletionMode,
        make: impl FnOnce(TransactionBuilder) -> TransactionBuilder,
    ) -> Self {
        let actions = make(TransactionBuilder::default()).actions;
        self.step(Action::Transaction { actions, mode })
    }
}

/// The actions of a transaction in the making.
#[derive(Clone, Default, Debug)]
#[must_use = "the transaction takes its actions from what is returned"]
pub struct TransactionBuilder {
    actions: Vec<TransactionAction>,
}

impl TransactionBuilder {
    /// Starts a backup.
    pub fn backup(mut self, backup: BackupBuilder) -> Self {
        let backup = Box::new(backup.build());
        self.actions.push(TransactionAction::Backup(backup));
        self
    }

    /// Gives a bitmap command.
    pub fn bitmap(mut self, at: impl IntoAt, name: &str, command: BitmapCommand) -> Self {
        let step = bitmap_step(at, name, command);
        self.actions.push(TransactionAction::Bitmap(step));
        self
    }

    /// Always fails, so that the whole is rolled back.
    pub fn abort(mut self) -> Self {
        self.actions.push(TransactionAction::Abort);
        self
    }
}

/// Faults, time and power.
impl ScenarioBuilder {
    /// Installs a fault rule, made by [`rule`].
    pub fn fault(self, rule: impl Into<FaultRule>) -> Self {
        self.step(Action::Install(rule.into()))
    }

    /// Removes the fault rules of this name.
    pub fn lift(self, name: &str) -> Self {
        self.step(Action::Lift(RuleName::new(name)))
    }

    /// Removes all fault rules and resumes all requests.
    pub fn lift_all(self) -> Self {
        self.step(Action::LiftAll)
    }

    /// A request must be suspended under this tag.
    pub fn wait_for(self, tag: &str) -> Self {
        self.step(Action::WaitFor(Tag::new(tag)))
    }

    /// Lets the request go on that is suspended under this tag.
    pub fn resume(self, tag: &str) -> Self {
        self.step(Action::ResumeTag(Tag::new(tag)))
    }

    /// Lets virtual time pass, in milliseconds.
    pub fn tick(self, millis: u64) -> Self {
        self.step(Action::Tick(Millis(millis)))
    }

    /// Shuts the subject down cleanly and starts it again.
    pub fn restart(self) -> Self {
        self.step(Action::Restart)
    }

    /// Kills the subject's process and starts it again.
    pub fn kill(self) -> Self {
        self.step(Action::Kill { at: None })
    }

    /// Kills the subject's process in the midst of a later step: at the `operation`-th operation
    /// from now, counted from 1, that changes a device or makes it durable.
    pub fn kill_at(self, operation: u64) -> Self {
        let at = Some(Moment(operation));
        self.step(Action::Kill { at })
    }

    /// Cuts the power.
    pub fn power_cut(self, lost: Lost) -> Self {
        self.step(Action::PowerCut(PowerCut::new(lost)))
    }

    /// Cuts the power in the midst of a later step: at the `operation`-th operation from now,
    /// counted from 1, that changes a device or makes it durable.
    pub fn power_cut_at(self, operation: u64, lost: Lost) -> Self {
        self.step(Action::PowerCut(PowerCut {
            at: Some(Moment(operation)),
            ..PowerCut::new(lost)
        }))
    }

    /// Says what the devices promise about a loss of power.
    pub fn cache(mut self, cache: Cache) -> Self {
        self.scenario.setup.cache = cache;
        self
    }
}

/// Any step.
impl ScenarioBuilder {
    /// Adds any step.
    pub fn step(mut self, action: Action) -> Self {
        self.scenario.steps.push(Step::new(action));
        self
    }
}
