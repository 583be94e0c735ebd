//! Scenarios of the format level as plain data.

use blkproof_spec::power::Moment;
use blkproof_spec::{ByteRange, Content, FaultRule, Format, Length, PowerCut, RuleName};

use super::outcome::Property;

/// The name of the image's file among the devices.
pub const FILE: &str = "image";

/// The name of the device below the image, which the image names as its backing file.
pub const BASE: &str = "base";

/// A scenario: how an image is made and opened, and what happens to it.
///
/// What the image holds at its end is always looked at: it is flushed, read, closed, looked at by
/// somebody else, opened and read again, without any fault.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Scenario {
    /// What it is about.
    pub title: Option<String>,
    /// How it ends.
    pub outcome: Stated,
    /// What is there at first.
    pub setup: Setup,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// How a scenario says that it ends.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Stated {
    /// Everything holds.
    #[default]
    Pass,
    /// This property does not hold.
    Fail(Property),
}

/// The image and its devices.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Setup {
    /// The size that a guest sees.
    pub size: Length,
    /// The cluster size.
    pub cluster: Length,
    /// The width of the reference counts in bits.
    pub refcount_bits: u32,
    /// Who makes the image.
    pub made_by: MadeBy,
    /// What lies below it.
    pub base: Option<Base>,
    /// The alignment that the devices ask for.
    pub align: u64,
    /// How much the library keeps in memory.
    pub cache: CacheSize,
    /// When all of the image is read.
    pub look: Look,
    /// The rules that are armed when the image is opened for the first time.
    pub rules: Vec<FaultRule>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            size: Length(1 << 20),
            cluster: Length(64 << 10),
            refcount_bits: 16,
            made_by: MadeBy::Library,
            base: None,
            align: 1,
            cache: CacheSize::Default,
            look: Look::End,
            rules: Vec::new(),
        }
    }
}

/// Who makes an image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MadeBy {
    /// The library that is judged.
    Library,
    /// QEMU's `qemu-img`.
    QemuImg,
}

/// What lies below an image: every sector says where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Base {
    /// Its size.
    pub size: Length,
    /// Its format.
    pub format: Format,
}

/// How much a library keeps in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CacheSize {
    /// What it keeps where nobody says anything.
    Default,
    /// As little as it can.
    Small,
}

/// When all of an image is read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Look {
    /// After the last step.
    End,
    /// After every step. No fault acts meanwhile.
    EveryStep,
}

/// A step.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Step {
    /// What happens.
    pub action: Action,
    /// A request that fails is made again, some times.
    pub retry: bool,
}

/// What happens in a step.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// A request to the image.
    Request(Op),
    /// The image is closed and opened.
    Reopen,
    /// A rule is armed.
    Install(FaultRule),
    /// The rules of this name are lifted.
    Lift(RuleName),
    /// All rules are lifted.
    LiftAll,
    /// The process is killed, now or in the midst of a later request, and another opens the image.
    Kill(Option<Moment>),
    /// The power is cut, now or in the midst of a later request, and the image is opened again.
    PowerCut(PowerCut),
}

/// A request to an image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// Reads.
    Read(ByteRange),
    /// Writes.
    Write {
        /// Where.
        range: ByteRange,
        /// What.
        content: Content,
    },
    /// Makes a range read as zeroes.
    WriteZeroes(ByteRange),
    /// Gives up a range.
    Discard(ByteRange),
    /// Hands everything on to the device.
    Flush,
    /// Makes durable what was handed on.
    Sync,
    /// Changes the size.
    Resize(Length),
    /// Drops what is kept in memory.
    DropCaches,
}

impl Op {
    /// Returns its bytes, if it has some.
    #[must_use]
    pub fn range(&self) -> Option<ByteRange> {
        match self {
            Self::Read(range)
            | Self::Write { range, .. }
            | Self::WriteZeroes(range)
            | Self::Discard(range) => Some(*range),
            Self::Flush | Self::Sync | Self::Resize(_) | Self::DropCaches => None,
        }
    }
}

impl Action {
    /// Returns the word that the scenario text begins it with.
    #[must_use]
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Request(op) => match op {
                Op::Read(_) => "read",
                Op::Write { .. } => "write",
                Op::WriteZeroes(_) => "write-zeroes",
                Op::Discard(_) => "discard",
                Op::Flush => "flush",
                Op::Sync => "sync",
                Op::Resize(_) => "resize",
                Op::DropCaches => "drop-caches",
            },
            Self::Reopen => "reopen",
            Self::Install(_) => "fault",
            Self::Lift(_) | Self::LiftAll => "lift",
            Self::Kill(_) => "kill",
            Self::PowerCut(_) => "power-cut",
        }
    }
}
