//! Why a command does not do what it says.

use blkproof_device::{IoError, Wait};
use blkproof_spec::{Errno, Refusal, Reply};

/// Why a command does not do what it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// It is refused.
    Refused(Refusal),
    /// It was tried and failed.
    Failed(Errno),
    /// It waits.
    Waits(Wait),
}

impl Stop {
    /// Returns it as the refusal of a command that cannot be under way: failures become `failure`.
    pub(crate) fn refusal(&self, failure: Refusal) -> Refusal {
        match self {
            Self::Refused(refusal) => *refusal,
            Self::Failed(_) => failure,
            Self::Waits(_) => Refusal::CannotDrain,
        }
    }

    /// Returns it as the answer to a command that cannot be under way.
    pub(crate) fn reply(&self) -> Reply {
        match self {
            Self::Refused(refusal) => Reply::Refused(*refusal),
            Self::Failed(errno) => Reply::Failed(*errno),
            Self::Waits(_) => Reply::Refused(Refusal::CannotDrain),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<IoError> for Stop {
    fn from(error: IoError) -> Self {
        match error {
            IoError::Failed(errno) => Self::Failed(errno),
            IoError::Wait(wait) => Self::Waits(wait),
        }
    }
}
