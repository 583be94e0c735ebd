//! Why a verb could not do its work, and which exit code that means.

use core::error::Error as _;
use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use blkproof::corpus::CorpusError;
use blkproof_device::write_log::LogError;
use blkproof_spec::ImageName;

use crate::exit::Exit;

/// Why a verb could not do its work.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The output could not be written.
    Output(io::Error),
    /// A path of the arguments is not there, or cannot be read.
    Unreadable { path: PathBuf, source: io::Error },
    /// Scenarios could not be read.
    Corpus(CorpusError),
    /// A path is no folder, but has to be one.
    NotAFolder { flag: &'static str, path: PathBuf },
    /// A scenario does not fail.
    DoesNotFail { path: PathBuf },
    /// A scenario fails, but not as it was said.
    FailsOtherwise {
        path: PathBuf,
        asked: String,
        found: Vec<String>,
    },
    /// Two scenarios would become one input.
    SameName {
        path: PathBuf,
        first: PathBuf,
        input: PathBuf,
    },
    /// A file could not be written.
    Unwritable { path: PathBuf, source: io::Error },
    /// Another campaign uses a folder.
    InUse { path: PathBuf },
    /// There is no interrupted campaign to go on with.
    NothingToResume { path: PathBuf },
    /// The state of an interrupted campaign is not what was asked for.
    State { path: PathBuf, refused: Refused },
    /// A write log is broken.
    Log { path: PathBuf, source: LogError },
    /// No image ever appears in a write log.
    NoImage { path: PathBuf },
    /// A scenario has no such image.
    NoSuchImage { path: PathBuf, image: ImageName },
    /// What a file says cannot be carried out.
    NotDone { path: PathBuf, why: String },
    /// Signals cannot be caught.
    Signals(io::Error),
    /// Nobody can listen here.
    Listen { at: String, source: io::Error },
    /// An argument or a file says something that cannot be.
    Unusable { what: String, why: String },
}

/// Why a campaign cannot go on from the state that is there.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Another version of blkproof wrote it.
    Version(String),
    /// Another build of this version wrote it.
    Build,
    /// It belongs to another campaign: how they differ.
    Campaign(String),
    /// It has judged so many cases, more than were asked for.
    Further(u64),
    /// It is no such state: why.
    Broken(String),
}

impl Error {
    /// Makes an error of something that could not be read.
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Unreadable { path, source }
    }

    /// Makes an error of something that could not be written.
    pub(crate) fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Unwritable { path, source }
    }

    /// Returns how the program ends with this error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Output(_)
            | Self::Unwritable { .. }
            | Self::InUse { .. }
            | Self::Signals(_)
            | Self::Listen { .. } => Exit::Environment,
            Self::Unreadable { .. }
            | Self::Corpus(_)
            | Self::NotAFolder { .. }
            | Self::DoesNotFail { .. }
            | Self::SameName { .. }
            | Self::FailsOtherwise { .. }
            | Self::NothingToResume { .. }
            | Self::Unusable { .. }
            | Self::State { .. }
            | Self::Log { .. }
            | Self::NoImage { .. }
            | Self::NoSuchImage { .. }
            | Self::NotDone { .. } => Exit::Input,
        }
    }

    /// Tells whether there is nobody to tell: the reader of the output went away.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Returns what may help.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Corpus(CorpusError::Empty(_)) => {
                Some("scenario files end in .blk; name others one by one")
            }
            Self::DoesNotFail { .. } => Some("`blkproof replay` tells how it ends"),
            Self::SameName { .. } => Some("export them to folders of their own, or rename one"),
            Self::NotAFolder { .. } => Some("name a folder; it is made when it is needed"),
            Self::InUse { .. } => Some("each campaign needs an --out folder of its own"),
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("end the program that listens there, or name another place")
            }
            Self::NothingToResume { .. } => Some("without --resume, a campaign begins anew"),
            Self::State { refused, .. } => Some(refused.hint()),
            Self::NoImage { .. } => {
                Some("--base names the image on which the log was recorded, as it was before")
            }
            Self::NoSuchImage { .. } => {
                Some("images are the disks of the setup and what steps make")
            }
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    /// Errors without a path come from the output.
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<CorpusError> for Error {
    fn from(error: CorpusError) -> Self {
        Self::Corpus(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
            Self::Unreadable { path, source } => {
                write!(f, "cannot read {}: {source}", path.display())
            }
            Self::Corpus(error) => {
                write!(f, "{error}")?;
                error
                    .source()
                    .map_or(Ok(()), |source| write!(f, ": {source}"))
            }
            Self::NotAFolder { flag, path } => {
                write!(
                    f,
                    "{flag} {}: expected a folder, found a file",
                    path.display()
                )
            }
            Self::DoesNotFail { path } => write!(f, "{} does not fail", path.display()),
            Self::FailsOtherwise { path, asked, found } => {
                let found = found.join(", ");
                write!(
                    f,
                    "{} does not break {asked}; it fails: {found}",
                    path.display()
                )
            }
            Self::SameName { path, first, input } => {
                write!(
                    f,
                    "{} and {} would both become {}",
                    first.display(),
                    path.display(),
                    input.display()
                )
            }
            Self::Unwritable { path, source } => {
                write!(f, "cannot write {}: {source}", path.display())
            }
            Self::InUse { path } => write!(f, "another campaign uses {}", path.display()),
            Self::NothingToResume { path } => {
                write!(f, "no campaign was interrupted here: {}", path.display())
            }
            Self::State { path, refused } => write!(f, "{}: {refused}", path.display()),
            Self::Log { path, source } => write!(f, "{}: {source}", path.display()),
            Self::NoImage { path } => {
                write!(f, "no qcow2 image is ever complete in {}", path.display())
            }
            Self::NoSuchImage { path, image } => {
                write!(f, "{} has no image {image}", path.display())
            }
            Self::NotDone { path, why } => write!(f, "{}: {why}", path.display()),
            Self::Signals(source) => write!(f, "cannot listen to signals: {source}"),
            Self::Listen { at, source } => write!(f, "cannot listen on {at}: {source}"),
            Self::Unusable { what, why } => write!(f, "{what}: {why}"),
        }
    }
}

impl Refused {
    fn hint(&self) -> &'static str {
        match self {
            Self::Version(_) | Self::Build | Self::Broken(_) => {
                "--fresh gives it up and begins anew; what failed stays in the folder"
            }
            Self::Campaign(_) | Self::Further(_) => {
                "--resume alone goes on with it; --fresh gives it up and begins anew; another \
                 --out folder leaves it as it is"
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(
                f,
                "blkproof {version} left this campaign, this is blkproof {}",
                env!("CARGO_PKG_VERSION")
            ),
            Self::Build => f.write_str("another build of blkproof left this campaign"),
            Self::Campaign(how) => write!(f, "another campaign was interrupted here: {how}"),
            Self::Further(cases) => {
                write!(
                    f,
                    "this campaign has judged {cases} cases, more than are asked for"
                )
            }
            Self::Broken(why) => write!(f, "expected the state of a campaign: {why}"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Output(source)
            | Self::Signals(source)
            | Self::Listen { source, .. }
            | Self::Unreadable { source, .. }
            | Self::Unwritable { source, .. } => Some(source),
            Self::Corpus(error) => error.source(),
            Self::Log { source, .. } => Some(source),
            Self::NotAFolder { .. }
            | Self::DoesNotFail { .. }
            | Self::SameName { .. }
            | Self::FailsOtherwise { .. }
            | Self::InUse { .. }
            | Self::NothingToResume { .. }
            | Self::Unusable { .. }
            | Self::State { .. }
            | Self::NoImage { .. }
            | Self::NoSuchImage { .. }
            | Self::NotDone { .. } => None,
        }
    }
}
