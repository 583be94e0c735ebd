//! The folder that takes what fails.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use blkproof::format::{Identity, Scenario, Stated, text};

/// A folder of scenarios that fail, each under the name of how it does.
#[derive(Clone, Debug)]
pub struct Finds {
    folder: PathBuf,
}

impl Finds {
    /// Makes the folder, if it is not there.
    ///
    /// # Errors
    ///
    /// Where it cannot be made.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Returns the file that says what is under way.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.folder.join("under-way.format")
    }

    /// Writes a scenario down, whole or not at all, in place of one that failed in the same way.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn keep(&self, identity: &Identity, scenario: &Scenario) -> anyhow::Result<PathBuf> {
        let mut scenario = scenario.clone();
        scenario.outcome = Stated::Fail(identity.property);
        let name = format!("{identity}.format").replace(' ', "-");
        let path = self.folder.join(&name);
        self.replace(&name, text::print(&scenario).as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self
            .folder
            .join(format!(".{name}.{}.tmp", std::process::id()));
        let mut file = File::create(&temporary)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let written = written.and_then(|()| fs::rename(&temporary, self.folder.join(name)));
        if written.is_err() {
            // The first error is the one to report, whether or not this one works.
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}
