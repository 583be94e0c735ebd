//! The scenarios that are kept to show the bugs, one a bug.

use std::path::{Path, PathBuf};

use blkproof::text::Document;
use blkproof::{Outcome, corpus};
use blkproof_engine::Bug;

use super::hunt::{Hunted, breaks};
use crate::error::Error;
use crate::judge::Judge;
use crate::save;

/// What is kept of a bug.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// There is no folder of kept scenarios.
    Nowhere,
    /// There is no scenario of this bug.
    Missing,
    /// The scenario fails with the bug, as it must, and passes without it.
    Shows,
    /// It does not; this is why.
    Wrong(String),
}

fn path(folder: &Path, bug: Bug) -> PathBuf {
    folder.join(format!("{bug}.blk"))
}

/// Replays the scenario that is kept of a bug, with it and without it.
pub(super) fn replay(bug: Bug, folder: Option<&Path>, with: &mut Judge) -> Kept {
    let Some(folder) = folder else {
        return Kept::Nowhere;
    };
    let path = path(folder, bug);
    if !path.exists() {
        return Kept::Missing;
    }
    let scenario = match corpus::load(&path) {
        Ok(document) => document.scenario,
        Err(error) => return Kept::Wrong(error.to_string()),
    };
    match Judge::new().judge(&scenario) {
        Outcome::Held(_) => {}
        _ => return Kept::Wrong("it does not hold without the bug".to_owned()),
    }
    match with.judge(&scenario) {
        Outcome::Failed(failure) if breaks(&failure, bug) => Kept::Shows,
        Outcome::Failed(_) => Kept::Wrong("it breaks another property".to_owned()),
        _ => Kept::Wrong("it holds with the bug".to_owned()),
    }
}

/// What stands in the file of a bug that nothing shows but what bitmaps report.
const ONLY_REPORTED: &str = "# Only what bitmaps report shows it: with that hidden, it holds.";

/// Keeps what shows a bug best.
pub(super) fn save(folder: &Path, hunted: &Hunted) -> Result<(), Error> {
    let Some(best) = &hunted.best else {
        return Ok(());
    };
    let mut scenario = best.scenario.clone();
    scenario.title = Some(hunted.bug.sentence().into());
    let path = path(folder, hunted.bug);
    let mut text = Document::of(scenario).print();
    if !best.shows_hidden {
        let head: usize = text.split_inclusive('\n').take(2).map(str::len).sum();
        text.insert_str(head, &format!("{ONLY_REPORTED}\n"));
    }
    save::replace(&path, text.as_bytes()).map_err(Error::unwritable(&path))
}
