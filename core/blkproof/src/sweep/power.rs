//! Every loss of power of a scenario: at each operation, with each policy.
//!
//! The scenario is run once and recorded. From the record the store is made again operation by
//! operation; at each, a copy-on-write fork of it loses power in every way that the policies say,
//! and a fresh subject is started on what is left and judged. Forks that are left with the same
//! contents in the midst of the same step are one state, which is judged once: nothing that is
//! known differs between them. So no position and no policy is left out, and nothing is run twice.
//!
//! Power may be lost again while the disks are opened on a state. So what opening does to it is
//! recorded, too, and cut in every way: what that leaves is one more state of the same step.

mod midst;

use std::collections::BTreeSet;

use blkproof_device::{Digests, MemStore, Operation, Recorded, StoreError};
use blkproof_spec::fault::Kept;
use blkproof_spec::power::{Lost, Moment, PowerCut, Rest, Torn, TornUnit};
use blkproof_spec::step::{Action, Expect};
use blkproof_spec::{Scenario, Step, StepNumber};

pub use midst::Midst;

use crate::inspect::Inspector;
use crate::outcome::{Failure, Outcome};
use crate::run::{Recording, Runner};
use crate::subject::{Subject, SubjectError};

/// What came of one state.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Swept<'a> {
    /// The cut that led to it, with the number of the operation in whose midst it came.
    pub cut: &'a PowerCut,
    /// The cut that came in the midst of the recovery from that one, if one did.
    pub again: Option<&'a PowerCut>,
    /// The step in whose midst it came.
    pub step: StepNumber,
    /// What did not hold, where something did not.
    pub failure: Option<&'a Failure>,
    scenario: &'a Scenario,
    remains: &'a MemStore,
}

impl Swept<'_> {
    /// Returns the scenario up to that step with the cut in it, or both cuts: what to keep and
    /// replay.
    #[must_use]
    pub fn scenario(&self) -> Scenario {
        struck(self.scenario, self.step, self.cuts())
    }

    /// Returns the cuts that led to it.
    pub fn cuts(&self) -> impl Iterator<Item = &PowerCut> {
        [self.cut].into_iter().chain(self.again)
    }

    /// Returns what is left, before anybody opened it.
    #[must_use]
    pub fn remains(&self) -> MemStore {
        self.remains.fork()
    }
}

/// What a sweep comes to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Tally {
    /// The operations in whose midst power was cut.
    pub positions: u64,
    /// The same by what it was in the midst of, in the order of [`Midst::ALL`].
    pub midst: [u64; Midst::ALL.len()],
    /// The cuts: at each position one for each policy.
    pub cuts: u64,
    /// How many of them left a state that no other had left before in the midst of the same step.
    pub distinct: u64,
    /// The same of what follows: the operations of recoveries from these states in whose midst
    /// power was cut, the cuts, and the states that nothing had left before.
    pub again: Again,
    /// The states in which everything held.
    pub held: u64,
    /// Those in which something did not.
    pub failed: u64,
    /// Those that count for nothing.
    pub not_judged: u64,
    /// Whether every cut was tried: nobody ended the sweep early.
    pub complete: bool,
}

/// What second cuts come to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Again {
    /// The operations of recoveries in whose midst power was cut.
    pub positions: u64,
    /// The cuts.
    pub cuts: u64,
    /// How many of them left a state that no other had left before in the midst of the same step.
    pub distinct: u64,
}

impl Tally {
    /// Returns how many states were judged.
    #[must_use]
    pub fn states(&self) -> u64 {
        self.distinct + self.again.distinct
    }

    /// Returns what a sweep without any position comes to.
    #[must_use]
    pub fn whole() -> Self {
        Self {
            complete: true,
            ..Self::default()
        }
    }

    /// Adds what another sweep comes to.
    pub fn add(&mut self, other: &Self) {
        self.positions += other.positions;
        for (mine, other) in self.midst.iter_mut().zip(other.midst) {
            *mine += other;
        }
        self.cuts += other.cuts;
        self.distinct += other.distinct;
        self.again.positions += other.again.positions;
        self.again.cuts += other.again.cuts;
        self.again.distinct += other.again.distinct;
        self.held += other.held;
        self.failed += other.failed;
        self.not_judged += other.not_judged;
        self.complete &= other.complete;
    }
}

/// Cuts the power at every operation of a scenario, with every deterministic policy and with the
/// random ones up to the number `random`, and as often again in each recovery from that.
///
/// `fresh` makes a subject; the scenario is run on the first one. What the scenario states of its
/// steps is left out. `each` is told of each state and says whether to go on.
///
/// # Errors
///
/// If the subject cannot make the images of the setup.
pub fn sweep<S: Subject>(
    runner: &mut Runner,
    scenario: &Scenario,
    random: u64,
    mut fresh: impl FnMut() -> S,
    inspector: &mut dyn Inspector,
    each: impl FnMut(&Swept<'_>) -> bool,
) -> Result<Tally, SubjectError> {
    let scenario = super::unstated(scenario.clone());
    let recording = runner.record(&scenario, &mut fresh(), Some(inspector));
    let store = runner.prepare(&scenario, &mut fresh())?;
    let scenario = with_end(scenario);
    let mut sweep = Sweep {
        runner,
        scenario: &scenario,
        recording: &recording,
        random,
        fresh,
        inspector,
        each,
        digests: Digests::default(),
        seen: BTreeSet::new(),
        tally: Tally::whole(),
    };
    // What the judge does when all steps are over is no part of the scenario.
    let steps = recording.record().iter();
    for recorded in steps.take_while(|recorded| recorded.number <= recording.behind_steps()) {
        let failed = |error: StoreError| SubjectError::new(error.to_string());
        let step = recording.step_of(recorded.number);
        if let (true, Some(step)) = (recorded.what.counts(), step) {
            let midst = store.fork();
            midst.redo(recorded, false).map_err(failed)?;
            if !sweep.position(recorded, step, &midst).map_err(failed)? {
                sweep.tally.complete = false;
                break;
            }
        }
        store.redo(recorded, true).map_err(failed)?;
    }
    if sweep.tally.complete {
        let ended = sweep.end(&store);
        sweep.tally.complete = ended.map_err(|error| SubjectError::new(error.to_string()))?;
    }
    Ok(sweep.tally)
}

/// Returns a scenario with one step more, a cut behind all others: what is reported by then has to
/// survive, though no operation of the scenario is left in whose midst power could be cut.
fn with_end(mut scenario: Scenario) -> Scenario {
    let cut = Action::PowerCut(PowerCut::new(Lost::All));
    scenario.steps.push(Step {
        action: cut,
        expect: Expect::Any,
    });
    scenario
}

/// What a scenario did to a store.
#[derive(Debug)]
pub struct Done {
    /// The store as it was before the first step, with volatile caches.
    pub store: MemStore,
    /// What was done to its devices, in order.
    pub record: Vec<Recorded>,
}

/// Runs a scenario, of which what it states of its steps is left out, and records what it does to
/// the store, as a sweep of it does.
///
/// # Errors
///
/// If the subject cannot make the images of the setup.
pub fn record<S: Subject>(
    runner: &mut Runner,
    scenario: &Scenario,
    mut fresh: impl FnMut() -> S,
) -> Result<Done, SubjectError> {
    let scenario = super::unstated(scenario.clone());
    let recording = runner.record(&scenario, &mut fresh(), None);
    let store = runner.prepare(&scenario, &mut fresh())?;
    let record = recording.record().to_vec();
    Ok(Done { store, record })
}

struct Sweep<'a, F, E> {
    runner: &'a mut Runner,
    scenario: &'a Scenario,
    recording: &'a Recording,
    random: u64,
    fresh: F,
    inspector: &'a mut dyn Inspector,
    each: E,
    /// Follows the store from position to position.
    digests: Digests,
    /// The states so far: a digest, and the step.
    seen: BTreeSet<(StepNumber, [u64; 2])>,
    tally: Tally,
}

/// The cuts that led to a state, each with the number of its operation.
struct Cuts<'a> {
    first: &'a PowerCut,
    again: Option<&'a PowerCut>,
    /// The operation of the scenario in whose midst the first one came; none where it came behind
    /// all of them.
    operation: Option<u64>,
    step: StepNumber,
}

impl<S: Subject, F: FnMut() -> S, E: FnMut(&Swept<'_>) -> bool> Sweep<'_, F, E> {
    /// Tries every cut in the midst of one operation; `midst` is the store then. Tells whether to
    /// go on.
    fn position(
        &mut self,
        recorded: &Recorded,
        step: StepNumber,
        midst: &MemStore,
    ) -> Result<bool, StoreError> {
        self.digests.follow(midst);
        self.tally.positions += 1;
        self.tally.midst[Midst::of(self.scenario, step) as usize] += 1;
        let ahead = recorded.number - self.recording.before_steps();
        for cut in cuts(&recorded.what, midst, self.random) {
            let cut = at(cut, ahead);
            if !self.first(&cut, Some(recorded.number), ahead, step, midst)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tries every cut behind the last operation, and tells of a scenario that does not hold by
    /// itself: what would come behind that was not swept. Tells whether nothing was left out.
    fn end(&mut self, store: &MemStore) -> Result<bool, StoreError> {
        let step = StepNumber(u32::try_from(self.scenario.steps.len()).unwrap_or(u32::MAX));
        match &self.recording.outcome {
            Outcome::Held(_) => {}
            Outcome::NotJudged(..) => {
                self.tally.not_judged += 1;
                return Ok(false);
            }
            Outcome::Failed(failure) => {
                self.tally.failed += 1;
                (self.each)(&Swept {
                    cut: &PowerCut::new(Lost::All),
                    again: None,
                    step,
                    failure: Some(failure),
                    scenario: self.scenario,
                    remains: store,
                });
                return Ok(false);
            }
        }
        if store.pending().is_empty() {
            return Ok(true);
        }
        self.digests.follow(store);
        self.tally.positions += 1;
        self.tally.midst[Midst::End as usize] += 1;
        let ahead = store.operations() - self.recording.before_steps();
        // Nothing is under way that could be torn.
        for cut in cuts(&Operation::Flush, store, self.random) {
            if !self.first(&cut, None, ahead, step, store)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tries a cut, when `ahead` operations were issued since the start of the scenario, and every
    /// one in the recovery from it. Tells whether to go on.
    fn first(
        &mut self,
        cut: &PowerCut,
        operation: Option<u64>,
        ahead: u64,
        step: StepNumber,
        midst: &MemStore,
    ) -> Result<bool, StoreError> {
        self.tally.cuts += 1;
        let remains = remains(midst, cut, self.scenario);
        if !self.is_new(step, &remains) {
            return Ok(true);
        }
        self.tally.distinct += 1;
        let cuts = Cuts {
            first: cut,
            again: None,
            operation,
            step,
        };
        Ok(self.judge(&cuts, &remains) && self.recovery(&cuts, ahead, &remains)?)
    }

    /// Tells whether a state is one that nothing has left before in the midst of this step.
    fn is_new(&mut self, step: StepNumber, remains: &MemStore) -> bool {
        self.seen.insert((step, self.digests.of(remains)))
    }

    /// Tries every cut in the midst of the recovery from a state. Tells whether to go on.
    fn recovery(
        &mut self,
        first: &Cuts<'_>,
        ahead: u64,
        remains: &MemStore,
    ) -> Result<bool, StoreError> {
        let opened = remains.fork();
        let record = self
            .runner
            .record_opening(&opened, self.scenario, &mut (self.fresh)());
        let store = remains.fork();
        let counted = record.iter().filter(|recorded| recorded.what.counts());
        let mut places = (ahead + 1..).take(counted.count());
        for recorded in &record {
            let place = recorded.what.counts().then(|| places.next()).flatten();
            if let Some(place) = place
                && !self.second(first, recorded, place, &store)?
            {
                return Ok(false);
            }
            store.redo(recorded, true)?;
        }
        Ok(true)
    }

    /// Tries every cut in the midst of one operation of a recovery, whose number from the start is
    /// `place`; `store` is as it was before that. Tells whether to go on.
    fn second(
        &mut self,
        first: &Cuts<'_>,
        recorded: &Recorded,
        place: u64,
        store: &MemStore,
    ) -> Result<bool, StoreError> {
        self.tally.again.positions += 1;
        let midst = store.fork();
        midst.redo(recorded, false)?;
        for cut in cuts(&recorded.what, &midst, self.random) {
            self.tally.again.cuts += 1;
            let remains = remains(&midst, &cut, self.scenario);
            if !self.is_new(first.step, &remains) {
                continue;
            }
            self.tally.again.distinct += 1;
            let again = at(cut, place);
            let cuts = Cuts {
                again: Some(&again),
                ..*first
            };
            if !self.judge(&cuts, &remains) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Judges a state. Tells whether to go on.
    fn judge(&mut self, cuts: &Cuts<'_>, remains: &MemStore) -> bool {
        let outcome = self.runner.judge_remains(
            self.scenario,
            self.recording,
            cuts.operation,
            &remains.fork(),
            &mut (self.fresh)(),
            Some(self.inspector),
        );
        let failure = match &outcome {
            Outcome::Held(_) => {
                self.tally.held += 1;
                None
            }
            Outcome::NotJudged(..) => {
                self.tally.not_judged += 1;
                None
            }
            Outcome::Failed(failure) => {
                self.tally.failed += 1;
                Some(&**failure)
            }
        };
        (self.each)(&Swept {
            cut: cuts.first,
            again: cuts.again,
            step: cuts.step,
            failure,
            scenario: self.scenario,
            remains,
        })
    }
}

/// Has a cut come in the midst of an operation, by its number from the start of the scenario.
fn at(cut: PowerCut, operation: u64) -> PowerCut {
    let at = Some(Moment(operation));
    PowerCut { at, ..cut }
}

/// Returns what a cut leaves of a store.
fn remains(midst: &MemStore, cut: &PowerCut, scenario: &Scenario) -> MemStore {
    let remains = midst.fork();
    // Memory does not fail.
    let _ = remains.cut_power(cut, scenario.setup.cache);
    remains
}

/// Returns the scenario up to the step in whose midst power is cut, with the cuts before all else,
/// or the one that comes behind all else there.
fn struck<'a>(
    scenario: &Scenario,
    step: StepNumber,
    cuts: impl Iterator<Item = &'a PowerCut>,
) -> Scenario {
    let mut out = scenario.clone();
    let steps = usize::try_from(step.0).unwrap_or(usize::MAX);
    out.steps.truncate(steps);
    for (place, cut) in cuts.enumerate() {
        let cut = Step {
            action: Action::PowerCut(cut.clone()),
            expect: Expect::Any,
        };
        match &cut.action {
            Action::PowerCut(PowerCut { at: None, .. }) => {
                out.steps.pop();
                out.steps.push(cut);
            }
            _ => out.steps.insert(place.min(out.steps.len()), cut),
        }
    }
    out
}

/// Returns every cut that is tried in the midst of an operation: the deterministic policies, and
/// the random ones up to the number `random`.
#[must_use]
pub fn cuts(what: &Operation, midst: &MemStore, random: u64) -> Vec<PowerCut> {
    let pending = midst.pending().len() as u64;
    let plain = [Lost::All, Lost::None, Lost::Worst, Lost::Reordered];
    let mut cuts: Vec<_> = plain.into_iter().map(PowerCut::new).collect();
    // What loses more of the end than the last operation was tried at an earlier one.
    cuts.extend((1..=pending).map(|one| PowerCut::new(Lost::Only(one))));
    if pending > 0 && *what != Operation::Flush {
        for kept in [Kept::Left, Kept::Right, Kept::Middle] {
            for unit in [TornUnit::Sector, TornUnit::Page] {
                for lost in [Lost::From(pending), Lost::Worst] {
                    let rest = Rest::Old;
                    cuts.push(PowerCut {
                        torn: Some(Torn { kept, unit, rest }),
                        ..PowerCut::new(lost)
                    });
                }
            }
        }
    }
    cuts.extend((1..=random).map(|number| PowerCut::new(Lost::Some(number))));
    cuts
}
