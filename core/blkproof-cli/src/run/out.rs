//! The folder that takes what a campaign finds: it has to take files before the campaign begins.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::save;

/// So much is written to see whether the folder takes files.
const PROBE: [u8; 1 << 14] = [b'x'; 1 << 14];

/// An `--out` folder that is used by this campaign alone.
#[derive(Debug)]
pub(super) struct Out {
    path: PathBuf,
    /// The folders that were made for it, the innermost first.
    made: Vec<PathBuf>,
    /// What keeps other campaigns out for as long as it is open.
    _lock: File,
}

impl Out {
    /// Makes the folder where it is not there, and sees whether it takes files.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let missing = path.ancestors().take_while(|folder| {
            let is_named = !folder.as_os_str().is_empty();
            is_named && !folder.exists()
        });
        let made = missing.map(Path::to_owned).collect();
        fs::create_dir_all(path).map_err(Error::unwritable(path))?;
        let out = Self {
            path: path.to_owned(),
            made,
            _lock: lock(path)?,
        };
        let probe = path.join(".probe");
        save::replace(&probe, &PROBE)
            .and_then(|()| fs::remove_file(&probe))
            .and_then(|()| save::clean(path, is_of_campaigns))
            .map_err(Error::unwritable(path))?;
        Ok(out)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Tells whether campaigns write a file of this name, and nobody else.
fn is_of_campaigns(name: &str) -> bool {
    let is_case = name.ends_with(".blk") && name.contains("-seed") && name.contains("-case");
    is_case || [".probe", "campaign.json"].contains(&name)
}

impl Drop for Out {
    /// Leaves no empty folders behind that nobody made.
    fn drop(&mut self) {
        for folder in &self.made {
            // One that is in use is not empty and stays; so do those around it.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

/// Locks a folder: two campaigns would replace each other's state.
#[cfg(unix)]
fn lock(path: &Path) -> Result<File, Error> {
    use rustix::fs::{FlockOperation, flock};
    let folder = File::open(path).map_err(Error::unwritable(path))?;
    match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::InUse {
            path: path.to_owned(),
        }),
        // Some file systems know no locks; there, nobody is kept out.
        _ => Ok(folder),
    }
}

/// Keeps nobody out: folders cannot be locked here.
#[cfg(not(unix))]
fn lock(path: &Path) -> Result<File, Error> {
    File::create(path.join(".lock")).map_err(Error::unwritable(path))
}
