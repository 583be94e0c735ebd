//! In the midst of what power is cut.

use blkproof_spec::step::{Action, Work};
use blkproof_spec::{Scenario, StepNumber};

/// In the midst of what power is cut, by the step that is under way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Midst {
    /// A guest's request.
    Guest,
    /// A job's work: a backup that is run, a part of its work, a command that ends it.
    Job,
    /// A transaction.
    Transaction,
    /// A bitmap command; persistent bitmaps are taken out of the file by some.
    Bitmap,
    /// A clean stop and what follows it, where persistent bitmaps are stored.
    Restart,
    /// A resize.
    Resize,
    /// What follows a loss of power: the disks are opened again.
    Recovery,
    /// Something else: an image is made or rebased.
    Image,
    /// Nothing: all steps are over.
    End,
}

impl Midst {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Guest,
        Self::Job,
        Self::Transaction,
        Self::Bitmap,
        Self::Restart,
        Self::Resize,
        Self::Recovery,
        Self::Image,
        Self::End,
    ];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Job => "job",
            Self::Transaction => "transaction",
            Self::Bitmap => "bitmap",
            Self::Restart => "restart",
            Self::Resize => "resize",
            Self::Recovery => "recovery",
            Self::Image => "image",
            Self::End => "end",
        }
    }

    /// Returns what a step of a scenario is.
    #[must_use]
    pub fn of(scenario: &Scenario, step: StepNumber) -> Self {
        let index = usize::try_from(step.0).unwrap_or(usize::MAX);
        let step = index.checked_sub(1).and_then(|at| scenario.steps.get(at));
        match step.map(|step| &step.action) {
            Some(
                Action::Backup { .. }
                | Action::Job { .. }
                | Action::Finish { .. }
                | Action::Tick(_)
                | Action::Advance {
                    work: Work::Job(_), ..
                },
            ) => Self::Job,
            Some(Action::Transaction { .. }) => Self::Transaction,
            Some(Action::Bitmap(_)) => Self::Bitmap,
            Some(Action::Restart) => Self::Restart,
            Some(Action::Resize { .. }) => Self::Resize,
            Some(Action::Kill { .. } | Action::PowerCut(_)) => Self::Recovery,
            Some(Action::Create(_) | Action::Rebase { .. } | Action::Remove { .. }) => Self::Image,
            _ => Self::Guest,
        }
    }
}
