//! What is known only while one step is judged.

use super::bitmaps::Owner;
use super::ends::Remainder;
use crate::name::{BitmapName, JobName};
use crate::status::JobEnd;
use crate::step::StepNumber;

/// What is known only while a step is judged.
#[derive(Clone, Default, Debug)]
pub(super) struct Scoped {
    pub(super) step: StepNumber,
    /// The command was refused, and so must have changed nothing.
    pub(super) refused: bool,
    pub(super) transaction: bool,
    /// A job is being dismissed.
    pub(super) dismissing: bool,
    /// Jobs that existed for a moment, before their command was refused.
    pub(super) rolled_back: Vec<JobName>,
    pub(super) ends: Vec<(JobName, JobEnd)>,
    /// The bitmaps that jobs gave back.
    pub(super) recovered: Vec<(Owner, BitmapName)>,
    pub(super) remainders: Vec<Remainder>,
    /// The jobs that were cancelled without a command, and their groups.
    pub(super) cancels: Vec<(JobName, Option<u32>)>,
}

impl Scoped {
    /// Forgets the step before.
    pub(super) fn begin(&mut self, step: StepNumber) {
        self.step = step;
        self.refused = false;
        self.transaction = false;
        self.dismissing = false;
        self.rolled_back.clear();
        self.ends.clear();
        self.recovered.clear();
        self.remainders.clear();
        self.cancels.clear();
    }
}
