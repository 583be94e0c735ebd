//! What cuts left, written down for other tools.

use std::fs;
use std::path::PathBuf;

use blkproof::sweep::power::Swept;
use blkproof_device::{Folder, Store as _, StoreError};

use crate::args::SweepArgs;
use crate::error::Error;
use crate::load::Loaded;
use crate::save;

/// Writes states of one scenario down, each image under its own name, so that those that name
/// others as their backing files find them.
pub(super) struct Dump {
    folder: Option<PathBuf>,
    every: u64,
    states: u64,
}

impl Dump {
    /// Returns what writes down states of the scenario that is this one of the files.
    pub(super) fn of(args: &SweepArgs, file: usize, loaded: &Loaded) -> Self {
        let stem = loaded.path.file_stem().unwrap_or_default();
        let name = format!("{:03}-{}", file + 1, stem.to_string_lossy());
        Self {
            folder: args.dump.as_ref().map(|dump| dump.join(name)),
            every: args.every,
            states: 0,
        }
    }

    /// Takes in a state, and writes it down if it is its turn.
    pub(super) fn take(&mut self, swept: &Swept<'_>) -> Result<(), Error> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        self.states += 1;
        if !(self.states - 1).is_multiple_of(self.every) {
            return Ok(());
        }
        let number = format!("{:06}", self.states);
        let (path, folder) = (folder.join(format!("{number}.blk")), folder.join(number));
        fs::create_dir_all(&folder).map_err(Error::unwritable(&folder))?;
        let remains = swept.remains();
        for name in remains.list() {
            let not_done = |error: StoreError| Error::NotDone {
                path: path.clone(),
                why: error.to_string(),
            };
            let image = Folder::new(&folder).path_of(&name).map_err(not_done)?;
            let mut device = remains.plain(&name).map_err(not_done)?;
            save::image(&image, &mut *device).map_err(Error::unwritable(&image))?;
        }
        let scenario = blkproof::text::Document::of(swept.scenario()).print();
        save::replace(&path, scenario.as_bytes()).map_err(Error::unwritable(&path))
    }
}
