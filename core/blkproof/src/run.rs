//! The run: model and subject side by side, step by step, up to the first divergence.
//!
//! Per step the runner first lets fault steps act on the store, hands the step to the subject,
//! gathers what can be seen (answer, events, status, faults that fired), shows it to the model, and
//! fulfils what the model demands to be compared. Nothing is formatted and nothing is copied unless
//! something does not hold. A [`Runner`] keeps its buffers and its pool of pages from one scenario
//! to the next.

mod actors;

mod allowance;

mod carry;

mod check;

mod compare;

mod crash;

mod digest;

mod end;

mod known;

mod looked;

mod lost;

mod on_top;

mod power;

mod survivors;

mod trace;

mod verified;

mod world;

use blkproof_device::{FaultStore, Media, MemStore, Parcel, Pool};
use blkproof_spec::fault::Firing;
use blkproof_spec::step::{Action, Expect};
use blkproof_spec::{
    ByteRange, Capabilities, FaultRule, JobEvent, Judgement, Layer, Model, Place, Reply, Scenario,
    Setup, Status, StepNumber, Tag,
};

use crate::coverage::Coverage;
use crate::inspect::Inspector;
use crate::outcome::{Counts, Failure, Finding, Moment, NotJudged, Outcome};
use crate::subject::Subject;
use actors::Actors;
use allowance::Allowance;
use crash::Mark;
use known::Known;
use looked::Looked;
use power::Losses;
use survivors::Survivors;
use verified::Verified;
use world::World;

pub(crate) use carry::{caught, panic_text, reply_text};
pub use crash::Recording;
pub(crate) use power::is_start;
pub(crate) use trace::sha256_hex;

/// How scenarios are run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether the subject's reports of bitmaps and jobs are kept from the judge. What can cost
    /// data must be found without them.
    pub hide_status: bool,
    /// Whether the SHA-256 of everything observable is computed, to compare two runs of one build.
    pub trace: bool,
    /// Whether everything is brought to an end behind the last step: faults lifted, jobs ended, and
    /// a fresh full backup of every disk.
    pub cleanup: Cleanup,
    /// How many of the first steps were carried out on the images already, by somebody else. They
    /// are only shown to the model.
    pub prepared: usize,
    /// Whether an inspector finds out of each cut of the power what it took, for reports.
    pub tell_lost: bool,
    /// Whether devices keep volatile what is not flushed although the scenario has no loss of
    /// power: a job that reports success while its target is not durable is found then, too.
    pub volatile: bool,
}

/// When a run is brought to an end by steps of the judge's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cleanup {
    /// Never.
    Never,
    /// Where a fault fired, or a job or request is left over.
    AfterTrouble,
    /// Always.
    Always,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hide_status: false,
            trace: false,
            cleanup: Cleanup::AfterTrouble,
            prepared: 0,
            tell_lost: false,
            volatile: false,
        }
    }
}

/// Runs scenarios.
#[derive(Debug)]
pub struct Runner {
    options: Options,
    coverage: Option<Coverage>,
    pool: Pool,
    buffers: Buffers,
    /// Of the run at hand, kept for the memory that it has.
    model: Model,
}

/// What is filled anew at each step.
#[derive(Debug, Default)]
struct Buffers {
    read: Vec<u8>,
    events: Vec<JobEvent>,
    /// The events that were heard before power was lost.
    early: Vec<JobEvent>,
    status: Status,
    fired: Vec<Firing>,
    suspended: Vec<Tag>,
    judgement: Judgement,
    parcel: Parcel,
    ranges: Vec<ByteRange>,
    replies: Vec<Reply>,
    firings: Vec<(StepNumber, Firing)>,
    /// The events that no check has consumed yet, status changes left out.
    unchecked: Vec<JobEvent>,
    known: Known,
    looked: Looked,
    survivors: Survivors,
    verified: Verified,
}

impl Buffers {
    fn clear(&mut self) {
        self.judgement.clear();
        self.replies.clear();
        self.firings.clear();
        self.early.clear();
        self.unchecked.clear();
        self.known.clear();
        self.looked.clear();
        self.survivors = Survivors::default();
    }
}

impl Runner {
    /// Makes a runner.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self::with_pool(options, &Pool::default())
    }

    /// Makes a runner that takes the memory of its disks from this pool: runners of one thread that
    /// take turns need one between them.
    #[must_use]
    pub fn with_pool(options: Options, pool: &Pool) -> Self {
        Self {
            options,
            coverage: None,
            pool: pool.clone(),
            buffers: Buffers::default(),
            model: Model::new(&Setup::default(), Capabilities::MINIMAL),
        }
    }

    /// Begins to count what is reached.
    pub fn cover(&mut self) {
        self.coverage.get_or_insert_default();
    }

    /// Returns what was reached, if that is counted.
    #[must_use]
    pub fn coverage(&self) -> Option<&Coverage> {
        self.coverage.as_ref()
    }

    /// Returns what was reached since the counting began or this was called last, if it is counted.
    pub fn take_coverage(&mut self) -> Option<Coverage> {
        self.coverage.as_mut().map(core::mem::take)
    }

    /// Returns how scenarios are run.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// Runs a scenario in memory.
    pub fn run(
        &mut self,
        scenario: &Scenario,
        subject: &mut dyn Subject,
        inspector: Option<&mut dyn Inspector>,
    ) -> Outcome {
        let store = MemStore::new(&self.pool);
        self.run_on(&store, scenario, subject, inspector)
    }

    /// Runs a scenario on a store, which may hold images already: those are taken as they are.
    pub fn run_on<M: Media>(
        &mut self,
        store: &FaultStore<M>,
        scenario: &Scenario,
        subject: &mut dyn Subject,
        inspector: Option<&mut dyn Inspector>,
    ) -> Outcome {
        self.buffers.clear();
        let inspector = shortened(inspector);
        self.run_of(store, scenario, subject, inspector).run()
    }

    /// Makes ready to run a scenario.
    fn run_of<'a, M: Media>(
        &'a mut self,
        store: &'a FaultStore<M>,
        scenario: &'a Scenario,
        subject: &'a mut dyn Subject,
        inspector: Option<&'a mut dyn Inspector>,
    ) -> Run<'a> {
        // A subject that cannot even say what it can do is told of as soon as the run begins.
        let (mut capabilities, findings) = match caught(|| subject.capabilities()) {
            Ok(capabilities) => (capabilities, Vec::new()),
            Err(panic) => (Capabilities::MINIMAL, vec![panic]),
        };
        if self.options.hide_status {
            capabilities.bitmap_status = false;
            capabilities.dirty_ranges = false;
        }
        self.model.reset(&scenario.setup, capabilities);
        Run {
            scenario,
            subject,
            world: store,
            inspector,
            options: self.options,
            coverage: self.coverage.as_mut(),
            capabilities,
            allowance: Allowance::of(scenario),
            model: &mut self.model,
            trace: self.options.trace.then(trace::Trace::default),
            losses: Losses::of(scenario, self.options.volatile),
            actors: Actors::of(scenario),
            marks: None,
            moment: Moment::Preparing,
            findings,
            not_judged: None,
            counts: Counts::default(),
            buffers: &mut self.buffers,
        }
    }
}

/// Shortens a borrow within an option, which it does not by itself.
fn shortened<'short, 'long: 'short>(
    inspector: Option<&'short mut (dyn Inspector + 'long)>,
) -> Option<&'short mut (dyn Inspector + 'short)> {
    match inspector {
        Some(inspector) => Some(inspector),
        None => None,
    }
}

/// One run.
struct Run<'a> {
    scenario: &'a Scenario,
    subject: &'a mut dyn Subject,
    world: &'a dyn World,
    inspector: Option<&'a mut dyn Inspector>,
    options: Options,
    coverage: Option<&'a mut Coverage>,
    capabilities: Capabilities,
    allowance: Allowance,
    model: &'a mut Model,
    trace: Option<trace::Trace>,
    losses: Losses,
    /// Who acts, where chance in faults hangs on it.
    actors: Option<Actors>,
    /// Where what is known before each step is kept, if the run is recorded.
    marks: Option<&'a mut Vec<Mark>>,
    moment: Moment,
    findings: Vec<Finding>,
    not_judged: Option<NotJudged>,
    counts: Counts,
    buffers: &'a mut Buffers,
}

/// Why a run goes on no further.
enum Stop {
    /// There are findings.
    Failed,
    /// It counts for nothing.
    NotJudged(NotJudged),
}

impl Run<'_> {
    fn run(mut self) -> Outcome {
        let result = self.all();
        // The pages go back to the pool with their disks.
        self.buffers.parcel.clear();
        self.buffers.verified.clear();
        self.count_rules();
        if let Some(trace) = self.trace.take() {
            self.counts.trace = Some(trace.finish());
        }
        self.outcome(result)
    }

    fn outcome(self, result: Result<(), Stop>) -> Outcome {
        match result {
            Ok(()) => Outcome::Held(self.counts),
            Err(Stop::NotJudged(why)) => Outcome::NotJudged(why, self.counts),
            Err(Stop::Failed) => Outcome::Failed(Box::new(self.failure())),
        }
    }

    fn all(&mut self) -> Result<(), Stop> {
        self.begin()?;
        for (index, step) in self.scenario.steps.iter().enumerate() {
            let number = StepNumber(u32::try_from(index + 1).unwrap_or(u32::MAX));
            self.moment = Moment::Step(number);
            self.mark(number);
            if index < self.options.prepared {
                self.prepared_step(number, &step.action);
            } else {
                self.step(number, &step.action, step.expect);
            }
            self.counts.steps += 1;
            self.go_on()?;
        }
        self.mark(StepNumber(0));
        self.end()
    }

    /// Makes the images, arms the rules of the setup, and opens the disks.
    fn begin(&mut self) -> Result<(), Stop> {
        self.go_on()?;
        let setup = &self.scenario.setup;
        self.buffers.known.setup(setup);
        self.announce();
        let handle = self.world.handle();
        self.subject("preparing the images", |subject| {
            subject.prepare(handle, setup)
        });
        self.go_on()?;
        self.expect_losses();
        self.world.set_tracing(self.options.trace);
        for rule in &setup.rules {
            self.world.install(rule);
        }
        self.moment = Moment::Opening;
        let handle = self.world.handle();
        self.subject("opening the disks", |subject| subject.open(handle, setup));
        self.take_firings(StepNumber(0));
        match self.findings.first() {
            Some(Finding::Subject { message, .. }) if !self.buffers.firings.is_empty() => {
                Err(Stop::NotJudged(NotJudged::NotOpened(message.clone())))
            }
            _ => self.go_on(),
        }
    }

    /// Has the store lay layers above the formats where rules may come, and where what is asked
    /// below has to be told by what was asked above.
    fn announce(&self) {
        let above =
            |rule: &&FaultRule| rule.place.layer == Layer::Format || actors::goes_by_chance(rule);
        for rule in actors::rules(self.scenario).filter(above) {
            self.world.announce(&Place {
                image: rule.place.image.clone(),
                layer: Layer::Format,
            });
        }
    }

    fn go_on(&mut self) -> Result<(), Stop> {
        if let Some(why) = self.not_judged.take() {
            return Err(Stop::NotJudged(why));
        }
        if self.model.is_undetectable() {
            return Err(Stop::NotJudged(NotJudged::Undetectable));
        }
        if self.findings.is_empty() {
            Ok(())
        } else {
            Err(Stop::Failed)
        }
    }

    /// Carries out a step of the scenario and judges it.
    fn step(&mut self, number: StepNumber, action: &Action, expect: Expect) {
        if let Action::Check(check) = action {
            return self.check(check, expect);
        }
        let reply = self.observe(number, action);
        self.expect(expect, reply);
    }

    /// Shows the model a step that somebody else carried out.
    fn prepared_step(&mut self, number: StepNumber, action: &Action) {
        self.buffers.judgement.clear();
        self.buffers.replies.push(Reply::Done);
        self.buffers.known.note(action);
        let seen = blkproof_spec::Observation::of(Reply::Done);
        self.model
            .observe(number, action, &seen, &mut self.buffers.judgement);
        self.take_violations();
    }

    fn count_rules(&mut self) {
        let steps = self.scenario.steps.iter();
        let installs = steps.filter(|step| matches!(step.action, Action::Install(_)));
        if self.scenario.setup.rules.is_empty() && installs.count() == 0 {
            return;
        }
        for count in self.world.rule_counts() {
            self.counts.rules += 1;
            self.counts.matched += count.matched;
            self.counts.fired += count.fired;
            if let Some(coverage) = &mut self.coverage {
                coverage.note_rule(&count.rule.rule, count.fired);
            }
            if count.fired == 0 {
                self.counts.idle_rules.push(count.rule);
            }
        }
    }

    fn failure(self) -> Failure {
        Failure {
            step_kind: self.moment.step_kind(self.scenario),
            moment: self.moment,
            findings: self.findings,
            replies: self.buffers.replies.clone(),
            firings: core::mem::take(&mut self.buffers.firings),
            counts: self.counts,
        }
    }
}
