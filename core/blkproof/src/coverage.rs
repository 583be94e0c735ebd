//! What was reached: a count for every kind of step, in every state of a job, under every kind of
//! fault, with every outcome; and for every rule of faults, whether it acted.
//!
//! Counting is an index and an addition per step. Counts of several threads are merged, in any
//! order. The table tells apart what makes a difference and no more ([`Cell::folded`]): whether a
//! job holds a disk matters to a write, and not to a clock. A cell that nothing can reach is a hole
//! with a reason, and the reasons stand in one table ([`impossible`]); any other cell that stays
//! empty is a hole, and one with a reason that is reached all the same shows that the reason is
//! wrong.

mod exercised;

mod fold;

mod impossible;

mod steps;

mod struck;

use blkproof_spec::fault::{Effect, Event, Firing, Rule, Verdict};
use blkproof_spec::model::JobView;
use blkproof_spec::property::Exercised;
use blkproof_spec::step::{Action, Work};
use blkproof_spec::{ImageName, JobState, Model, Property, Refusal, Reply};

pub use impossible::impossible;
pub use steps::StepKind;
pub use struck::Struck;

use exercised::Judged;
use struck::Strikes;

macro_rules! dimension {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$item:meta])* $variant:ident = $text:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$item])* $variant),+ }

        impl $name {
            /// All values, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the name that the table shows.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

pub(crate) use dimension;

dimension! {
    /// The state of the job that a step concerns, before the step: the one that it names, else the
    /// latest one of the disk that it names, else the latest one.
    Status {
        /// There is no such job.
        NoJob = "no job",
        /// It works. Any job does as soon as the step that starts it is over.
        Running = "running",
        /// A command or an error paused it.
        Paused = "paused",
        /// It has done its work and waits for its group, or to be finalized.
        Pending = "pending",
        /// It is over and waits to be dismissed.
        Concluded = "concluded",
    }
}

dimension! {
    /// What faults had to do with a step's answer. Faults that nobody reports do not count here.
    Fault {
        /// Nothing.
        None = "no fault",
        /// Something took time or was held.
        Wait = "wait",
        /// An error struck a disk; where the table does not tell images apart, any image.
        Source = "error at a disk",
        /// An error struck another image.
        Target = "error at an image",
    }
}

dimension! {
    /// How a step was answered.
    Answer {
        /// It was done.
        Done = "done",
        /// It was refused.
        Refused = "refused",
        /// It was tried and failed.
        Failed = "failed",
        /// It was under way when the step ended.
        Pending = "pending",
        /// Nobody heard: it was cut.
        Cut = "cut",
    }
}

/// A cell of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub struct Cell {
    /// What was done.
    pub step: StepKind,
    /// The state of the job that it concerned.
    pub status: Status,
    /// What faults did.
    pub fault: Fault,
    /// How it was answered.
    pub answer: Answer,
}

const CELLS: usize = StepKind::ALL.len() * Status::ALL.len() * Fault::ALL.len() * Answer::ALL.len();

impl Cell {
    /// Returns all cells, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::places().filter(|cell| cell.folded() == *cell)
    }

    /// Returns every combination, also those that the table does not tell from others.
    fn places() -> impl Iterator<Item = Self> {
        (0..CELLS).map(|index| {
            let (index, answer) = (index / Answer::ALL.len(), index % Answer::ALL.len());
            let (index, fault) = (index / Fault::ALL.len(), index % Fault::ALL.len());
            let (index, status) = (index / Status::ALL.len(), index % Status::ALL.len());
            Self {
                step: StepKind::ALL[index],
                status: Status::ALL[status],
                fault: Fault::ALL[fault],
                answer: Answer::ALL[answer],
            }
        })
    }

    fn index(self) -> usize {
        let index = self.step as usize * Status::ALL.len() + self.status as usize;
        let index = index * Fault::ALL.len() + self.fault as usize;
        index * Answer::ALL.len() + self.answer as usize
    }
}

/// How often something was planned and how often it came about.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Reached {
    /// How many rules said it.
    pub planned: u64,
    /// How often one of them acted.
    pub fired: u64,
}

/// The names of what rules do beyond `blkdebug`, in the order of the table.
const EFFECTS: [&str; 11] = [
    "error",
    "delay",
    "partial",
    "torn",
    "applied-but-failed",
    "misdirected",
    "phantom",
    "lying-flush",
    "bit-rot",
    "stale-read",
    "capacity",
];

/// What was reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coverage {
    cells: Vec<u64>,
    refusals: Vec<u64>,
    /// Of `blkdebug`'s rules, by event.
    events: Vec<Reached>,
    effects: Vec<Reached>,
    struck: Strikes,
    judged: Judged,
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            cells: vec![0; CELLS],
            refusals: vec![0; Refusal::ALL.len()],
            events: vec![Reached::default(); Event::ALL.len()],
            effects: vec![Reached::default(); EFFECTS.len()],
            struck: Strikes::default(),
            judged: Judged::default(),
        }
    }
}

impl Coverage {
    /// Adds what was reached elsewhere.
    pub fn merge(&mut self, other: &Self) {
        let numbers = |own: &mut [u64], other: &[u64]| {
            own.iter_mut()
                .zip(other)
                .for_each(|(own, other)| *own += other);
        };
        numbers(&mut self.cells, &other.cells);
        numbers(&mut self.refusals, &other.refusals);
        let reached = |own: &mut [Reached], other: &[Reached]| {
            for (own, other) in own.iter_mut().zip(other) {
                own.planned += other.planned;
                own.fired += other.fired;
            }
        };
        reached(&mut self.events, &other.events);
        reached(&mut self.effects, &other.effects);
        let struck = self.struck.numbers_mut().zip(other.struck.numbers());
        let judged = self.judged.numbers_mut().zip(other.judged.numbers());
        struck.chain(judged).for_each(|(own, other)| *own += other);
    }

    /// Returns all counts, in an order that is the same for one version of this crate: to write
    /// them down.
    #[must_use]
    pub fn numbers(&self) -> Vec<u64> {
        let reached = |reached: &Reached| [reached.planned, reached.fired];
        let rules = self.events.iter().chain(&self.effects).flat_map(reached);
        let plain = self.cells.iter().chain(&self.refusals).copied();
        let further = self.struck.numbers().chain(self.judged.numbers());
        plain.chain(rules).chain(further).collect()
    }

    /// Takes up counts that were written down; `None` where their number is another one.
    #[must_use]
    pub fn from_numbers(numbers: &[u64]) -> Option<Self> {
        let mut coverage = Self::default();
        let mut numbers = numbers.iter();
        let plain = coverage.cells.iter_mut().chain(&mut coverage.refusals);
        let rules = coverage.events.iter_mut().chain(&mut coverage.effects);
        let rules = rules.flat_map(|reached| [&mut reached.planned, &mut reached.fired]);
        let struck = coverage.struck.numbers_mut();
        let further = struck.chain(coverage.judged.numbers_mut());
        for count in plain.chain(rules).chain(further) {
            *count = *numbers.next()?;
        }
        numbers.next().is_none().then_some(coverage)
    }

    /// Tells whether something was reached here that was not reached there: a cell, a refusal, or
    /// a kind of rule that acted.
    #[must_use]
    pub fn reaches_beyond(&self, other: &Self) -> bool {
        let numbers = |own: &[u64], other: &[u64]| {
            own.iter()
                .zip(other)
                .any(|(own, other)| *own > 0 && *other == 0)
        };
        let acted = |own: &[Reached], other: &[Reached]| {
            own.iter()
                .zip(other)
                .any(|(own, other)| own.fired > 0 && other.fired == 0)
        };
        numbers(&self.cells, &other.cells)
            || numbers(&self.refusals, &other.refusals)
            || acted(&self.events, &other.events)
            || acted(&self.effects, &other.effects)
    }

    /// Returns how often a cell was reached.
    #[must_use]
    pub fn count(&self, cell: Cell) -> u64 {
        self.cells[cell.index()]
    }

    /// Returns how often cells like this were reached.
    pub fn sum(&self, like: impl Fn(&Cell) -> bool) -> u64 {
        Cell::places()
            .zip(&self.cells)
            .filter(|(cell, _)| like(cell))
            .map(|(_, count)| count)
            .sum()
    }

    /// Returns the cells that were reached although there is a reason why nothing can reach them.
    pub fn contradictions(&self) -> impl Iterator<Item = Cell> + '_ {
        Cell::all().filter(|cell| self.count(*cell) > 0 && impossible(*cell).is_some())
    }

    /// Returns the cells that were never reached and for which there is no reason.
    pub fn holes(&self) -> impl Iterator<Item = Cell> + '_ {
        Cell::all().filter(|cell| self.count(*cell) == 0 && impossible(*cell).is_none())
    }

    /// Returns how often something of each property was judged: at a step, at the end, or in
    /// contents that were compared.
    pub fn judged(&self) -> impl Iterator<Item = (Property, u64)> + '_ {
        self.judged.iter()
    }

    /// Counts runs that were repeated, and compared with the first.
    pub fn note_repeated(&mut self, times: u64) {
        self.judged.add(Property::Deterministic, times);
    }

    pub(crate) fn note_exercised(&mut self, exercised: Exercised) {
        self.judged.note(exercised);
    }

    /// Returns how often faults struck, by what they ask of a subject.
    pub fn struck(&self) -> impl Iterator<Item = (Verdict, Struck)> + '_ {
        self.struck.iter()
    }

    /// Returns how often a step was refused for each reason.
    pub fn refusals(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL
            .iter()
            .copied()
            .zip(self.refusals.iter().copied())
    }

    /// Returns what became of `blkdebug`'s rules, by the event that they wait for.
    pub fn events(&self) -> impl Iterator<Item = (Event, Reached)> + '_ {
        Event::ALL.iter().copied().zip(self.events.iter().copied())
    }

    /// Returns what became of the other rules, by what they do.
    pub fn effects(&self) -> impl Iterator<Item = (&'static str, Reached)> + '_ {
        EFFECTS.iter().copied().zip(self.effects.iter().copied())
    }

    /// Counts a step; `model` stands where it stood before it.
    pub(crate) fn note(
        &mut self,
        action: &Action,
        model: &Model,
        reply: Reply,
        fired: &[Firing],
        held: bool,
    ) {
        let Some(step) = StepKind::of(action) else {
            return;
        };
        let cell = Cell {
            step,
            status: status(action, model),
            fault: fault(model, fired, held, reply),
            answer: answer(reply),
        };
        self.cells[cell.folded().index()] += 1;
        self.struck.note(model, fired);
        if let Reply::Refused(refusal) = reply
            && let Some(index) = Refusal::ALL.iter().position(|known| *known == refusal)
        {
            self.refusals[index] += 1;
        }
    }

    /// Counts a rule that was planned, and how often it acted.
    pub(crate) fn note_rule(&mut self, rule: &Rule, fired: u64) {
        let reached = match rule {
            Rule::SetState { event, .. } | Rule::Break { event, .. } => {
                &mut self.events[*event as usize]
            }
            Rule::InjectError(inject) => &mut self.events[inject.event as usize],
            Rule::Extended(extended) => &mut self.effects[effect(extended.effect)],
        };
        reached.planned += 1;
        reached.fired += fired;
    }
}

fn effect(effect: Effect) -> usize {
    match effect {
        Effect::Error(_) => 0,
        Effect::Delay(_) => 1,
        Effect::Partial { .. } => 2,
        Effect::Torn { .. } => 3,
        Effect::AppliedButFailed(_) => 4,
        Effect::Misdirected { .. } => 5,
        Effect::Phantom => 6,
        Effect::LyingFlush => 7,
        Effect::BitRot { .. } => 8,
        Effect::StaleRead => 9,
        Effect::Capacity { .. } => 10,
    }
}

fn answer(reply: Reply) -> Answer {
    match reply {
        Reply::Done => Answer::Done,
        Reply::Refused(_) => Answer::Refused,
        Reply::Failed(_) => Answer::Failed,
        Reply::Pending => Answer::Pending,
        Reply::Cut => Answer::Cut,
    }
}

fn fault(model: &Model, fired: &[Firing], held: bool, reply: Reply) -> Fault {
    let of = |firing: &Firing| match (firing.verdict, firing.errno) {
        (Verdict::Silent, _) => Fault::None,
        (_, None) => Fault::Wait,
        _ if is_disk(model, &firing.place.image) => Fault::Source,
        _ => Fault::Target,
    };
    let worst = fired.iter().map(of).max().unwrap_or(Fault::None);
    match reply {
        // Whatever else is held, an answer like these does not come of it.
        Reply::Failed(_) if worst == Fault::Wait => Fault::None,
        Reply::Failed(_) => worst,
        Reply::Refused(Refusal::CannotDrain) => Fault::Wait,
        Reply::Refused(Refusal::ImageUnreadable) => worst,
        Reply::Refused(_) => Fault::None,
        _ if worst == Fault::None && held => Fault::Wait,
        _ => worst,
    }
}

fn is_disk(model: &Model, name: &ImageName) -> bool {
    let mut images = model.images();
    images.any(|image| image.name == name && image.role != blkproof_spec::scenario::Role::Image)
}

fn status(action: &Action, model: &Model) -> Status {
    let concerns = |job: &JobView<'_>| match action {
        Action::Job { job: name, .. }
        | Action::Finish { job: name }
        | Action::Advance {
            work: Work::Job(name),
            ..
        } => job.name == name,
        Action::Guest { at, .. } | Action::Start { at, .. } | Action::Resize { at, .. } => {
            job.source == at.name()
        }
        Action::Bitmap(step) => job.source == step.at.name(),
        Action::Backup { backup, .. } => job.source == backup.at.name(),
        _ => true,
    };
    let states = model.jobs().filter(concerns).map(|job| match job.state {
        None | Some(JobState::Created | JobState::Running) => Status::Running,
        Some(JobState::Paused) => Status::Paused,
        Some(JobState::Waiting | JobState::Pending) => Status::Pending,
        Some(JobState::Aborting | JobState::Concluded | JobState::Null) => Status::Concluded,
    });
    // A job that is over says nothing where another one still has its hands on the disk.
    let over = |status: &Status| *status == Status::Concluded;
    let latest = |status: Status, next: Status| match (over(&status), over(&next)) {
        (false, true) => status,
        _ => next,
    };
    states.reduce(latest).unwrap_or(Status::NoJob)
}

#[cfg(test)]
mod tests {
    use super::{CELLS, Cell, Coverage};

    #[test]
    fn every_cell_has_a_place_of_its_own() {
        let places: Vec<_> = Cell::places().map(Cell::index).collect();
        assert_eq!(places, (0..CELLS).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_folded_stays_where_it_is() {
        for cell in Cell::places() {
            let folded = cell.folded();
            assert_eq!(folded.folded(), folded, "{cell:?}");
            assert_eq!((folded.answer), (cell.answer), "{cell:?}");
        }
    }

    #[test]
    fn counts_survive_being_written_down() {
        let mut coverage = Coverage::default();
        coverage.cells[CELLS - 1] = 1;
        coverage.refusals[0] = 2;
        coverage.events[1].planned = 3;
        coverage.effects[2].fired = 4;
        let numbers = coverage.numbers();
        assert_eq!(Coverage::from_numbers(&numbers), Some(coverage));
        assert_eq!(Coverage::from_numbers(&numbers[1..]), None);
        let more = [&numbers[..], &[0]].concat();
        assert_eq!(Coverage::from_numbers(&more), None);
    }

    #[test]
    fn what_one_reached_and_another_did_not_is_seen() {
        let mut one = Coverage::default();
        let mut other = Coverage::default();
        assert!(!one.reaches_beyond(&other));
        one.cells[3] = 2;
        other.cells[4] = 1;
        assert!(one.reaches_beyond(&other) && other.reaches_beyond(&one));
        other.merge(&one);
        assert!(!one.reaches_beyond(&other));
        // A rule that never acted reached nothing.
        one.effects[2].planned = 1;
        assert!(!one.reaches_beyond(&other));
        one.effects[2].fired = 1;
        assert!(one.reaches_beyond(&other));
    }

    #[test]
    fn counts_are_merged() {
        let mut one = Coverage::default();
        one.cells[3] = 2;
        let mut other = Coverage::default();
        other.cells[3] = 5;
        other.effects[1].fired = 1;
        one.merge(&other);
        assert_eq!(one.cells[3], 7);
        assert_eq!(one.effects[1].fired, 1);
        assert_eq!(one.sum(|_| true), 7);
    }
}
