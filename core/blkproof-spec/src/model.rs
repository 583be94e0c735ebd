//! The reference model: a symbolic account of what every disk, bitmap, job and restore point must be.
//!
//! It never sees the subject. Per step it is shown the answer, the events, the status and the faults
//! that fired ([`Observation`]), says what does not hold ([`Violation`]) and what has to be read and
//! compared ([`Demand`]).

mod judgement;

mod pattern;

pub use judgement::{
    About, Demand, Fact, Held, Judgement, Mismatch, Observation, Scope, Target, Violation,
};

pub use pattern::Difference;

use crate::capabilities::Capabilities;
use crate::event::JobEvent;
use crate::scenario::Setup;
use crate::step::{Action, BitmapPattern, Check, EventPattern, JobPattern, StepNumber};
use crate::units::ByteRange;

/// The reference model of one run.
#[derive(Clone, Debug)]
pub struct Model {
    capabilities: Capabilities,
    undetectable: bool,
}

impl Model {
    /// Returns the model of what `setup` describes, for a subject that can do `capabilities`.
    #[must_use]
    pub fn new(setup: &Setup, capabilities: Capabilities) -> Self {
        let _ = setup;
        Self {
            capabilities,
            undetectable: false,
        }
    }

    /// Tells whether the subject's status should be asked for after `step`.
    ///
    /// It is not where that would cost more than the step and a later step judges the same.
    #[must_use]
    pub fn wants_status(&self, step: &Action) -> bool {
        self.capabilities.bitmap_status && !matches!(step, Action::Check(_))
    }

    /// Judges what was seen of a step, and takes it in.
    pub fn observe(
        &mut self,
        number: StepNumber,
        step: &Action,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        let _ = (number, step, seen, out);
    }

    /// Judges a check where the model's own knowledge decides: demands the comparison of an image,
    /// or says why there is nothing to compare. Other checks are for the harness.
    pub fn check(&mut self, check: &Check, out: &mut Judgement) {
        let _ = (check, out);
    }

    /// Demands what has to hold at the end: every live restore point, every disk.
    pub fn finish(&mut self, out: &mut Judgement) {
        let _ = out;
    }

    /// Returns the next step by which everything is brought to an end: faults lifted, requests
    /// settled, jobs ended, a fresh full backup of every disk. `None` when all is done.
    ///
    /// The step is carried out and observed as any other before the next one is asked for.
    #[must_use]
    pub fn next_cleanup(&mut self) -> Option<Action> {
        None
    }

    /// Tells whether a fault fired that this subject cannot detect: the run counts for nothing.
    #[must_use]
    pub fn is_undetectable(&self) -> bool {
        self.undetectable
    }

    /// Returns the ranges of the demand's target that must not read as zeroes, or may not, in
    /// ascending order.
    #[must_use]
    pub fn expected_nonzero(&self, demand: &Demand) -> Vec<ByteRange> {
        let _ = demand;
        Vec::new()
    }

    /// Compares `bytes`, read at `offset` of the demand's target, with what must stand there.
    pub fn compare(&mut self, demand: &Demand, offset: u64, bytes: &[u8], out: &mut Judgement) {
        let _ = (demand, offset, bytes, out);
    }

    /// Compares the ranges that the demand's target has allocated (in its top image alone, as data
    /// or as zeroes; ascending) with those that it may have.
    pub fn compare_allocation(
        &mut self,
        demand: &Demand,
        allocated: &[ByteRange],
        out: &mut Judgement,
    ) {
        let _ = (demand, allocated, out);
    }

    /// Checks the model's own invariants.
    ///
    /// # Panics
    ///
    /// If one does not hold: a bug of the model.
    pub fn assert_invariants(&self) {}
}
