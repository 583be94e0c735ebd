//! Commands to jobs, how far jobs are run, and the restart.

use super::Model;
use super::images::ImageId;
use super::jobs::{Job, Pause};
use super::judgement::{About, Fact, Judgement, Observation};
use crate::errno::Errno;
use crate::event::Side;
use crate::fault::{IoType, Layer};
use crate::name::JobName;
use crate::property::{
    answers_exact, job_lifecycle, no_crash, refusal_harmless, transaction_atomic,
};
use crate::reply::{Refusal, Reply};
use crate::status::{IoStatus, JobEnd, JobState};
use crate::step::{ErrorPolicy, JobVerb, Sync};

impl Model {
    /// Judges the answer to a command to a job, and takes the command in; its events come next.
    pub(super) fn command(
        &mut self,
        name: &JobName,
        verb: JobVerb,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        if self.cannot_drain(seen) {
            self.scope.refused = true;
            return;
        }
        let Some(index) = self.job_index(name) else {
            self.scope.refused = true;
            return refusal_harmless::check(&Refusal::NoSuchJob.into(), seen.reply, out);
        };
        if let Some(refusal) = refuse_verb(&self.jobs[index], verb) {
            self.scope.refused = true;
            return refusal_harmless::check(&refusal.into(), seen.reply, out);
        }
        let about = About::Job(name.clone());
        answers_exact::reply(about, Fact::Reply(Reply::Done), seen.reply, out);
        let job = &mut self.jobs[index];
        match verb {
            JobVerb::Pause => job.pause = Pause::User,
            JobVerb::Resume => {
                job.pause = Pause::None;
                job.io_status = IoStatus::Ok;
            }
            JobVerb::Cancel { .. } => {
                job.pause = Pause::None;
                job.cancelled = true;
                self.cancelled_groups.extend(job.group);
            }
            JobVerb::SetSpeed(speed) => job.speed = u64::try_from(speed).unwrap_or(0),
            JobVerb::Dismiss => self.scope.dismissing = true,
            JobVerb::Finalize | JobVerb::Complete => {}
        }
    }

    /// Judges what became of a job after a command that ends it.
    pub(super) fn after_command(
        &mut self,
        name: &JobName,
        verb: JobVerb,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        if seen.reply != Reply::Done || !self.capabilities.events {
            return self.after_silent_command(name, verb, seen, out);
        }
        let left = self.job_index(name).map(|index| &self.jobs[index]);
        let stays = match (verb, left) {
            (JobVerb::Cancel { .. }, Some(job)) => job.is_active(),
            (JobVerb::Finalize, Some(job)) => job.is_active() && !self.is_waited_for(job.group),
            (JobVerb::Dismiss, Some(_)) => true,
            _ => false,
        };
        if stays && self.capabilities.stepwise && !self.may_wait(seen) {
            no_crash::hang(About::Job(name.clone()), out);
        }
    }

    /// Takes in the end that a command brings where no events tell of it.
    fn after_silent_command(
        &mut self,
        name: &JobName,
        verb: JobVerb,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        if seen.reply != Reply::Done {
            return;
        }
        match verb {
            JobVerb::Cancel { .. } => self.end_silently(name, JobEnd::Cancelled, out),
            JobVerb::Finalize => self.end_silently(name, JobEnd::Success, out),
            JobVerb::Dismiss => self.jobs.retain(|job| job.name != *name),
            _ => {}
        }
    }

    /// Tells whether a job of the group has not done its work yet.
    fn is_waited_for(&self, group: Option<u32>) -> bool {
        group.is_some()
            && self.jobs.iter().any(|job| {
                job.group == group && job.is_active() && job.state != Some(JobState::Pending)
            })
    }

    /// Judges the answer to a step that runs a job to its end, after its events.
    pub(super) fn judge_run(
        &mut self,
        name: &JobName,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        if !self.capabilities.events && self.job_index(name).is_some() {
            match seen.reply {
                Reply::Done => self.end_silently(name, JobEnd::Success, out),
                Reply::Failed(Errno::ECANCELED) => {
                    self.end_silently(name, JobEnd::Cancelled, out);
                }
                Reply::Failed(errno) => self.end_silently(name, JobEnd::Failed(errno), out),
                Reply::Pending | Reply::Refused(_) | Reply::Cut => {}
            }
        }
        let about = About::Job(name.clone());
        let ended = self
            .scope
            .ends
            .iter()
            .find(|(job, _)| job == name)
            .map(|(_, end)| *end);
        let kept = self.job_index(name).and_then(|index| self.jobs[index].end);
        let expected = match ended.or(kept) {
            Some(JobEnd::Success) => Reply::Done,
            Some(JobEnd::Failed(errno)) => Reply::Failed(errno),
            Some(JobEnd::Cancelled) => Reply::Failed(Errno::ECANCELED),
            None => Reply::Pending,
        };
        answers_exact::reply(about.clone(), Fact::Reply(expected), seen.reply, out);
        if expected == Reply::Pending && seen.reply == Reply::Pending {
            let waits = self
                .job_index(name)
                .is_none_or(|index| self.may_be_pending(&self.jobs[index], seen));
            if !waits {
                no_crash::hang(about, out);
            }
        }
    }

    /// Tells whether a job that was run may not have come to its end.
    fn may_be_pending(&self, job: &Job, seen: &Observation<'_>) -> bool {
        let manual = |other: &Job| {
            !other.auto_finalize
                && (other.name == job.name || (job.group.is_some() && other.group == job.group))
        };
        let ignores = [Side::Read, Side::Write]
            .iter()
            .any(|side| job.policy(*side) == ErrorPolicy::Ignore);
        // A job that cannot find out where zeroes are copies them, however large the disk; and what
        // looks for what a disk has itself takes for that, cluster by cluster, what it cannot find
        // out because the format's tables cannot be read.
        let blind = seen.fired.iter().any(|firing| match firing.kind {
            IoType::BlockStatus => true,
            IoType::Read => job.sync == Sync::Top && firing.place.layer == Layer::File,
            _ => false,
        });
        self.may_wait(seen)
            || job.pause != Pause::None
            || job.sync == Sync::None
            || match job.state {
                Some(JobState::Waiting) => job.group.is_some(),
                Some(JobState::Pending) => self.jobs.iter().any(manual),
                Some(JobState::Running) => blind || ignores && !seen.fired.is_empty(),
                _ => false,
            }
    }

    /// Judges the end of a step by the jobs that it left: none is concluded that dismisses itself.
    pub(super) fn judge_leftovers(&self, out: &mut Judgement) {
        for job in &self.jobs {
            let mut ends = self.group_ends.iter();
            if job.is_active()
                && let Some((_, end)) = ends.find(|(group, _)| job.group == Some(*group))
            {
                transaction_atomic::goes_on(&job.name, *end, out);
            }
            match job.state {
                None => {
                    let expected = Fact::State(JobState::Created);
                    job_lifecycle::violated(&job.name, "state", expected, Fact::Nothing, out);
                }
                Some(JobState::Concluded) if job.auto_dismiss => {
                    let expected = Fact::State(JobState::Null);
                    let seen = Fact::State(JobState::Concluded);
                    job_lifecycle::violated(&job.name, "state", expected, seen, out);
                }
                Some(JobState::Pending) if !job.auto_finalize && !job.pending_said => {
                    let expected = Fact::Text("the event that it waits to be finalized");
                    job_lifecycle::violated(&job.name, "event", expected, Fact::Nothing, out);
                }
                _ => {}
            }
        }
    }

    /// Takes in that the subject is about to be closed: its jobs are cancelled.
    pub(super) fn before_restart(&mut self, seen: &Observation<'_>) {
        self.scope.refused = self.cannot_drain(seen);
        if self.scope.refused {
            return;
        }
        self.scope.dismissing = true;
        for job in &mut self.jobs {
            job.cancelled = true;
        }
    }

    /// Judges a restart, after its events: jobs and what is not stored are gone.
    pub(super) fn restart(&mut self, seen: &Observation<'_>, out: &mut Judgement) {
        let unsupported = Reply::Refused(Refusal::Unsupported);
        if self.scope.refused || seen.reply == unsupported && !self.capabilities.restart {
            return;
        }
        let fired: Vec<_> = seen
            .fired
            .iter()
            .filter_map(|firing| firing.errno)
            .collect();
        if seen.reply != Reply::Done {
            if fired.is_empty() {
                answers_exact::reply(About::Step, Fact::Reply(Reply::Done), seen.reply, out);
            }
            return;
        }
        while let Some(index) = self.jobs.iter().position(Job::is_active) {
            self.end_job(index, JobEnd::Cancelled, out);
        }
        self.jobs.clear();
        self.abandon();
        let disks: Vec<ImageId> = self.images.disks().map(|(disk, _)| disk).collect();
        for disk in disks {
            self.flushed(disk);
        }
        self.keep_stored(seen);
    }
}

/// Returns why a job does not accept a command.
fn refuse_verb(job: &Job, verb: JobVerb) -> Option<Refusal> {
    use JobState::{Concluded, Created, Paused, Pending, Running, Waiting};
    let state = job.state.unwrap_or(Created);
    let accepted: &[JobState] = match verb {
        JobVerb::Cancel { .. } => &[Created, Running, Paused, Waiting, Pending],
        JobVerb::Pause | JobVerb::Resume | JobVerb::SetSpeed(_) => &[Created, Running, Paused],
        JobVerb::Complete => &[],
        JobVerb::Finalize => &[Pending],
        JobVerb::Dismiss => &[Concluded],
    };
    let paused = job.pause != Pause::None;
    match verb {
        JobVerb::Cancel { force: false } if paused => Some(Refusal::JobPaused),
        JobVerb::Resume if !paused => Some(Refusal::NotPaused),
        _ if !accepted.contains(&state) => Some(Refusal::WrongJobState),
        JobVerb::Pause if paused => Some(Refusal::AlreadyPaused),
        JobVerb::SetSpeed(speed) if speed < 0 => Some(Refusal::NegativeSpeed),
        _ => None,
    }
}
