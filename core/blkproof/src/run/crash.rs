//! Runs that are recorded, and the judgement of what a loss of power would have left of them.
//!
//! A recorded run keeps what was done to the devices and, for each step, what was known before it.
//! From that, the state of the store at each operation is made again without the subject, and a
//! subject that is started on what a cut leaves of it is judged as if the cut had come in the run.

use blkproof_device::{MemStore, Recorded};
use blkproof_spec::{Model, Scenario, StepNumber};

use super::allowance::Allowance;
use super::carry::guarded;
use super::known::Known;
use super::power::{Loss, Losses};
use super::{Run, Runner, Stop, shortened, trace};
use crate::inspect::Inspector;
use crate::outcome::{Moment, Outcome};
use crate::subject::{Subject, SubjectError};

/// A run that was recorded.
#[derive(Debug)]
pub struct Recording {
    /// What came of the run itself.
    pub outcome: Outcome,
    record: Vec<Recorded>,
    marks: Vec<Mark>,
}

/// What was known before a step.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    number: StepNumber,
    /// How many operations there had been.
    operations: u64,
    model: Model,
    known: Known,
}

impl Recording {
    /// Returns what was done to the devices, in order.
    #[must_use]
    pub fn record(&self) -> &[Recorded] {
        &self.record
    }

    /// Returns the step in whose midst an operation was, by its number; `None` if it was before the
    /// first or behind the last step.
    #[must_use]
    pub fn step_of(&self, operation: u64) -> Option<StepNumber> {
        let index = self.mark_of(operation)?;
        Some(self.marks[index].number)
    }

    /// Returns how many operations there had been before the first step.
    #[must_use]
    pub fn before_steps(&self) -> u64 {
        self.marks.first().map_or(0, |mark| mark.operations)
    }

    /// Returns how many operations there had been when the last step was over; more than there are
    /// if the run did not come that far.
    #[must_use]
    pub fn behind_steps(&self) -> u64 {
        let end = self.marks.last();
        let end = end.filter(|mark| mark.number == StepNumber(0));
        end.map_or(u64::MAX, |mark| mark.operations)
    }

    fn mark_of(&self, operation: u64) -> Option<usize> {
        let behind = self
            .marks
            .partition_point(|mark| mark.operations < operation);
        let index = behind.checked_sub(1)?;
        (self.marks[index].number != StepNumber(0)).then_some(index)
    }
}

impl Runner {
    /// Makes the store as it is before the first step of a scenario, with volatile caches.
    ///
    /// # Errors
    ///
    /// If the subject cannot make the images.
    pub fn prepare(
        &mut self,
        scenario: &Scenario,
        subject: &mut dyn Subject,
    ) -> Result<MemStore, SubjectError> {
        let store = MemStore::new(&self.pool);
        subject.prepare(store.subject_handle(), &scenario.setup)?;
        store.set_caching(true);
        Ok(store)
    }

    /// Runs a scenario in memory and records it.
    pub fn record(
        &mut self,
        scenario: &Scenario,
        subject: &mut dyn Subject,
        inspector: Option<&mut dyn Inspector>,
    ) -> Recording {
        self.buffers.clear();
        let store = MemStore::new(&self.pool);
        let mut marks = Vec::new();
        let inspector = shortened(inspector);
        let mut run = self.run_of(&store, scenario, subject, inspector);
        run.losses = Losses::expected();
        run.marks = Some(&mut marks);
        let outcome = run.run();
        Recording {
            outcome,
            record: store.take_record(),
            marks,
        }
    }

    /// Has a subject open the disks on what a loss of power left, and returns what that did to
    /// their devices. Whether it may do so is judged by [`Runner::judge_remains`].
    #[must_use]
    pub fn record_opening(
        &mut self,
        store: &MemStore,
        scenario: &Scenario,
        subject: &mut dyn Subject,
    ) -> Vec<Recorded> {
        store.set_recording(true);
        // One that fails, or panics, has done what it has done.
        let _judged = guarded(store, Allowance::of(scenario), || {
            subject.open(store.subject_handle(), &scenario.setup)
        });
        let record = store.take_record();
        store.set_recording(false);
        record
    }

    /// Judges what a loss of power left in whose midst an operation of a recorded run was: a
    /// subject is started on `store`, where the cut was carried out already. Without an operation
    /// the cut is the last step of `scenario`, behind all that were recorded.
    ///
    /// # Panics
    ///
    /// If the operation was in the midst of no step, or the recorded run did not come to its end.
    pub fn judge_remains(
        &mut self,
        scenario: &Scenario,
        recording: &Recording,
        operation: Option<u64>,
        store: &MemStore,
        subject: &mut dyn Subject,
        inspector: Option<&mut dyn Inspector>,
    ) -> Outcome {
        self.buffers.clear();
        let (mark, number) = match operation {
            Some(operation) => {
                let index = recording.mark_of(operation);
                let index = index.expect("the operation was in the midst of a step");
                (&recording.marks[index], recording.marks[index].number)
            }
            None => {
                let end = recording.marks.last();
                let end = end.filter(|mark| mark.number == StepNumber(0));
                let last = u32::try_from(scenario.steps.len()).unwrap_or(u32::MAX);
                (end.expect("the run came to its end"), StepNumber(last))
            }
        };
        self.buffers.known = mark.known.clone();
        let inspector = shortened(inspector);
        let mut run = self.run_of(store, scenario, subject, inspector);
        run.losses = Losses::forced(Loss::Over);
        run.model.clone_from(&mark.model);
        run.judge_crash(number)
    }
}

impl Run<'_> {
    /// Keeps what is known before a step, if the run is recorded.
    pub(super) fn mark(&mut self, number: StepNumber) {
        if let Some(marks) = &mut self.marks {
            marks.push(Mark {
                number,
                operations: self.world.operations(),
                model: self.model.clone(),
                known: self.buffers.known.clone(),
            });
        }
    }

    fn judge_crash(mut self, number: StepNumber) -> Outcome {
        let result = self.crash(number);
        self.counts.trace = self.trace.take().map(trace::Trace::finish);
        self.outcome(result)
    }

    fn crash(&mut self, number: StepNumber) -> Result<(), Stop> {
        self.moment = Moment::Step(number);
        let index = usize::try_from(number.0).unwrap_or(usize::MAX);
        let step = index
            .checked_sub(1)
            .and_then(|at| self.scenario.steps.get(at));
        if let Some(step) = step {
            self.observe(number, &step.action);
            self.counts.steps += 1;
        }
        self.go_on()?;
        self.end()
    }
}
