//! Where verbs write what they find: it has to take files before the work begins.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::save;

/// So much is written to see whether a folder takes files.
const PROBE: [u8; 1 << 14] = [b'x'; 1 << 14];

/// The beginning of the names of the files that see whether a folder takes files.
const PROBE_NAME: &str = ".probe";

/// Where things go if nothing is said.
pub(crate) const USUAL: &str = "blkproof-out";

/// A folder that takes files.
#[derive(Debug)]
pub(crate) struct Out {
    path: PathBuf,
    /// The folders that were made for it, the innermost first.
    made: Vec<PathBuf>,
    /// What keeps campaigns out for as long as it is open.
    lock: Option<File>,
}

impl Out {
    /// Makes the folder that `flag` names where it is not there, and sees whether it takes files.
    pub(crate) fn open(flag: &'static str, path: &Path) -> Result<Self, Error> {
        let out = Self::make(flag, path)?;
        out.probe()?;
        Ok(out)
    }

    /// The same of a folder that one campaign has for itself.
    pub(crate) fn open_alone(flag: &'static str, path: &Path) -> Result<Self, Error> {
        let mut out = Self::make(flag, path)?;
        out.lock = Some(lock(path)?);
        out.probe()?;
        save::clean(path, is_of_campaigns).map_err(Error::unwritable(path))?;
        Ok(out)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn make(flag: &'static str, path: &Path) -> Result<Self, Error> {
        check_folder(flag, path)?;
        let missing = path.ancestors().take_while(|folder| {
            let is_named = !folder.as_os_str().is_empty();
            is_named && !folder.exists()
        });
        let made = missing.map(Path::to_owned).collect();
        fs::create_dir_all(path).map_err(Error::unwritable(path))?;
        Ok(Self {
            path: path.to_owned(),
            made,
            lock: None,
        })
    }

    fn probe(&self) -> Result<(), Error> {
        let name = format!("{PROBE_NAME}{}", std::process::id());
        let probe = self.path.join(name);
        save::replace(&probe, &PROBE)
            .and_then(|()| fs::remove_file(&probe))
            .map_err(Error::unwritable(&self.path))
    }
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

/// Refuses a path that is no folder but has to be one.
pub(crate) fn check_folder(flag: &'static str, path: &Path) -> Result<(), Error> {
    if path.exists() && !path.is_dir() {
        let path = path.to_owned();
        return Err(Error::NotAFolder { flag, path });
    }
    Ok(())
}

/// Sees whether a file can be written, without touching what may be there.
pub(crate) fn probe_file(path: &Path) -> Result<(), Error> {
    save::probe(path, &PROBE).map_err(Error::unwritable(path))
}

/// Tells whether campaigns write a file of this name, and nobody else.
fn is_of_campaigns(name: &str) -> bool {
    let is_case = name.ends_with(".blk") && name.contains("-seed") && name.contains("-case");
    is_case || name.starts_with(PROBE_NAME) || name == "campaign.json"
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
