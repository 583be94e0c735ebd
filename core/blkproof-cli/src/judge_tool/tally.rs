//! What came of the positions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use blkproof::sweep::Position;
use blkproof_spec::{ImageName, IoType};

use crate::json;

/// What came of one position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Outcome {
    /// The tool said that it failed.
    Failed,
    /// The tool said that all is well, and it is.
    Survived,
    /// The tool said that all is well, and it is not.
    Swallowed,
    /// The tool did not end.
    Hung,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Failed, Self::Survived, Self::Swallowed, Self::Hung];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Survived => "survived",
            Self::Swallowed => "swallowed",
            Self::Hung => "hung",
        }
    }

    /// Tells whether the tool is wrong.
    pub(super) fn is_finding(self) -> bool {
        matches!(self, Self::Swallowed | Self::Hung)
    }
}

/// How often each came about, by side and kind.
#[derive(Default, Debug)]
pub(super) struct Tally(BTreeMap<(ImageName, IoType), BTreeMap<Outcome, u64>>);

impl Tally {
    pub(super) fn count(&mut self, position: &Position, outcome: Outcome) {
        let key = (position.place.image.clone(), position.kind);
        *self.0.entry(key).or_default().entry(outcome).or_default() += 1;
    }

    fn of(&self, outcome: Outcome) -> u64 {
        self.0
            .values()
            .filter_map(|counts| counts.get(&outcome))
            .sum()
    }

    pub(super) fn findings(&self) -> u64 {
        self.of(Outcome::Swallowed) + self.of(Outcome::Hung)
    }

    pub(super) fn record(&self, complete: bool) -> json::ToolJudged {
        json::ToolJudged {
            positions: Outcome::ALL.map(|outcome| self.of(outcome)).iter().sum(),
            failed: self.of(Outcome::Failed),
            survived: self.of(Outcome::Survived),
            swallowed: self.of(Outcome::Swallowed),
            hung: self.of(Outcome::Hung),
            complete,
        }
    }

    /// Returns the counts as a table.
    pub(super) fn table(&self) -> String {
        let mut table = format!("{:<8}{:<14}", "side", "requests");
        for outcome in Outcome::ALL {
            // Nothing fails that writes to a string.
            let _ = write!(table, "{:>11}", outcome.name());
        }
        for ((side, kind), counts) in &self.0 {
            let _ = write!(table, "\n{side:<8}{kind:<14}");
            for outcome in Outcome::ALL {
                let _ = write!(table, "{:>11}", counts.get(&outcome).copied().unwrap_or(0));
            }
        }
        table
    }
}
