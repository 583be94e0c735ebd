//! How the program ends.

use std::process::ExitCode;

/// How the program ends, from the best to the worst. Where several apply, the worst is told.
///
/// 101, a panic, is none of them: it is always a bug of blkproof itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Exit {
    /// Everything held.
    Held,
    /// A signal stopped it before its end; what was done until then held.
    Interrupted,
    /// A property failed, or a stated expectation was not met.
    Failed,
    /// Bad usage, or an input file that is broken or not there.
    Input,
    /// The environment failed: a disk is full, a file cannot be written, the reader of the output
    /// went away.
    Environment,
}

impl Exit {
    /// What `--help` says about exit codes.
    pub(crate) const HELP: &'static str = "\
Exit codes:
  0  everything held
  1  a property failed, or a stated expectation was not met
  2  bad usage, or a broken or missing input file
  3  the environment failed (disk full, output closed, ...)
  101  a bug of blkproof itself
  130  interrupted by Ctrl-C or SIGTERM, everything held so far";

    /// Returns the number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Failed => 1,
            Self::Input => 2,
            Self::Environment => 3,
            // What shells make of SIGINT.
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    const ALL: [Exit; 5] = [
        Exit::Held,
        Exit::Interrupted,
        Exit::Failed,
        Exit::Input,
        Exit::Environment,
    ];

    #[test]
    fn codes_are_the_documented_ones() {
        assert_eq!(ALL.map(Exit::code), [0, 130, 1, 2, 3]);
        for exit in ALL {
            let line = format!("\n  {}  ", exit.code());
            assert!(Exit::HELP.contains(&line), "{exit:?}");
        }
    }

    #[test]
    fn the_worse_of_two_wins() {
        assert!(ALL.is_sorted());
        assert_eq!(Exit::Failed.max(Exit::Interrupted), Exit::Failed);
        assert_eq!(Exit::Held.max(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Input.max(Exit::Environment), Exit::Environment);
    }
}
