//! The steps of a scenario.

mod check;

use crate::content::Content;
use crate::errno::Errno;
use crate::fault::FaultRule;
use crate::geometry::Format;
use crate::name::{BitmapName, ImageName, JobName, RequestId, RuleName, Tag};
use crate::power::{Moment, PowerCut};
use crate::reply::Refusal;
use crate::units::{ByteRange, Length, Millis, Units};

pub use check::{BitmapPattern, Check, EventPattern, JobPattern, Reference};

/// A step's position in its scenario, counted from 1.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StepNumber(pub u32);

/// One step of a scenario.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// How it must be answered.
    pub expect: Expect,
}

impl Step {
    /// Returns the step of `action` that must succeed.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self {
            action,
            expect: Expect::Done,
        }
    }
}

/// How a scenario says that a step must be answered. The model judges the answer besides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Expect {
    /// It succeeds (a step that says nothing).
    Done,
    /// It is refused; with this refusal, if one is named.
    Refused(Option<Refusal>),
    /// It fails; with this error, if one is named.
    Failed(Option<Errno>),
    /// It is still under way.
    Pending,
    /// Nobody heard: the power was cut, or the process killed, in its midst.
    Cut,
    /// The scenario does not say; the model alone judges.
    Any,
}

/// How a step addresses a disk. While a backup job runs, the two mean different things: the device
/// is the filter above the source, the node is the source itself (semantics of QEMU 10.0).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum At {
    /// The device of this name, or the node where there is no such device.
    Device(ImageName),
    /// The node of this name.
    Node(ImageName),
}

impl At {
    /// Returns the name, whichever way it is meant.
    #[must_use]
    pub fn name(&self) -> &ImageName {
        match self {
            Self::Device(name) | Self::Node(name) => name,
        }
    }
}

/// What a step does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Action {
    /// A guest request, carried out to its end.
    Guest {
        /// The disk.
        at: At,
        /// The request.
        op: GuestOp,
    },
    /// A guest request is submitted and stays in flight. It makes progress through
    /// [`Action::Advance`], through [`Action::Settle`], and where a command drains the disk.
    Start {
        /// The name by which it is settled.
        request: RequestId,
        /// The disk.
        at: At,
        /// The request.
        op: GuestOp,
    },
    /// A request in flight is carried out to its end; the answer is the request's.
    Settle {
        /// The request.
        request: RequestId,
    },
    /// The disk gets a new size.
    Resize {
        /// The disk.
        at: At,
        /// The new size.
        size: Length,
    },
    /// A dirty-bitmap command.
    Bitmap(BitmapStep),
    /// A new image is made. An image of this name that is there already is refused.
    Create(Create),
    /// The image's backing file is changed in its header, without copying (`qemu-img rebase -u`).
    Rebase {
        /// The image, which nobody has open.
        image: ImageName,
        /// The new backing file, or none.
        backing: Option<ImageName>,
    },
    /// An image that nobody has open is deleted.
    Remove {
        /// The image.
        image: ImageName,
    },
    /// A backup job is started, and run to its end if `run` says so.
    Backup {
        /// The job.
        backup: Box<Backup>,
        /// How far it is run.
        run: Run,
    },
    /// A command to a job (`block-job-*` of QMP).
    Job {
        /// The job.
        job: JobName,
        /// The command.
        verb: JobVerb,
    },
    /// Some units of a job's or request's work are done, fewer where it stops before.
    Advance {
        /// Whose work.
        work: Work,
        /// How many units.
        units: Units,
    },
    /// A job is run until it concludes or cannot go on by itself. Virtual time passes while it
    /// waits only for its speed limit. The answer is `Done` after success, `Failed` after failure
    /// (with `ECANCELED` where it was cancelled), and `Pending` where it is paused, awaits its
    /// group or a command, has no end (`sync=none`), or used up the step's bound.
    Finish {
        /// The job.
        job: JobName,
    },
    /// Several actions that happen at one moment, all or none.
    Transaction {
        /// The actions, in order.
        actions: Vec<TransactionAction>,
        /// What the end of one job means for the others.
        mode: CompletionMode,
    },
    /// Virtual time passes.
    Tick(Millis),
    /// A fault rule is installed, behind those that are there.
    Install(FaultRule),
    /// A fault rule is removed.
    Lift(RuleName),
    /// All fault rules are removed and all suspended requests resumed.
    LiftAll,
    /// A request must be suspended under this tag now, or be so after the work that can still run
    /// ran.
    WaitFor(Tag),
    /// The request suspended under this tag goes on.
    ResumeTag(Tag),
    /// The subject is shut down cleanly (jobs are cancelled) and started again on the same images.
    Restart,
    /// The subject's process is killed, without a word, and started again on the same images: now,
    /// or in the midst of a later step. Nothing is lost of what it had issued.
    Kill {
        /// When; now where absent.
        at: Option<Moment>,
    },
    /// The power is cut, now or in the midst of a later step, and the subject is started again on
    /// what is left.
    PowerCut(PowerCut),
    /// Something is looked at and must be as said.
    Check(Check),
}

/// A guest's request.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum GuestOp {
    /// Data is written.
    Write {
        /// Where.
        range: ByteRange,
        /// What.
        content: Content,
        /// Whether it must be durable when it is acknowledged.
        fua: bool,
        /// Whether it is stored compressed (one whole cluster only).
        compressed: bool,
    },
    /// Zeroes are written.
    WriteZeroes {
        /// Where.
        range: ByteRange,
        /// Whether clusters may be deallocated for it.
        unmap: bool,
    },
    /// Data is given up.
    Discard {
        /// Where.
        range: ByteRange,
    },
    /// Data is read and judged.
    Read {
        /// Where.
        range: ByteRange,
    },
    /// What was acknowledged is made durable.
    Flush,
}

impl GuestOp {
    /// Returns the bytes it touches; none for a flush.
    #[must_use]
    pub fn range(&self) -> ByteRange {
        match self {
            Self::Write { range, .. }
            | Self::WriteZeroes { range, .. }
            | Self::Discard { range }
            | Self::Read { range } => *range,
            Self::Flush => ByteRange::default(),
        }
    }
}

/// A dirty-bitmap command with its subject.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BitmapStep {
    /// The disk.
    pub at: At,
    /// The bitmap.
    pub name: BitmapName,
    /// The command.
    pub command: BitmapCommand,
}

/// A dirty-bitmap command.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BitmapCommand {
    /// A new bitmap, all clean.
    Add {
        /// The bytes per bit; the image decides where absent.
        granularity: Option<Length>,
        /// Whether it is stored in the image when that is closed.
        persistent: bool,
        /// Whether it starts without recording.
        disabled: bool,
    },
    /// The bitmap is deleted.
    Remove,
    /// All its bits become clean.
    Clear,
    /// It records writes from now on.
    Enable,
    /// It records no writes from now on.
    Disable,
    /// The sources' dirty bits are added to it.
    Merge {
        /// The sources: the disk, where it is not the same one, and the bitmap.
        sources: Vec<(Option<At>, BitmapName)>,
    },
}

/// A new image.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Create {
    /// Its name.
    pub image: ImageName,
    /// Its size; the backing file's where absent.
    pub size: Option<Length>,
    /// Its format.
    pub format: Format,
    /// Its cluster size.
    pub cluster: Length,
    /// Its backing file.
    pub backing: Option<ImageName>,
}

/// A backup job, as `drive-backup` and `blockdev-backup` of QMP start it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Backup {
    /// The job's id; the source's device name where absent.
    pub job: Option<JobName>,
    /// The source.
    pub at: At,
    /// What is copied.
    pub sync: Sync,
    /// The bitmap that says what is dirty.
    pub bitmap: Option<BitmapName>,
    /// What becomes of the bitmap.
    pub bitmap_mode: Option<BitmapMode>,
    /// The image that is written.
    pub target: ImageName,
    /// How the target comes about.
    pub mode: TargetMode,
    /// Bytes per second of virtual time; 0 is without limit, negative is refused.
    pub speed: i64,
    /// What happens when the source cannot be read.
    pub on_source_error: ErrorPolicy,
    /// What happens when the target cannot be written.
    pub on_target_error: ErrorPolicy,
    /// Whether the target is written compressed.
    pub compress: bool,
    /// Whether it goes from pending to concluded by itself.
    pub auto_finalize: bool,
    /// Whether it vanishes by itself once concluded.
    pub auto_dismiss: bool,
    /// A lower bound for the job's cluster size (QEMU's `x-perf.min-cluster-size`).
    pub min_cluster: Option<Length>,
}

impl Backup {
    /// Returns a job of `sync` from the device `source` to the image `target`, made by it, with
    /// QEMU's defaults for all else.
    #[must_use]
    pub fn new(source: ImageName, sync: Sync, target: ImageName) -> Self {
        Self {
            job: None,
            at: At::Device(source),
            sync,
            bitmap: None,
            bitmap_mode: None,
            target,
            mode: TargetMode::Create { format: None },
            speed: 0,
            on_source_error: ErrorPolicy::Report,
            on_target_error: ErrorPolicy::Report,
            compress: false,
            auto_finalize: true,
            auto_dismiss: true,
            min_cluster: None,
        }
    }
}

/// What a backup copies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Sync {
    /// Everything.
    Full,
    /// What the top image of the chain has allocated.
    Top,
    /// Nothing by itself: only what the guest is about to overwrite.
    None,
    /// What the bitmap says; the bitmap starts anew on success.
    Incremental,
    /// What the bitmap says; the bitmap-mode says what becomes of it.
    Bitmap,
}

/// What becomes of the bitmap at the end of a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BitmapMode {
    /// It starts anew if the job succeeded.
    OnSuccess,
    /// It is left as it was, with what was written meanwhile added.
    Never,
    /// It starts anew, and what was not copied is added.
    Always,
}

/// How a backup's target comes about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TargetMode {
    /// The image is there already, with whatever backing file it has (`drive-backup`, `existing`).
    Existing,
    /// The job makes it, with the source's size, of this format or the source's (`drive-backup`,
    /// `absolute-paths`).
    Create {
        /// The format; the source's where absent.
        format: Option<Format>,
    },
    /// The image is there and becomes a node for the job's duration (`blockdev-backup`): zeroes
    /// that the data happens to hold are not detected.
    Node,
}

/// What a job does when a request of its fails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ErrorPolicy {
    /// It fails.
    Report,
    /// It tries again.
    Ignore,
    /// It pauses if there is no space, and fails otherwise.
    Enospc,
    /// It pauses.
    Stop,
    /// As `Enospc`, for jobs.
    Auto,
}

/// How far a backup step runs its job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Run {
    /// To its end, as by [`Action::Finish`]; that gives the step's answer.
    Finish,
    /// Not at all: it is only started.
    Start,
}

/// A command to a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum JobVerb {
    /// `block-job-pause`.
    Pause,
    /// `block-job-resume`.
    Resume,
    /// `block-job-cancel`.
    Cancel {
        /// Whether a paused job is cancelled too.
        force: bool,
    },
    /// `block-job-complete`, which no backup accepts.
    Complete,
    /// `block-job-finalize`.
    Finalize,
    /// `block-job-dismiss`.
    Dismiss,
    /// `block-job-set-speed`, bytes per second; 0 is without limit, negative is refused.
    SetSpeed(i64),
}

/// Whose work is advanced.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Work {
    /// A job's.
    Job(JobName),
    /// A guest request's.
    Request(RequestId),
}

/// An action of a transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum TransactionAction {
    /// Always fails, so that the whole is rolled back.
    Abort,
    /// A dirty-bitmap command.
    Bitmap(BitmapStep),
    /// A backup, started when all actions were prepared.
    Backup(Box<Backup>),
}

/// What the end of one job of a transaction means for the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CompletionMode {
    /// Nothing.
    Individual,
    /// All succeed or none does.
    Grouped,
}
