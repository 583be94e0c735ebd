//! What the model is shown of a step, and what it says to that.

mod mismatch;

use core::fmt;

use crate::errno::Errno;
use crate::event::{ErrorAction, JobEvent, Side};
use crate::fault::Firing;
use crate::name::{BitmapName, ImageName, JobName, RequestId, Tag};
use crate::property::{Exercised, Property, completed_survives, flushed_survives};
use crate::reply::Reply;
use crate::status::{IoStatus, JobEnd, JobState, Status};
use crate::units::{ByteRange, Length};

pub(crate) use mismatch::Mismatches;
pub use mismatch::{Held, Mismatch};

/// What was seen of one step.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The answer.
    pub reply: Reply,
    /// The events that the step brought, in their order.
    pub events: &'a [JobEvent],
    /// What the subject reports after the step; `None` where it was not asked (see
    /// [`Model::wants_status`](super::Model::wants_status)).
    pub status: Option<&'a Status>,
    /// The faults that fired during the step.
    pub fired: &'a [Firing],
    /// The data that a guest read returned; empty for other steps.
    pub data: &'a [u8],
    /// The tags under which requests are suspended after the step.
    pub suspended: &'a [Tag],
    /// Of a step in which power was lost: the process was killed only, and nothing became durable
    /// by it.
    pub killed: bool,
}

impl Observation<'_> {
    /// Returns the observation of a step of which nothing but the answer is known.
    #[must_use]
    pub fn of(reply: Reply) -> Self {
        Self {
            reply,
            events: &[],
            status: None,
            fired: &[],
            data: &[],
            suspended: &[],
            killed: false,
        }
    }
}

/// What the model says of a step. Calls add to it; buffers are reused.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// What does not hold.
    pub violations: Vec<Violation>,
    /// What has to be read and compared, now, before the next step.
    pub demands: Vec<Demand>,
    /// Of which properties something was judged; what demands judge is not among them (see
    /// [`Model::judged_by`](super::Model::judged_by)).
    pub exercised: Exercised,
}

impl Judgement {
    /// Notes that something of a property was judged.
    pub(crate) fn exercise(&mut self, property: Property) {
        self.exercised.add(property);
    }

    /// Forgets everything said so far.
    pub fn clear(&mut self) {
        self.violations.clear();
        self.demands.clear();
        self.exercised = Exercised::default();
    }

    /// Reports that a job said that it succeeded while these bytes of its target's device were not
    /// durable.
    pub fn volatile_target(&mut self, target: &ImageName, bytes: Vec<ByteRange>) {
        completed_survives::volatile(target, bytes, self);
    }

    /// Reports that a disk turned out to be smaller, after a loss of power, than it was reported to
    /// be.
    pub fn lost_size(&mut self, disk: &ImageName, size: Length) {
        flushed_survives::smaller(disk, size, self);
    }

    /// Reports that an image turned out to stand on another backing file, after a loss of power,
    /// than was reported.
    pub fn lost_backing(
        &mut self,
        image: &ImageName,
        expected: Option<&ImageName>,
        seen: Option<&ImageName>,
    ) {
        flushed_survives::rebased_in_vain(image, expected, seen, self);
    }
}

/// A property that does not hold, with what was expected and what was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The property.
    pub property: Property,
    /// What it was seen on.
    pub about: About,
    /// Which of its aspects, as a noun: `reply`, `count`, `length`, `contents`.
    pub aspect: &'static str,
    /// What ought to be.
    pub expected: Fact,
    /// What was seen.
    pub seen: Fact,
    /// For contents: where they are wrong, merged and in order; at most
    /// [`Violation::MISMATCHES_MAX`] are kept.
    pub mismatches: Vec<Mismatch>,
    /// Whether there are more mismatches than are kept.
    pub has_more: bool,
}

impl Violation {
    /// How many mismatches one violation keeps.
    pub const MISMATCHES_MAX: usize = 64;

    pub(crate) fn new(
        property: Property,
        about: About,
        aspect: &'static str,
        expected: Fact,
        seen: Fact,
    ) -> Self {
        Self {
            property,
            about,
            aspect,
            expected,
            seen,
            mismatches: Vec::new(),
            has_more: false,
        }
    }

    /// Returns the violation of wrong contents.
    pub(crate) fn of_contents(property: Property, about: About, found: Mismatches) -> Self {
        Self {
            mismatches: found.kept,
            has_more: found.has_more,
            ..Self::new(property, about, "contents", Fact::Contents, Fact::Contents)
        }
    }

    /// Takes in what another look found wrong in the same way with the contents of the same,
    /// behind what is known; returns it where it is about something else.
    pub fn join(&mut self, next: Self) -> Option<Self> {
        let same = self.property == next.property
            && self.about == next.about
            && self.aspect == next.aspect
            && !self.mismatches.is_empty()
            && !next.mismatches.is_empty();
        if !same {
            return Some(next);
        }
        let mut all = Mismatches {
            kept: std::mem::take(&mut self.mismatches),
            has_more: self.has_more,
            most: Self::MISMATCHES_MAX,
        };
        for Mismatch {
            range,
            held,
            expected,
        } in next.mismatches
        {
            all.add(range, held, &expected);
        }
        self.mismatches = all.kept;
        self.has_more = all.has_more || next.has_more;
        None
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.property, self.about, self.aspect)?;
        if self.mismatches.is_empty() {
            write!(f, ": expected {}, saw {}", self.expected, self.seen)?;
        }
        for (index, mismatch) in self.mismatches.iter().enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            write!(f, "{separator}{mismatch}")?;
        }
        if self.has_more {
            f.write_str("; and more behind these")?;
        }
        Ok(())
    }
}

/// What a violation was seen on.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum About {
    /// The step as a whole.
    Step,
    /// What the guest sees of a disk.
    Disk(ImageName),
    /// An image, through its chain.
    Image(ImageName),
    /// A bitmap.
    Bitmap {
        /// Its disk.
        disk: ImageName,
        /// Its name.
        name: BitmapName,
    },
    /// A job.
    Job(JobName),
    /// A request in flight.
    Request(RequestId),
    /// A fault that fired.
    Fault(Box<Firing>),
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step => f.write_str("the step"),
            Self::Disk(name) => write!(f, "disk {name}"),
            Self::Image(name) => write!(f, "image {name}"),
            Self::Bitmap { disk, name } => write!(f, "bitmap {name} of {disk}"),
            Self::Job(name) => write!(f, "job {name}"),
            Self::Request(id) => write!(f, "request {id}"),
            Self::Fault(firing) => {
                write!(f, "the fault on a {} at {}", firing.kind, firing.place)
            }
        }
    }
}

/// A value that was expected or seen.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fact {
    /// Nothing at all.
    Nothing,
    /// Anything else than what stands on the other side.
    Otherwise,
    /// A phrase.
    Text(&'static str),
    /// Words of the subject or of a tool.
    Message(Box<str>),
    /// An answer.
    Reply(Reply),
    /// One of several answers.
    OneOf(Vec<Reply>),
    /// A number of bytes.
    Bytes(Length),
    /// A number of bytes between two, both included.
    Between(Length, Length),
    /// A speed or another plain number.
    Number(u64),
    /// Whether something is so.
    Flag(bool),
    /// Ranges of bytes.
    Ranges(Vec<ByteRange>),
    /// A job's state.
    State(JobState),
    /// A job's I/O status.
    IoStatus(IoStatus),
    /// How a job ended.
    End(Option<JobEnd>),
    /// An error.
    Errno(Errno),
    /// The errors that fired.
    Errnos(Vec<Errno>),
    /// An event.
    Event(JobEvent),
    /// What a job does about an error on one side.
    Policy(Side, ErrorAction),
    /// The contents that the violation's mismatches tell.
    Contents,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Otherwise => f.write_str("something else"),
            Self::Text(text) => f.write_str(text),
            Self::Message(text) => f.write_str(text),
            Self::Reply(reply) => write_reply(f, *reply),
            Self::OneOf(replies) => {
                write_list(f, " or ", replies, |f, reply| write_reply(f, *reply))
            }
            Self::Bytes(length) => write!(f, "{length} bytes"),
            Self::Between(least, most) => write!(f, "{least} to {most} bytes"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::Ranges(ranges) if ranges.is_empty() => f.write_str("no range"),
            Self::Ranges(ranges) => write_list(f, ", ", ranges, |f, range| write!(f, "{range}")),
            Self::State(state) => f.write_str(state.name()),
            Self::IoStatus(status) => f.write_str(match status {
                IoStatus::Ok => "ok",
                IoStatus::Failed => "failed",
                IoStatus::Nospace => "nospace",
            }),
            Self::End(end) => write_end(f, *end),
            Self::Errno(errno) => write!(f, "{errno}"),
            Self::Errnos(errnos) if errnos.is_empty() => f.write_str("no error"),
            Self::Errnos(errnos) => write_list(f, " or ", errnos, |f, errno| write!(f, "{errno}")),
            Self::Event(event) => write!(f, "{event:?}"),
            Self::Policy(side, action) => write!(f, "{action:?} on {side:?}"),
            Self::Contents => f.write_str("contents"),
        }
    }
}

fn write_list<T>(
    f: &mut fmt::Formatter<'_>,
    separator: &str,
    items: &[T],
    mut write: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write(f, item)?;
    }
    Ok(())
}

fn write_reply(f: &mut fmt::Formatter<'_>, reply: Reply) -> fmt::Result {
    match reply {
        Reply::Done => f.write_str("done"),
        Reply::Refused(refusal) => write!(f, "refused({refusal})"),
        Reply::Failed(errno) => write!(f, "failed({errno})"),
        Reply::Pending => f.write_str("pending"),
        Reply::Cut => f.write_str("cut"),
    }
}

fn write_end(f: &mut fmt::Formatter<'_>, end: Option<JobEnd>) -> fmt::Result {
    match end {
        None => f.write_str("no end"),
        Some(JobEnd::Success) => f.write_str("success"),
        Some(JobEnd::Failed(errno)) => write!(f, "failed({errno})"),
        Some(JobEnd::Cancelled) => f.write_str("cancelled"),
    }
}

/// Something that the harness has to read and hand back to the model.
///
/// For [`Scope::Whole`] and [`Scope::Within`] it calls
/// [`Model::compare`](super::Model::compare) with every piece that is allocated in the target or
/// that [`Model::worth_reading`](super::Model::worth_reading) names; what is neither reads
/// as zeroes as it should. For [`Scope::Allocation`] it calls
/// [`Model::compare_allocation`](super::Model::compare_allocation).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demand {
    /// What to look at.
    pub target: Target,
    /// The size that it must have.
    pub size: Length,
    /// How much of it.
    pub scope: Scope,
    /// The property that a mismatch breaks (others may be added).
    pub property: Property,
    pub(super) against: Against,
}

impl Demand {
    /// Tells whether the target is compared with contents that were frozen: looking again at a
    /// target that did not change cannot come out differently.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        matches!(self.against, Against::Point(_))
    }

    /// Tells whether `other` looks at the same and compares it with the same, whatever property it
    /// is demanded for.
    #[must_use]
    pub fn is_same_look(&self, other: &Self) -> bool {
        self.target == other.target
            && self.size == other.size
            && self.scope == other.scope
            && self.against == other.against
    }
}

/// What a demand looks at.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    /// What the guest sees of a disk.
    Disk(ImageName),
    /// An image that nobody writes to, through its backing chain.
    Image(ImageName),
}

impl Target {
    /// Returns the name of the disk or image.
    #[must_use]
    pub fn name(&self) -> &ImageName {
        match self {
            Self::Disk(name) | Self::Image(name) => name,
        }
    }
}

/// How much of a target a demand looks at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// All of it.
    Whole,
    /// These ranges, in ascending order.
    Within(Vec<ByteRange>),
    /// Not its contents: which ranges its top image has allocated as data or as zeroes.
    Allocation,
}

/// What a demand's target is compared with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Against {
    /// What the model holds it to be.
    Itself,
    /// What this other disk or image is held to be.
    Other(ImageName),
    /// The contents frozen for the job of this index.
    Point(usize),
    /// The clusters that may be allocated.
    Clusters(Vec<ByteRange>),
}

/// What an inspector found in an image that nobody has open.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct ImageReport {
    /// Clusters used twice, reference counts too low, tables that point nowhere.
    pub corruptions: u64,
    /// Clusters that are counted as used and belong to nothing.
    pub leaks: u64,
}
