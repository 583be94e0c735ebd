//! The known findings of a campaign, and the files that name them.

use std::path::{Path, PathBuf};

use blkproof::known::{Known, KnownError, KnownFinding};

use crate::error::Error;

/// Lists of known findings, each from a file.
#[derive(Clone, Default, Debug)]
pub(crate) struct KnownFiles {
    /// The files, each with how many findings it names.
    files: Vec<(PathBuf, usize)>,
    known: Known,
}

impl KnownFiles {
    /// Reads the lists.
    pub(crate) fn load(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut all = Self::default();
        for path in paths {
            let list = Known::load(path).map_err(|error| refused(path, error))?;
            all.files.push((path.clone(), list.findings().len()));
            all.known.extend(list);
        }
        Ok(all)
    }

    /// Returns what is known.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Returns the files, as they were given.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Returns the findings in the order of their positions, each with the file that names it.
    pub(crate) fn findings(&self) -> impl Iterator<Item = (&KnownFinding, &Path)> {
        let files = self.files.iter();
        let of_each = files.flat_map(|(path, count)| core::iter::repeat_n(path.as_path(), *count));
        self.known.findings().iter().zip(of_each)
    }
}

fn refused(path: &Path, error: KnownError) -> Error {
    match error {
        KnownError::Line { line, message } => Error::Unusable {
            what: format!("{}:{line}", path.display()),
            why: message,
        },
        KnownError::Unreadable { source, .. } => Error::unreadable(path)(source),
        // Others may come with later versions of the library.
        error => Error::Unusable {
            what: path.display().to_string(),
            why: error.to_string(),
        },
    }
}
