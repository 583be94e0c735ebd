//! How a verb can fail, and the exit code each way has.

use std::fmt;
use std::process::ExitCode;

/// A failed verb; the kinds differ in their exit code, the same as blkproof's own.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was checked does not hold: exit code 1.
    Check(anyhow::Error),
    /// Bad usage or a bad input file: exit code 2.
    Input(anyhow::Error),
    /// The environment failed, such as a missing tool: exit code 3.
    Environment(anyhow::Error),
}

impl Failure {
    pub(crate) fn check(message: impl fmt::Display) -> Self {
        Self::Check(anyhow::anyhow!("{message}"))
    }

    pub(crate) fn input(message: impl fmt::Display) -> Self {
        Self::Input(anyhow::anyhow!("{message}"))
    }

    pub(crate) fn environment(message: impl fmt::Display) -> Self {
        Self::Environment(anyhow::anyhow!("{message}"))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Check(_) => 1,
            Self::Input(_) => 2,
            Self::Environment(_) => 3,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Check(error) | Self::Input(error) | Self::Environment(error)) = self;
        write!(f, "{error:#}")
    }
}

/// Most failing calls of the operating system say something about the environment.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Environment(error)
    }
}
