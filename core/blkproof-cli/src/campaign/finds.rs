//! The failures of a campaign, told apart by what fails.

use std::collections::BTreeMap;

use blkproof::Failure;
use serde::{Deserialize, Serialize};

/// How many cases that fail in one way are kept: one is enough to find the bug, and a few tell
/// whether it is one.
const KEPT_MAX: usize = 3;

/// How many candidates are run to shrink the cases of a campaign, all together.
const RUNS_MAX: u64 = 3000;

/// The failures of a campaign, by their identity: the property and the kind of step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finds {
    /// How many candidates may still be run to shrink cases.
    pub(crate) runs_left: u64,
    pub(crate) ways: BTreeMap<String, Way>,
}

/// The cases that fail in one way.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Way {
    /// How many there are.
    pub(crate) cases: u64,
    /// Where those lie that were kept, below the `--out` folder; shrunk where that worked.
    pub(crate) kept: Vec<String>,
}

/// What is to be done with a case that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Worth {
    /// It is the first of its way.
    First,
    /// It is one of the few others that are kept.
    More,
    /// It is only counted.
    Counted,
}

impl Default for Finds {
    fn default() -> Self {
        Self {
            runs_left: RUNS_MAX,
            ways: BTreeMap::new(),
        }
    }
}

impl Finds {
    /// Returns what a failure is told apart by.
    pub(crate) fn identity(failure: &Failure) -> String {
        blkproof::shrink::identity(failure)
            .map_or_else(|| "nothing".to_owned(), |identity| identity.to_string())
    }

    /// Counts a case that fails in this way; returns what it is worth.
    pub(crate) fn count(&mut self, identity: &str) -> Worth {
        let way = self.ways.entry(identity.to_owned()).or_default();
        way.cases += 1;
        match way.kept.len() {
            0 => Worth::First,
            kept if kept < KEPT_MAX => Worth::More,
            _ => Worth::Counted,
        }
    }

    /// Notes the file of a case that was counted.
    pub(crate) fn keep(&mut self, identity: &str, file: String) {
        if let Some(way) = self.ways.get_mut(identity) {
            way.kept.push(file);
        }
    }
}
