//! The reference model: a symbolic account of what every disk, bitmap, job and restore point must
//! be.
//!
//! It never sees the subject. Per step it is shown the answer, the events, the status and the
//! faults that fired ([`Observation`]), says what does not hold ([`Violation`]) and what has to be
//! read and compared ([`Demand`]).
//!
//! Where nothing went wrong it predicts exactly. Where a fault fired it keeps what is possible: a
//! sector is old or new, a granule may be dirty, a job may fail with the error that was injected.
//! What the subject then reports is taken as input, and everything that follows from it is checked.

mod judgement;

mod pattern;

mod ranges;

mod images;

mod bitmaps;

mod persistence;

mod jobs;

mod names;

mod guest;

mod flight;

mod commands;

mod files;

mod plan;

mod backup;

mod transaction;

mod events;

mod ends;

mod saved;

mod control;

mod power;

mod hypotheses;

mod status;

mod blame;

mod compare;

mod cleanup;

mod access;

mod scope;

pub use access::{BitmapView, ImageView, JobView};
pub(crate) use blame::is_exempt;
pub use judgement::{
    About, Demand, Fact, Held, ImageReport, Judgement, Mismatch, Observation, Scope, Target,
    Violation,
};
pub(crate) use names::Refusals;
pub use pattern::Difference;

use crate::capabilities::Capabilities;
use crate::fault::{Effect, FaultRule, Firing, Rule, Verdict};
use crate::name::{ImageName, JobName};
use crate::property::{Property, answers_exact, claims_true, no_crash, refusal_harmless};
use crate::reply::{Refusal, Reply};
use crate::scenario::Setup;
use crate::status::JobEnd;
use crate::step::{Action, GuestOp, Run, StepNumber, Work};

use bitmaps::Bitmap;
use cleanup::Cleanup;
use flight::Flight;
use images::{ImageId, Images};
use jobs::{Job, Point, RestorePoint};
use power::Power;
use scope::Scoped;

/// The reference model of one run.
#[derive(Clone, Debug)]
pub struct Model {
    capabilities: Capabilities,
    images: Images,
    bitmaps: Vec<Bitmap>,
    /// The jobs that are not dismissed, in the order in which they were started.
    jobs: Vec<Job>,
    points: Vec<Point>,
    restore_points: Vec<RestorePoint>,
    flights: Vec<Flight>,
    /// How many transactions there were.
    groups: u32,
    /// The transactions of which a job was cancelled by command.
    cancelled_groups: Vec<u32>,
    /// How the jobs of grouped transactions ended.
    group_ends: Vec<(u32, JobEnd)>,
    /// A fault fired with an error.
    faulted: bool,
    /// A rule may delay requests.
    delays: bool,
    /// A backup, a bitmap command or a transaction was carried out.
    commanded: bool,
    undetectable: bool,
    power: Power,
    /// The images that may stand on another backing file than is taken for granted, each with that.
    doubts: Vec<(ImageName, Option<ImageName>)>,
    cleanup: Option<Cleanup>,
    scope: Scoped,
}

/// The most runs of bitmaps that a report after a guest's request may tell; more wait for the next
/// step about bitmaps or jobs.
const REPORTED_RUNS_MAX: usize = 256;

impl Model {
    /// Returns the model of what `setup` describes, for a subject that can do `capabilities`.
    #[must_use]
    pub fn new(setup: &Setup, capabilities: Capabilities) -> Self {
        let mut model = Self {
            capabilities,
            images: Images::default(),
            bitmaps: Vec::new(),
            jobs: Vec::new(),
            points: Vec::new(),
            restore_points: Vec::new(),
            flights: Vec::new(),
            groups: 0,
            cancelled_groups: Vec::new(),
            group_ends: Vec::new(),
            faulted: false,
            delays: false,
            commanded: false,
            undetectable: false,
            power: Power::default(),
            doubts: Vec::new(),
            cleanup: None,
            scope: Scoped::default(),
        };
        model.reset(setup, capabilities);
        model
    }

    /// Becomes the model of another run, and keeps the memory that it has.
    pub fn reset(&mut self, setup: &Setup, capabilities: Capabilities) {
        self.forget();
        self.capabilities = capabilities;
        for disk in &setup.disks {
            self.images.add_setup(disk);
        }
        for rule in &setup.rules {
            self.install(rule);
        }
    }

    /// Forgets everything; every field is named, so that none is forgotten to be forgotten.
    fn forget(&mut self) {
        let Self {
            capabilities: _,
            images,
            bitmaps,
            jobs,
            points,
            restore_points,
            flights,
            groups,
            cancelled_groups,
            group_ends,
            faulted,
            delays,
            commanded,
            undetectable,
            power,
            doubts,
            cleanup,
            scope,
        } = self;
        images.clear();
        bitmaps.clear();
        jobs.clear();
        points.clear();
        restore_points.clear();
        flights.clear();
        *groups = 0;
        cancelled_groups.clear();
        group_ends.clear();
        for flag in [faulted, delays, commanded, undetectable] {
            *flag = false;
        }
        *power = Power::default();
        doubts.clear();
        *cleanup = None;
        scope.begin(StepNumber::default());
    }

    /// Tells whether the subject's status should be asked for after `step`.
    ///
    /// It is not where that would cost more than the step and a later step judges the same.
    #[must_use]
    pub fn wants_status(&self, step: &Action) -> bool {
        let told = || {
            self.bitmaps
                .iter()
                .map(|bitmap| bitmap.track.must.runs_max())
                .sum::<usize>()
        };
        match step {
            Action::Check(_) => false,
            Action::Guest { op, .. } if self.jobs.is_empty() => {
                op.is_write() && !self.bitmaps.is_empty() && told() <= REPORTED_RUNS_MAX
            }
            Action::Guest { .. } => told() <= REPORTED_RUNS_MAX,
            _ => true,
        }
    }

    /// Judges what was seen of a step, and takes it in.
    pub fn observe(
        &mut self,
        number: StepNumber,
        step: &Action,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        if self.doubts.is_empty() {
            self.take_in(number, step, seen, out);
        } else {
            self.take_in_either_way(number, step, seen, out);
        }
    }

    fn take_in(
        &mut self,
        number: StepNumber,
        step: &Action,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        let silent = |verdict| verdict == Verdict::Silent;
        self.undetectable |= seen.fired.iter().any(|firing| silent(firing.verdict));
        if self.undetectable {
            return;
        }
        self.scope.begin(number);
        self.forget_lost_bits();
        out.exercise(Property::NoCrash);
        let shows = |firing: &Firing| firing.errno.is_some() && !is_exempt(firing);
        if seen.fired.iter().any(shows) {
            out.exercise(Property::FaultSurfaces);
        }
        if self.is_unsupported(step, seen)
            || claims_true::unclaimed(&self.capabilities, step, seen.reply, out)
        {
            return;
        }
        let before = out.violations.len();
        if !matches!(step, Action::Guest { .. }) || !self.flights.is_empty() {
            // Jobs may work at their copies; what they had copied until now says nothing any more.
            self.jobs.iter_mut().for_each(|job| job.most = None);
        }
        self.blame(step, seen);
        if seen.reply == Reply::Cut {
            self.cut_in_midst(number, step, seen, out);
            if let Some(status) = seen.status {
                self.judge_status(status, out);
            }
            return;
        }
        self.find_out_bitmaps(step, seen.reply);
        self.take_step(number, step, seen, out);
        self.take_events(seen, out);
        self.after_events(step, seen, out);
        if self.capabilities.events {
            self.judge_leftovers(out);
        }
        if let Some(status) = seen.status {
            self.judge_status(status, out);
        }
        self.judge_cleanup(step, seen, out);
        claims_true::claimed(step, seen.reply, before, out);
    }

    /// Judges the answer, and does to the model what the step does.
    fn take_step(
        &mut self,
        number: StepNumber,
        step: &Action,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        match step {
            Action::Guest { at, op } => self.guest(number, at, op, seen, out),
            Action::Start { request, at, op } => self.start(number, request, at, op, seen, out),
            Action::Settle { request } => self.settle(request, seen, out),
            Action::Resize { at, size } => self.resize(at, *size, seen, out),
            Action::Bitmap(command) => {
                self.commanded = true;
                self.bitmap(command, seen, out);
            }
            Action::Create(create) => self.create(create, seen, out),
            Action::Rebase { image, backing } => {
                self.rebase(image, backing.as_ref(), seen, out);
            }
            Action::Remove { image } => self.remove(image, seen, out),
            Action::Backup { backup, .. } => {
                self.commanded = true;
                self.backup(number, backup, seen, out);
            }
            Action::Job { job, verb } => self.command(job, *verb, seen, out),
            Action::Transaction { actions, mode } => {
                self.commanded = true;
                self.transaction(number, actions, *mode, seen, out);
            }
            Action::Finish { job }
            | Action::Advance {
                work: Work::Job(job),
                ..
            } => {
                if self.job_index(job).is_none() {
                    self.scope.refused = true;
                    refusal_harmless::check(&Refusal::NoSuchJob.into(), seen.reply, out);
                }
            }
            Action::Advance {
                work: Work::Request(request),
                ..
            } => {
                let known = |flight: &Flight| flight.id.as_ref() == Some(request);
                if !self.flights.iter().any(known) {
                    self.scope.refused = true;
                    refusal_harmless::check(&Refusal::BadRequest.into(), seen.reply, out);
                }
            }
            Action::Install(rule) => self.install(rule),
            Action::Restart => self.before_restart(seen),
            Action::Tick(_)
            | Action::Lift(_)
            | Action::LiftAll
            | Action::WaitFor(_)
            | Action::ResumeTag(_)
            | Action::Check(_) => {}
            Action::Kill { .. } | Action::PowerCut(_) => {
                self.lose_power_now(number, step, seen, out);
            }
        }
    }

    /// Judges what can be judged only when the events of a step are known.
    fn after_events(&mut self, step: &Action, seen: &Observation<'_>, out: &mut Judgement) {
        match step {
            Action::Backup { backup, run } if !self.scope.refused => {
                let Some(job) = self.job_of(backup) else {
                    return;
                };
                if *run == Run::Finish {
                    self.judge_run(&job, seen, out);
                } else {
                    let about = About::Job(job);
                    answers_exact::reply(about, Fact::Reply(Reply::Done), seen.reply, out);
                }
            }
            Action::Finish { job } if !self.scope.refused => self.judge_run(job, seen, out),
            Action::Advance { .. } if !self.scope.refused => match seen.reply {
                Reply::Pending if self.may_wait(seen) => {}
                Reply::Pending => no_crash::hang(About::Step, out),
                reply => answers_exact::reply(About::Step, Fact::Reply(Reply::Done), reply, out),
            },
            Action::Job { job, verb } => self.after_command(job, *verb, seen, out),
            Action::Restart => self.restart(seen, out),
            _ => {}
        }
    }

    /// Returns the job that a backup step started, unless it never came to run.
    fn job_of(&self, backup: &crate::step::Backup) -> Option<JobName> {
        let name = match &backup.job {
            Some(name) => name.clone(),
            None => JobName::from(backup.at.name()),
        };
        (!self.scope.rolled_back.contains(&name)).then_some(name)
    }

    fn install(&mut self, rule: &FaultRule) {
        if let Rule::Extended(extended) = &rule.rule {
            self.delays |= matches!(extended.effect, Effect::Delay(_));
        }
    }

    /// Tells whether the subject declined a step that it does not claim to be able to do.
    fn is_unsupported(&self, step: &Action, seen: &Observation<'_>) -> bool {
        if seen.reply != Reply::Refused(Refusal::Unsupported) {
            return false;
        }
        let lacks = self.capabilities.lacking(step).is_some();
        match step {
            Action::Guest { op, .. } => {
                lacks || matches!(op, GuestOp::Discard { .. } | GuestOp::WriteZeroes { .. })
            }
            _ => lacks || self.capabilities.declines,
        }
    }

    fn name_of(&self, id: ImageId) -> ImageName {
        self.images.get(id).name.clone()
    }

    /// Tells whether a fault fired that this subject cannot detect: the run counts for nothing.
    #[must_use]
    pub fn is_undetectable(&self) -> bool {
        self.undetectable
    }

    /// Checks the model's own invariants.
    ///
    /// # Panics
    ///
    /// If one does not hold: a bug of the model.
    pub fn assert_invariants(&self) {
        for bitmap in &self.bitmaps {
            for track in [Some(&bitmap.track), bitmap.successor.as_ref()]
                .into_iter()
                .flatten()
            {
                let unit = bitmap.granularity;
                let whole = |range: crate::ByteRange| range == range.outward(unit);
                assert!(track.must.iter().all(whole), "dirty granules are whole");
                assert!(track.extra.iter().all(whole), "doubtful granules are whole");
                let twice = track.must.iter().any(|range| track.extra.overlaps(range));
                assert!(!twice, "a granule is either dirty or in doubt");
            }
            let held = self.jobs.iter().any(|job| {
                job.is_active()
                    && job.bitmap.as_ref() == Some(&(bitmap.owner.clone(), bitmap.name.clone()))
            });
            assert_eq!(held, bitmap.busy(), "a bitmap is busy while a job holds it");
        }
        for (_, image) in self.images.present() {
            let beyond = image.layer.iter().any(|run| run.end > image.size());
            assert!(!beyond, "no image holds anything behind its end");
        }
        for restore in self.restore_points.iter().filter(|restore| restore.alive) {
            self.assert_restores(restore);
        }
    }

    /// Asserts that a live restore point's images hold, as far as is certain, what was frozen.
    fn assert_restores(&self, restore: &RestorePoint) {
        let point = &self.points[restore.point];
        let mut at = 0;
        while at < point.size {
            let (mut held, mut frozen) = (Vec::new(), Vec::new());
            let end = self.images.candidates(restore.image, at, &mut held);
            let other = self.images.candidates_of(&point.contents, at, &mut frozen);
            if let ([held], [frozen]) = (&held[..], &frozen[..]) {
                assert_eq!(
                    held,
                    frozen,
                    "at {at} of {}",
                    self.images.get(restore.image).name
                );
            }
            at = end.min(other);
        }
    }
}

/// Tells whether a bitmap command asks for a bitmap that is stored.
#[cfg(test)]
mod tests;
