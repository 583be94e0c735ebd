//! What a campaign that is not over has done so far, as a file of its `--out` folder.
//!
//! The file is replaced as a whole, now and then: whoever is killed loses what was judged since,
//! never a failure, because a failing case is written down before the file says that it is judged.
//! It says which campaign it belongs to, and of which build: cases that another build judged could
//! have come out another way, and a digest over both would be worth nothing.

use core::time::Duration;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::done::Done;
use super::finds::Finds;
use super::hex;
use super::plan::Identity;
use super::totals::Totals;
use crate::error::{Error, Refused};
use crate::save;

/// The version of the file.
const FORMAT: u64 = 1;

/// The largest file that is read: with everything counted, one has some 100 KiB.
const BYTES_MAX: u64 = 16 << 20;

/// What a campaign has done so far.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Course {
    /// The positions of the judged cases in the share of the campaign.
    pub(crate) done: Done,
    pub(crate) totals: Totals,
    pub(crate) finds: Finds,
    pub(crate) time: Duration,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    format: u64,
    version: String,
    /// The digest of the program.
    build: String,
    /// Which campaign it is.
    pub(crate) campaign: Identity,
    /// How far it is.
    pub(crate) course: Course,
}

/// What every version of the file has.
#[derive(Deserialize)]
struct Head {
    format: u64,
    #[serde(default)]
    version: String,
}

impl State {
    /// Returns where the state of campaigns lies in an `--out` folder.
    pub(crate) fn path(out: &Path) -> PathBuf {
        out.join("campaign.json")
    }

    /// Returns the state that a campaign left in an `--out` folder.
    pub(crate) fn load(out: &Path) -> Result<Option<Self>, Error> {
        let path = Self::path(out);
        let text = match read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::unreadable(&path)(error)),
        };
        let refused = |refused| Error::State {
            path: path.clone(),
            refused,
        };
        let broken = |error: serde_json::Error| refused(Refused::Broken(error.to_string()));
        // What another version wrote is told by its name, whatever else it holds.
        let head: Head = serde_json::from_slice(&text).map_err(broken)?;
        if head.format != FORMAT || head.version != env!("CARGO_PKG_VERSION") {
            return Err(refused(Refused::Version(head.version)));
        }
        let state: Self = serde_json::from_slice(&text).map_err(broken)?;
        if state.course.done.len() != state.course.totals.cases {
            let counts = "the numbers of judged cases do not fit together".to_owned();
            return Err(refused(Refused::Broken(counts)));
        }
        Ok(Some(state))
    }

    /// Tells whether this build wrote it.
    pub(crate) fn is_of_this_build(&self) -> bool {
        self.build == build()
    }

    /// Replaces the file of an `--out` folder.
    pub(crate) fn save(campaign: &Identity, course: &Course, out: &Path) -> Result<(), Error> {
        let path = Self::path(out);
        let state = Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: build().to_owned(),
            campaign: campaign.clone(),
            course: course.clone(),
        };
        let mut text = serde_json::to_vec(&state)
            .map_err(io::Error::from)
            .map_err(Error::unwritable(&path))?;
        text.push(b'\n');
        save::replace(&path, &text).map_err(Error::unwritable(&path))
    }

    /// Removes the file of an `--out` folder, if it is there.
    pub(crate) fn remove(out: &Path) -> Result<(), Error> {
        let path = Self::path(out);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::unwritable(&path)(error))
            }
            _ => Ok(()),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// What tells builds apart: the digest of the program.
fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| digest_of_program().unwrap_or_else(|_| "unknown".to_owned()))
}

fn digest_of_program() -> io::Result<String> {
    // The file that runs, even if a newer one has taken its place.
    let running = Path::new("/proc/self/exe");
    let mut file = File::open(running).or_else(|_| File::open(std::env::current_exe()?))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::print(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests;
