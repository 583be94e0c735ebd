//! A scenario: what is set up, what is done, and within which limits.

use crate::fault::FaultRule;
use crate::geometry::Geometry;
use crate::name::{ImageName, Name};
use crate::power::Cache;
use crate::step::Step;
use crate::units::{ByteRange, Units};

/// A whole scenario: plain data, from which everything that happens follows.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Scenario {
    /// A sentence that says what it proves, shown in listings.
    pub title: Option<Box<str>>,
    /// What is there before the first step.
    pub setup: Setup,
    /// What is done.
    pub steps: Vec<Step>,
    /// How it must end.
    pub outcome: StatedOutcome,
}

/// What is there before the first step.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Setup {
    /// The disks, in the order in which they are made. A disk's [`DiskId`](crate::DiskId) is its
    /// position here.
    pub disks: Vec<DiskSetup>,
    /// Fault rules that are in place when the disks are opened.
    pub rules: Vec<FaultRule>,
    /// What the devices promise about a loss of power.
    pub cache: Cache,
    /// What bounds the steps.
    pub limits: Limits,
}

/// The most images of a chain, from a disk to the last of its backing files.
pub const CHAIN_MAX: usize = 200;

/// A disk that is there before the first step.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DiskSetup {
    /// Its name: of the device, of the node, and of the image in the store.
    pub name: ImageName,
    /// Its shape.
    pub geometry: Geometry,
    /// Its backing file, which stands before it in the setup.
    pub backing: Option<ImageName>,
    /// What is opened of it.
    pub role: Role,
    /// What stands on it, each range filled with one byte, later ones over earlier ones. It is
    /// there without having been written by the guest: nothing is dirty, nothing awaits a flush.
    pub contents: Vec<(ByteRange, u8)>,
}

/// What is opened of a disk of the setup.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// A device with its node, as QEMU's `-drive` makes it.
    #[default]
    Device,
    /// A node without a device, as `blockdev-add` makes it.
    Node,
    /// Nothing: it only lies in the store, as a backing file or target.
    Image,
}

/// What bounds a scenario. Subjects that count their work keep to it; a step that ends as pending
/// because it reached a bound is a failure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Limits {
    /// The units of work that one step may do before it ends as pending.
    pub units_per_step: Units,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            units_per_step: Units(1 << 20),
        }
    }
}

/// How a scenario says that it must end.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub enum StatedOutcome {
    /// Every property and every expectation holds.
    #[default]
    Pass,
    /// This property is among those that fail (for subjects with a known bug).
    Fail(Name),
}
