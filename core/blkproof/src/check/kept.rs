//! The scenarios that failed in a test: kept in the crate, and tried first the next time.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::surroundings::Surroundings;
use crate::corpus::{self, CorpusError, EXTENSION};

/// The folder of a crate that takes what its tests find.
const FOLDER: &str = "blkproof-failures";

/// Where what fails in a test is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The folder as it is shown: seen from where tests run, which is the folder of the crate.
    folder: PathBuf,
    /// What lies in front of that.
    base: PathBuf,
}

impl Kept {
    /// The folder of a test in its crate, where both are known.
    pub(super) fn of(around: &Surroundings) -> Option<Self> {
        let test = around.test.as_ref()?;
        Some(Self {
            folder: Path::new(FOLDER).join(test.replace("::", "-")),
            base: around.package.clone()?,
        })
    }

    /// A folder that was named.
    pub(super) fn named(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            base: PathBuf::new(),
        }
    }

    /// The files of scenarios that failed before, in order of their names, as they are shown.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, CorpusError> {
        let folder = self.base.join(&self.folder);
        match corpus::files(&folder) {
            Ok(files) => Ok(files
                .iter()
                .filter_map(|file| Some(self.folder.join(file.strip_prefix(&folder).ok()?)))
                .collect()),
            Err(CorpusError::Empty(_)) => Ok(Vec::new()),
            Err(CorpusError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Where a file that is shown like this lies.
    pub(super) fn path(&self, shown: &Path) -> PathBuf {
        self.base.join(shown)
    }

    /// Writes a scenario down, whole or not at all; returns the file as it is shown.
    pub(super) fn save(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let folder = self.base.join(&self.folder);
        fs::create_dir_all(&folder)?;
        let temporary = folder.join(format!(".{name}.tmp"));
        let name = format!("{name}.{EXTENSION}");
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, folder.join(&name))?;
        Ok(self.folder.join(name))
    }
}
