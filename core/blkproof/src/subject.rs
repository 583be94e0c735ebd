//! The seam to what is judged.

use core::fmt;

use blkproof_device::{Parcel, Store};
use blkproof_spec::{
    Action, At, ByteRange, Capabilities, JobEvent, Refusal, Reply, Setup, Status, StepNumber,
};

/// A backup engine that blkproof can judge.
///
/// The harness owns the store, has the subject make the images of the setup, arms the setup's fault
/// rules, opens the subject, hands it one step after the other and looks at what it answers and
/// reports. [`Action::Restart`] is a close and an open. Steps about faults and time
/// ([`Action::Install`], [`Action::Lift`], [`Action::LiftAll`], [`Action::ResumeTag`],
/// [`Action::Tick`]) have acted on the store already when the subject sees them: it answers `Done`,
/// after whatever can go on went on. [`Action::Check`] and [`Action::Restart`] never reach a
/// subject. A subject never panics on a scenario, whatever it says.
pub trait Subject: fmt::Debug {
    /// Says what it can do and what it claims, the same each time. A step that takes a capability
    /// which is missing ([`Capabilities::lacking`]) is answered with `refused(unsupported)`.
    fn capabilities(&self) -> Capabilities;

    /// Makes those images of the setup that the store does not have, with their contents, and
    /// closes them. No fault rule is armed yet.
    fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError>;

    /// Opens the disks of the setup. Whatever it had open is dropped.
    fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError>;

    /// Carries out one step. Data that a guest read returns goes to `read`, which is empty at
    /// first; `number` is the step's, from which a stamped write takes its contents.
    fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply;

    /// Reads a disk as the guest would, or an image through its backing chain. The judge uses it to
    /// look at contents; no fault acts meanwhile.
    fn peek(&mut self, at: &At, range: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError>;

    /// Does the same, to the end of `parcel`. A subject that can share pages with its devices saves
    /// the judge a copy; others need not have this.
    fn peek_parcel(
        &mut self,
        at: &At,
        range: ByteRange,
        parcel: &mut Parcel,
    ) -> Result<(), SubjectError> {
        let Ok(len) = usize::try_from(range.len) else {
            return Err(SubjectError::new("more than fits in memory"));
        };
        self.peek(at, range, parcel.add_room(len))
    }

    /// Reports all bitmaps and jobs. `status` is empty at first.
    fn status(&mut self, status: &mut Status);

    /// Moves the events that happened since the last call to the end of `events`, in their order.
    fn drain_events(&mut self, events: &mut Vec<JobEvent>);

    /// Shuts down cleanly, so that every image can be read by others; running jobs are cancelled.
    ///
    /// Where something would have to wait for a suspended request it may refuse instead, with
    /// [`Refusal::CannotDrain`]: nothing happens then.
    fn close(&mut self) -> Result<(), SubjectError>;
}

impl<S: Subject + ?Sized> Subject for Box<S> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        (**self).prepare(store, setup)
    }

    fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        (**self).open(store, setup)
    }

    fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        (**self).apply(number, action, read)
    }

    fn peek(&mut self, at: &At, range: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError> {
        (**self).peek(at, range, buf)
    }

    fn peek_parcel(
        &mut self,
        at: &At,
        range: ByteRange,
        parcel: &mut Parcel,
    ) -> Result<(), SubjectError> {
        (**self).peek_parcel(at, range, parcel)
    }

    fn status(&mut self, status: &mut Status) {
        (**self).status(status);
    }

    fn drain_events(&mut self, events: &mut Vec<JobEvent>) {
        (**self).drain_events(events);
    }

    fn close(&mut self) -> Result<(), SubjectError> {
        (**self).close()
    }
}

/// Why a subject could not be opened, read or closed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SubjectError {
    /// What happened, in the subject's words.
    pub message: String,
    /// Why it was refused, where nothing happened.
    pub refusal: Option<Refusal>,
}

impl SubjectError {
    /// Makes an error of what happened.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            refusal: None,
        }
    }

    /// Makes an error that says that nothing happened, and why.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        Self {
            message: refusal.to_string(),
            refusal: Some(refusal),
        }
    }
}

impl fmt::Display for SubjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for SubjectError {}
