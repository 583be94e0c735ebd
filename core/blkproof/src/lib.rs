//! Prove that block-device backups restore.
//!
//! blkproof runs scenarios (guest writes, dirty bitmaps, backups, faults) against a subject whose
//! disks can break, and a reference model that cannot see the subject judges every answer and every
//! restored byte.
//!
//! Begin with the [`guide`]: three steps from an engine of yours to a failing test.

#[doc = include_str!("../GUIDE.md")]
#[expect(
    clippy::test_attr_in_doctest,
    reason = "it shows a test, which a crate that follows it runs"
)]
pub mod guide {}

mod subject;

mod small;

pub mod asynchronous;

mod inspect;

mod outcome;

pub mod text;

pub mod build;

mod run;

mod report;

pub mod corpus;

pub mod generate;

pub mod sweep;

mod case;

pub mod exhaustive;

pub mod format;
#[cfg(any(feature = "arbitrary", feature = "proptest", feature = "quickcheck"))]
pub mod front;

pub mod coverage;

pub mod shrink;

pub mod explain;

pub mod known;

mod check;

pub use blkproof_device as device;
pub use blkproof_spec as spec;
pub use case::Case;
pub use check::{Check, Judged, check};
pub use inspect::{Backing, FilePart, Images, InspectError, Inspected, Inspector, Soundness};
pub use outcome::{
    Counts, Cut, Failure, Finding, Identity, LedBy, LostPart, Moment, NotJudged, Outcome,
};
pub use report::{Entry, Report, Told, ToldCut, WrongRange};
pub use run::{Cleanup, Options, Recording, Runner};
pub use small::{SmallEngine, SmallSubject, Source};
pub use subject::{Subject, SubjectError};
