//! Every single fault of a scenario, one at a time.
//!
//! A scenario is run again and again, each time with one more rule that strikes one request: at
//! each image, below and above its format, each kind of request, the first one, the second one,
//! and so on, until none is left to strike. Complete, not sampled. What the scenario states about
//! its own steps is left out, since a fault changes it: only the model judges.

pub mod log;

pub mod power;

use core::fmt;

use blkproof_spec::fault::{Effect, Extended, IoTypes, Kept, Layer, Rule, When};
use blkproof_spec::step::{Action, TransactionAction};
use blkproof_spec::{Errno, FaultRule, ImageName, IoType, Place, RuleName, Scenario};

use crate::case::unstated;
use crate::outcome::{Failure, Outcome};

/// The name of the rule that a sweep adds.
const RULE: &str = "swept";

/// What happens to the request that is struck.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Strike {
    /// It fails with `EIO`; nothing of it is applied.
    Once,
    /// It and all behind it fail with `EIO`.
    Persistent,
    /// It fails with `ENOSPC`.
    NoSpace,
    /// It fails with `EIO`; its first half is applied.
    Torn,
    /// It fails with `EIO`; all of it is applied.
    Applied,
}

impl Strike {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Once,
        Self::Persistent,
        Self::NoSpace,
        Self::Torn,
        Self::Applied,
    ];

    /// What a sweep does unless told otherwise: every request fails once, and fails for good.
    pub const USUAL: [Self; 2] = [Self::Once, Self::Persistent];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Persistent => "persistent",
            Self::NoSpace => "enospc",
            Self::Torn => "torn",
            Self::Applied => "applied",
        }
    }

    /// Returns the one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strike| strike.name() == name)
    }

    /// Tells whether it makes sense for this kind of request.
    #[must_use]
    pub fn suits(self, kind: IoType) -> bool {
        match self {
            Self::Once | Self::Persistent => true,
            Self::NoSpace => matches!(kind, IoType::Write | IoType::WriteZeroes),
            Self::Torn => kind == IoType::Write,
            Self::Applied => !matches!(kind, IoType::Read | IoType::BlockStatus),
        }
    }

    fn effect(self) -> Effect {
        match self {
            Self::Once | Self::Persistent => Effect::Error(Errno::EIO),
            Self::NoSpace => Effect::Error(Errno::ENOSPC),
            Self::Torn => Effect::Torn {
                kept: Kept::Left,
                errno: Errno::EIO,
            },
            Self::Applied => Effect::AppliedButFailed(Errno::EIO),
        }
    }
}

/// One position of a sweep: which request is struck, and how.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// The image, and the side of its format.
    pub place: Place,
    /// The kind of request.
    pub kind: IoType,
    /// What happens to it.
    pub strike: Strike,
    /// Which of the requests of this kind at this place, from 1, counted from before the disks are
    /// opened.
    pub number: u64,
}

impl Position {
    /// Returns the rule that strikes the request.
    #[must_use]
    pub fn rule(&self) -> FaultRule {
        let when = match self.strike {
            Strike::Persistent => When::From(self.number),
            _ => When::Nth(self.number),
        };
        FaultRule {
            name: Some(RuleName::new(RULE)),
            place: self.place.clone(),
            rule: Rule::Extended(Extended {
                iotypes: IoTypes::only(self.kind),
                range: None,
                when,
                effect: self.strike.effect(),
            }),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, kind, place) = (self.number, self.kind, &self.place);
        write!(f, "{kind} {number} at {place}, {}", self.strike.name())
    }
}

/// What came of one position.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Swept<'a> {
    /// Which request was struck.
    pub position: &'a Position,
    /// The scenario with the rule that strikes it: what to keep and replay.
    pub scenario: &'a Scenario,
    /// What did not hold, where something did not.
    pub failure: Option<&'a Failure>,
}

/// What a sweep comes to.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Tally {
    /// The positions tried, by kind of request, in the order of [`IoType::ALL`].
    pub positions: [u64; IoType::ALL.len()],
    /// Of these, those at which everything held.
    pub held: u64,
    /// Those at which something did not hold.
    pub failed: u64,
    /// Those that count for nothing, since the fault kept the disks from being opened.
    pub not_judged: u64,
    /// Whether every position was tried: nobody ended the sweep early.
    pub complete: bool,
}

impl Tally {
    /// Returns what a sweep without any position comes to.
    #[must_use]
    pub fn whole() -> Self {
        Self {
            complete: true,
            ..Self::default()
        }
    }

    /// Returns how many positions were tried.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.positions.iter().sum()
    }

    /// Adds what another sweep comes to.
    pub fn add(&mut self, other: &Self) {
        for (mine, other) in self.positions.iter_mut().zip(other.positions) {
            *mine += other;
        }
        self.held += other.held;
        self.failed += other.failed;
        self.not_judged += other.not_judged;
        self.complete &= other.complete;
    }
}

/// Tries every position of a scenario: `run` runs a scenario, `each` is told what came of each
/// position and says whether to go on.
///
/// What runs must be deterministic, as the [`Runner`](crate::Runner) with the built-in engine is;
/// rules of the scenario itself stay in force.
pub fn sweep(
    scenario: &Scenario,
    strikes: &[Strike],
    mut run: impl FnMut(&Scenario) -> Outcome,
    mut each: impl FnMut(Swept<'_>) -> bool,
) -> Tally {
    let mut all = Tally::whole();
    for place in places(scenario) {
        all.add(&sweep_place(scenario, &place, strikes, &mut run, &mut each));
        if !all.complete {
            break;
        }
    }
    all
}

/// Tries every position at one of the [`places`] of a scenario, as [`sweep`] does at all of them:
/// what several threads share out.
pub fn sweep_place(
    scenario: &Scenario,
    place: &Place,
    strikes: &[Strike],
    mut run: impl FnMut(&Scenario) -> Outcome,
    mut each: impl FnMut(Swept<'_>) -> bool,
) -> Tally {
    let mut struck = unstated(scenario.clone());
    sweep_positions(place, strikes, &mut |position| {
        let rule = position.rule();
        struck.setup.rules.push(rule.clone());
        let outcome = run(&struck);
        let came = (!outcome.counts().idle_rules.contains(&rule)).then(|| {
            let (came, failure) = match &outcome {
                Outcome::Held(_) => (Came::Held, None),
                Outcome::NotJudged(..) => (Came::NotJudged, None),
                Outcome::Failed(failure) => (Came::Failed, Some(&**failure)),
            };
            let goes_on = each(Swept {
                position,
                scenario: &struck,
                failure,
            });
            (came, goes_on)
        });
        struck.setup.rules.pop();
        came
    })
}

/// What came of a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Came {
    Held,
    Failed,
    NotJudged,
}

/// Goes through the positions at one place: `try_one` says what came of a position and whether to
/// go on, or nothing where no request was struck.
pub(crate) fn sweep_positions(
    place: &Place,
    strikes: &[Strike],
    try_one: &mut dyn FnMut(&Position) -> Option<(Came, bool)>,
) -> Tally {
    let mut tally = Tally::whole();
    for &kind in IoType::ALL {
        for &strike in strikes.iter().filter(|strike| strike.suits(kind)) {
            let mut position = Position {
                place: place.clone(),
                kind,
                strike,
                number: 1,
            };
            while let Some((came, goes_on)) = try_one(&position) {
                tally.take(kind, came);
                tally.complete &= goes_on;
                if !tally.complete {
                    return tally;
                }
                position.number += 1;
            }
            // Whatever was to happen to it, there was no such request.
            if position.number == 1 {
                break;
            }
        }
    }
    tally
}

impl Tally {
    fn take(&mut self, kind: IoType, came: Came) {
        self.positions[kind as usize] += 1;
        match came {
            Came::Held => self.held += 1,
            Came::Failed => self.failed += 1,
            Came::NotJudged => self.not_judged += 1,
        }
    }
}

/// Returns every place at which requests may arrive: each image of the scenario, below and above
/// its format, in the order in which they come up.
#[must_use]
pub fn places(scenario: &Scenario) -> Vec<Place> {
    let mut images: Vec<&ImageName> = Vec::new();
    let mut add = |image| {
        if !images.contains(&image) {
            images.push(image);
        }
    };
    for disk in &scenario.setup.disks {
        add(&disk.name);
    }
    for step in &scenario.steps {
        match &step.action {
            Action::Create(create) => add(&create.image),
            Action::Backup { backup, .. } => add(&backup.target),
            Action::Transaction { actions, .. } => {
                for action in actions {
                    if let TransactionAction::Backup(backup) = action {
                        add(&backup.target);
                    }
                }
            }
            _ => {}
        }
    }
    let place = |image: &ImageName, layer| Place {
        image: image.clone(),
        layer,
    };
    images
        .into_iter()
        .flat_map(|image| [Layer::File, Layer::Format].map(|layer| place(image, layer)))
        .collect()
}
