//! Running scenarios of the format level.

mod look;
mod lose;
mod prepare;
mod requests;
mod struck;

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use std::io;
use std::path::Path;
use std::sync::Arc;

use blkproof_device::{BlockDevice as _, MemStore, Pool, StoreError};
use blkproof_spec::power::PowerCut;
use blkproof_spec::{Errno, ImageName, Offset, StepNumber};

use super::journal::Journal;
use super::model::Model;
use super::outcome::{Counts, Disturbance, Failure, Finding, Outcome, Property};
use super::scenario::{Action, BASE, FILE, Look, Op, Scenario, Step};
use super::seam::{Capabilities, Image, Library, NewImage};
use super::watch::Watch;
use crate::inspect::Inspector;
use crate::known::Known;
use struck::Trail;

/// Somebody else who makes images: `qemu-img` does, behind an adapter.
pub trait Maker: fmt::Debug {
    /// Makes an empty image that names [`BASE`] where it has a base, and returns its file.
    ///
    /// # Errors
    ///
    /// Where it cannot, and why; the scenario is not judged.
    fn make(&mut self, image: &NewImage) -> Result<Vec<u8>, String>;
}

/// Runs scenarios with one library and judges it.
#[derive(Debug)]
pub struct Judge<'a> {
    library: &'a mut dyn Library,
    inspector: Option<&'a mut dyn Inspector>,
    maker: Option<&'a mut dyn Maker>,
    known: Known,
    pool: Pool,
    /// The devices of the last run.
    last: Option<MemStore>,
    /// Where the number of the step under way is noted.
    noted: Option<Arc<AtomicU32>>,
    journal: Option<Journal>,
    /// Why the journal cannot be written any more.
    unwritten: Option<String>,
}

impl<'a> Judge<'a> {
    /// Makes a judge of a library.
    pub fn new(library: &'a mut dyn Library) -> Self {
        Self {
            library,
            inspector: None,
            maker: None,
            known: Known::default(),
            pool: Pool::new(),
            last: None,
            noted: None,
            journal: None,
            unwritten: None,
        }
    }

    /// Has somebody look at the image's file, who shares no code with the library.
    #[must_use]
    pub fn inspected_by(mut self, inspector: &'a mut dyn Inspector) -> Self {
        self.inspector = Some(inspector);
        self
    }

    /// Has somebody else make images, where scenarios ask for that.
    #[must_use]
    pub fn with_maker(mut self, maker: &'a mut dyn Maker) -> Self {
        self.maker = Some(maker);
        self
    }

    /// Passes over known findings, so that a campaign looks behind them: a run goes on where what
    /// it found does not keep it from that. What a list can name is what [`Finding::seen`] says:
    /// also what happened last before, such as `after a kill`, and what struck the image since it
    /// was last found right, such as `behind a failed write of L1 table`.
    #[must_use]
    pub fn masking(mut self, known: Known) -> Self {
        self.known = known;
        self
    }

    /// Writes down in a [`Journal`] each scenario, and the step that it is at, before the library
    /// is asked for anything: for libraries that may take the process with them. What the file held
    /// is gone; where it cannot be written, nothing is judged.
    #[must_use]
    pub fn journaling(mut self, path: &Path) -> Self {
        match Journal::create(path) {
            Ok(journal) => self.journal = Some(journal),
            Err(error) => self.unwritten = Some(format!("the journal cannot be written: {error}")),
        }
        self
    }

    /// Notes which step is under way, 0 before the first one.
    pub(super) fn noting(mut self, step: &Arc<AtomicU32>) -> Self {
        self.noted = Some(Arc::clone(step));
        self
    }

    fn note(&mut self, step: usize) {
        let step = u32::try_from(step).unwrap_or(u32::MAX);
        if let Some(noted) = &self.noted {
            noted.store(step, Ordering::Relaxed);
        }
        self.write_down(|journal| journal.enter(step));
    }

    /// Writes into the journal, if there is one.
    fn write_down(&mut self, write: impl FnOnce(&mut Journal) -> io::Result<()>) {
        if let Some(journal) = &mut self.journal
            && let Err(error) = write(journal)
        {
            self.unwritten = Some(format!("the journal cannot be written: {error}"));
            self.journal = None;
        }
    }

    /// Returns what the image's file held at the end of the last run, for whoever wants to look at
    /// it too.
    ///
    /// # Errors
    ///
    /// Where there was no run, or it made no image.
    pub fn file(&self) -> Result<Vec<u8>, StoreError> {
        let missing = || StoreError::Missing(file());
        let mut device = self.last.as_ref().ok_or_else(missing)?.plain(&file())?;
        let len = usize::try_from(device.size().0).unwrap_or(0);
        let mut data = vec![0; len];
        let failed = |_| StoreError::Failed(file(), Errno::EIO);
        device.read_at(Offset(0), &mut data).map_err(failed)?;
        Ok(data)
    }

    /// Returns what the library says of itself.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.library.capabilities()
    }

    /// Runs a scenario.
    pub fn run(&mut self, scenario: &Scenario) -> Outcome {
        self.write_down(|journal| journal.begin(scenario));
        let outcome = match &self.unwritten {
            Some(why) => Outcome::NotJudged(why.clone(), Counts::default()),
            None => self.judged(scenario),
        };
        self.write_down(Journal::end);
        outcome
    }

    fn judged(&mut self, scenario: &Scenario) -> Outcome {
        if let Some(noted) = &self.noted {
            noted.store(0, Ordering::Relaxed);
        }
        let capabilities = self.library.capabilities();
        let base = scenario.setup.base.map_or(0, |base| base.size.0);
        let store = MemStore::new(&self.pool);
        self.last = Some(store.clone());
        let run = Run {
            store,
            model: Model::new(scenario.setup.size.0, base, &capabilities),
            judge: self,
            scenario,
            watch: Arc::new(Watch::default()),
            image: None,
            armed: None,
            now: Now::default(),
            after: Disturbance::Nothing,
            trail: Trail::default(),
            counts: Counts::default(),
            findings: Vec::new(),
            answers: Vec::new(),
        };
        run.run()
    }
}

/// What happens at a loss of power.
#[derive(Clone, Debug)]
enum Loss {
    Kill,
    Cut(PowerCut),
}

/// Where a run is.
#[derive(Clone, Copy, Debug)]
struct Now {
    step: Option<StepNumber>,
    kind: &'static str,
}

impl Default for Now {
    fn default() -> Self {
        Self {
            step: None,
            kind: "opening",
        }
    }
}

/// Why a run ends before its end.
enum Stop {
    /// Something does not hold.
    Failed,
    /// A known finding keeps it from going on.
    Masked,
    /// It counts for nothing.
    NotJudged(String),
}

/// One run of a scenario.
struct Run<'a, 'b> {
    judge: &'a mut Judge<'b>,
    scenario: &'a Scenario,
    store: MemStore,
    watch: Arc<Watch>,
    image: Option<Box<dyn Image>>,
    model: Model,
    /// What happens where the store cuts its caller off.
    armed: Option<Loss>,
    now: Now,
    after: Disturbance,
    trail: Trail,
    counts: Counts,
    findings: Vec<Finding>,
    answers: Vec<(StepNumber, String)>,
}

impl Run<'_, '_> {
    fn run(mut self) -> Outcome {
        let result = self.all();
        self.count_rules();
        self.store.kill();
        self.watch.abandon(self.image.take());
        match result {
            Err(Stop::NotJudged(reason)) => Outcome::NotJudged(reason, self.counts),
            Ok(()) | Err(Stop::Masked) => Outcome::Held(self.counts),
            Err(Stop::Failed) => Outcome::Failed(Box::new(Failure {
                step: self.now.step,
                step_kind: self.now.kind,
                after: self.after,
                findings: self.findings,
                answers: self.answers,
                counts: self.counts,
            })),
        }
    }

    fn all(&mut self) -> Result<(), Stop> {
        self.prepare()?;
        self.store.set_caching(true);
        for rule in &self.scenario.setup.rules {
            self.store.install(rule);
        }
        self.open()?;
        for (index, step) in self.scenario.steps.iter().enumerate() {
            let number = StepNumber(u32::try_from(index + 1).unwrap_or(u32::MAX));
            self.judge.note(index + 1);
            self.now = Now {
                step: Some(number),
                kind: step.action.keyword(),
            };
            self.step(number, step)?;
            self.counts.steps += 1;
            self.judged()?;
            if self.scenario.setup.look == Look::EveryStep {
                self.look_through(Property::ReadsExact)?;
            }
        }
        self.end()
    }

    fn step(&mut self, number: StepNumber, step: &Step) -> Result<(), Stop> {
        match &step.action {
            Action::Request(op) => self.request(number, op, step.retry)?,
            Action::Reopen => self.reopen()?,
            Action::Install(rule) => self.store.install(rule),
            Action::Lift(name) => {
                self.store.lift(name);
            }
            Action::LiftAll => self.store.lift_all(),
            Action::Kill(at) => self.loss(Loss::Kill, *at)?,
            Action::PowerCut(cut) => self.loss(Loss::Cut(cut.clone()), cut.at)?,
        }
        if !matches!(step.action, Action::Request(_)) {
            self.answers.push((number, "done".to_owned()));
        }
        Ok(())
    }

    /// Brings everything to an end, without faults: the client flushes, reads, closes; others look
    /// at the file; the library opens it again.
    fn end(&mut self) -> Result<(), Stop> {
        self.judge.note(self.scenario.steps.len() + 1);
        self.now = Now {
            step: None,
            kind: "end",
        };
        self.store.lift_all();
        self.store.strike_at(None);
        self.armed = None;
        let number = StepNumber(u32::MAX);
        self.request(number, &Op::Flush, false)?;
        if !self.judge.library.capabilities().flush_syncs {
            self.request(number, &Op::Sync, false)?;
        }
        self.judged()?;
        self.look_through(Property::ReadsExact)?;
        self.reopen()?;
        self.judged()?;
        self.look_through(Property::ReadsExact)?;
        self.close()?;
        self.judged()
    }

    /// Notes that something does not hold. Known findings are only counted.
    fn find(&mut self, finding: Finding) {
        let said = format!(
            "{}, after {}{}",
            finding.seen,
            self.after,
            self.trail.tell()
        );
        let (what, kind) = (finding.property.name(), self.now.kind);
        if let Some(known) = self.judge.known.position(what, kind, &said) {
            self.counts.masked.note(known);
            for place in &finding.wrong {
                self.model.forget(place.range);
            }
        } else {
            self.findings.push(Finding {
                seen: said,
                ..finding
            });
        }
    }

    fn note(&mut self, property: Property, seen: impl Into<String>) {
        self.find(Finding {
            property,
            seen: seen.into(),
            wrong: Vec::new(),
        });
    }

    /// Ends the run if something does not hold.
    fn judged(&mut self) -> Result<(), Stop> {
        if self.watch.take_unaligned() {
            self.note(
                Property::Aligned,
                "a request without its device's alignment",
            );
        }
        if self.findings.is_empty() {
            Ok(())
        } else {
            Err(Stop::Failed)
        }
    }

    /// Ends the run, since it cannot go on behind what was found.
    fn stop(&self) -> Stop {
        if self.findings.is_empty() {
            Stop::Masked
        } else {
            Stop::Failed
        }
    }

    /// Tells whether nothing happened so far that may cost space.
    fn is_undisturbed(&self) -> bool {
        self.counts.fired == 0 && self.counts.losses == 0
    }

    fn count_rules(&mut self) {
        self.has_fired();
        let idle = self.store.rule_counts().into_iter();
        let idle = idle.filter(|count| count.fired == 0);
        self.counts.idle_rules = idle.map(|count| count.rule).collect();
    }
}

fn file() -> ImageName {
    ImageName::new(FILE)
}

fn base() -> ImageName {
    ImageName::new(BASE)
}
