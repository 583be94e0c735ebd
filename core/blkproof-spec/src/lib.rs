//! What a correct block-device backup is.
//!
//! This crate has no dependencies and performs no input or output. It holds three things, in
//! reading order: the vocabulary (plain data in which scenarios, answers and faults are written),
//! the reference model (a symbolic account of what every disk, bitmap, job and restore point must
//! be), and the properties (one file each) that the model holds a subject to.
//!
//! The model must not know how any subject works inside, and nothing here may depend on the code
//! that is judged.

mod units;

mod name;

pub mod content;

mod geometry;

mod errno;

pub mod fault;

pub mod power;

pub mod step;

mod reply;

mod event;

mod status;

mod capabilities;

pub mod scenario;

pub mod property;

pub mod model;

pub use capabilities::Capabilities;
pub use content::{Content, DiskId, WriteNumber};
pub use errno::Errno;
pub use event::{ErrorAction, JobEvent, Side};
pub use fault::{FaultRule, IoType, Layer, Place};
pub use geometry::{DiscardMode, Format, Geometry};
pub use model::{Judgement, Model, Observation};
pub use name::{BitmapName, ImageName, JobName, Name, RequestId, RuleName, Tag};
pub use power::PowerCut;
pub use property::Property;
pub use reply::{ErrorClass, Refusal, Reply};
pub use scenario::{DiskSetup, Limits, Scenario, Setup, StatedOutcome};
pub use status::{BitmapStatus, IoStatus, JobEnd, JobState, JobStatus, Status};
pub use step::{Action, At, Step, StepNumber};
pub use units::{ByteRange, Length, Millis, Offset, SECTOR, SectorNumber, Units};
