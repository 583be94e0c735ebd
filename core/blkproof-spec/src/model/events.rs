//! The events of jobs, one after the other.

use super::Model;
use super::jobs::Pause;
use super::judgement::{About, Fact, Judgement, Observation};
use crate::errno::Errno;
use crate::event::{ErrorAction, JobEvent, Side};
use crate::name::JobName;
use crate::property::{
    answers_exact, copy_minimal, errors_caused, job_lifecycle, refused_not_wrong,
};
use crate::status::{IoStatus, JobEnd, JobState};
use crate::step::Sync;
use crate::units::Length;

/// What an event of a job's end reports.
#[derive(Clone, Copy)]
struct Final {
    len: Length,
    offset: Length,
    speed: u64,
    end: JobEnd,
}

impl Model {
    /// Judges the events of a step, and takes them in.
    pub(super) fn take_events(&mut self, seen: &Observation<'_>, out: &mut Judgement) {
        for event in seen.events {
            match self.job_index(event.job()) {
                Some(index) => self.take_event(index, event, out),
                None => self.stray_event(event, out),
            }
        }
        self.explain_cancels(out);
    }

    /// Judges an event of a job that does not exist: one that was rolled back may have had some.
    fn stray_event(&self, event: &JobEvent, out: &mut Judgement) {
        use JobState::{Aborting, Concluded, Created, Null};
        let name = event.job();
        let rolled_back = self.scope.rolled_back.contains(name);
        if let JobEvent::Status { state, .. } = event
            && rolled_back
            && matches!(state, Created | Aborting | Concluded | Null)
        {
            return;
        }
        let seen = Fact::Event(event.clone());
        job_lifecycle::violated(name, "event", Fact::Nothing, seen, out);
    }

    pub(super) fn take_event(&mut self, index: usize, event: &JobEvent, out: &mut Judgement) {
        match event {
            JobEvent::Status { state, .. } => self.take_state(index, *state, out),
            JobEvent::Completed {
                len,
                offset,
                speed,
                error,
                ..
            } => {
                let end = error.map_or(JobEnd::Success, JobEnd::Failed);
                let report = Final {
                    len: *len,
                    offset: *offset,
                    speed: *speed,
                    end,
                };
                self.take_end(index, event, report, out);
            }
            JobEvent::Cancelled {
                len, offset, speed, ..
            } => {
                let report = Final {
                    len: *len,
                    offset: *offset,
                    speed: *speed,
                    end: JobEnd::Cancelled,
                };
                self.take_end(index, event, report, out);
            }
            JobEvent::Error { side, action, .. } => self.take_error(index, *side, *action, out),
            JobEvent::Pending { .. } => {
                let job = &mut self.jobs[index];
                if job.state != Some(JobState::Pending) || job.auto_finalize || job.pending_said {
                    let seen = Fact::Event(event.clone());
                    job_lifecycle::violated(&job.name, "event", Fact::Nothing, seen, out);
                }
                job.pending_said = true;
            }
        }
    }

    fn take_state(&mut self, index: usize, state: JobState, out: &mut Judgement) {
        let job = &mut self.jobs[index];
        job_lifecycle::edge(&job.name, job.state, state, out);
        let from = job.state.replace(state);
        match state {
            JobState::Concluded if job.end.is_none() => {
                let expected = Fact::Text("the event of its end");
                job_lifecycle::violated(&job.name, "event", expected, Fact::Nothing, out);
            }
            JobState::Null => {
                if from == Some(JobState::Concluded) && !job.auto_dismiss && !self.scope.dismissing
                {
                    let expected = Fact::State(JobState::Concluded);
                    job_lifecycle::violated(&job.name, "state", expected, Fact::State(state), out);
                }
                self.jobs.remove(index);
            }
            _ => {}
        }
    }

    fn take_end(&mut self, index: usize, event: &JobEvent, report: Final, out: &mut Judgement) {
        let job = &mut self.jobs[index];
        let name = job.name.clone();
        if job.end.is_some() {
            let seen = Fact::Event(event.clone());
            return job_lifecycle::violated(&name, "event", Fact::Nothing, seen, out);
        }
        let from = match report.end {
            JobEnd::Success => JobState::Pending,
            JobEnd::Failed(_) | JobEnd::Cancelled => JobState::Aborting,
        };
        if job.state != Some(from) {
            let seen = job.state.map_or(Fact::Nothing, Fact::State);
            job_lifecycle::violated(&name, "state", Fact::State(from), seen, out);
        }
        self.take_progress(index, report.len.0, report.offset.0, out);
        let job = &self.jobs[index];
        let about = About::Job(name.clone());
        answers_exact::same(&about, "speed", job.speed, report.speed, Fact::Number, out);
        match report.end {
            JobEnd::Success => {
                if report.len != report.offset {
                    let (expected, seen) = (Fact::Bytes(report.len), Fact::Bytes(report.offset));
                    job_lifecycle::violated(&name, "offset", expected, seen, out);
                }
                if job.cancelled || job.sync == Sync::None {
                    let expected = Fact::End(job.cancelled.then_some(JobEnd::Cancelled));
                    let seen = Fact::End(Some(JobEnd::Success));
                    job_lifecycle::violated(&name, "end", expected, seen, out);
                }
            }
            JobEnd::Failed(errno) => {
                self.judge_failed_job(index, errno, out);
                self.judge_uncopied(index, report, out);
            }
            JobEnd::Cancelled => {
                if !job.cancelled {
                    self.scope.cancels.push((name, job.group));
                }
            }
        }
        self.end_job(index, report.end, out);
    }

    /// Judges progress, and takes it in.
    pub(super) fn take_progress(
        &mut self,
        index: usize,
        len: u64,
        offset: u64,
        out: &mut Judgement,
    ) {
        let job = &mut self.jobs[index];
        let begun = !matches!(job.state, None | Some(JobState::Created));
        if begun && (job.sync != Sync::Top || job.is_over()) {
            copy_minimal::length(&job.name, job.length(), len, out);
        }
        if offset > len && begun {
            let (expected, seen) = (Fact::Bytes(len.into()), Fact::Bytes(offset.into()));
            job_lifecycle::violated(&job.name, "offset", expected, seen, out);
        }
        if offset < job.offset {
            let (expected, seen) = (Fact::Bytes(job.offset.into()), Fact::Bytes(offset.into()));
            job_lifecycle::violated(&job.name, "offset", expected, seen, out);
        }
        if self.capabilities.stepwise && begun {
            self.judge_offset(index, offset, out);
        }
        let job = &mut self.jobs[index];
        job.len = Some(len);
        job.offset = offset;
        job.most = Some(offset);
    }

    /// Judges how much a job says that it copied, as far as that can be known while it runs.
    ///
    /// A job that copies nothing by itself has copied what the guest changed. One that rests copies
    /// nothing but what a request touches. All copy whole clusters, no fewer than the requests
    /// that succeeded had to see copied; of a job that ends well this shows in what its target
    /// holds, so it is asked of those that end badly.
    fn judge_offset(&self, index: usize, offset: u64, out: &mut Judgement) {
        let job = &self.jobs[index];
        if !offset.is_multiple_of(job.cluster) {
            let about = About::Job(job.name.clone());
            let expected = Fact::Text("whole clusters of the job");
            let seen = Fact::Bytes(offset.into());
            return answers_exact::check(about, "offset", expected, seen, out);
        }
        let most = job.most.unwrap_or(u64::MAX);
        let (least, most) = match job.sync {
            Sync::None => job.saved.bytes(),
            _ if job.state == Some(JobState::Aborting) => (job.guarded.total(), most),
            _ => (0, most),
        };
        answers_exact::offset(&job.name, (least, most), offset, out);
    }

    /// Judges that a job failed with an error.
    fn judge_failed_job(&self, index: usize, errno: Errno, out: &mut Judgement) {
        let job = &self.jobs[index];
        let about = About::Job(job.name.clone());
        if !job.errors.explain(errno) {
            let known = job.errors.all();
            errors_caused::check(about, "end", errno, &known, out);
        } else if !job.errors.may_end_by(errno) {
            refused_not_wrong::refused(about, "end", errno, out);
        }
    }

    /// Judges that something is left to be copied where a job failed: the chunk that failed, unless
    /// the guest had it copied meanwhile, or it was the target's flush that failed.
    fn judge_uncopied(&self, index: usize, report: Final, out: &mut Judgement) {
        let job = &self.jobs[index];
        let known = self.capabilities.stepwise && !job.asked;
        if known && !job.errors.failed_flush() && report.len.0 > 0 {
            let most = report.len.0.saturating_sub(job.cluster);
            answers_exact::offset(&job.name, (0, most), report.offset.0, out);
        }
    }

    fn take_error(&mut self, index: usize, side: Side, action: ErrorAction, out: &mut Judgement) {
        let job = &mut self.jobs[index];
        let about = About::Job(job.name.clone());
        let policy = job.policy(side);
        // Only a job that works can meet an error.
        let works = job.state == Some(JobState::Running);
        let mut allowed: Vec<_> = job
            .errors
            .of(side)
            .filter(|_| works)
            .map(|errno| policy.action(errno))
            .collect();
        allowed.dedup();
        errors_caused::policy(about, side, action, &allowed, out);
        if action == ErrorAction::Stop {
            self.points[job.point].stopped = true;
            job.pause = Pause::Error;
            let nospace = job.errors.of(side).any(|errno| errno == Errno::ENOSPC);
            let others = job.errors.of(side).any(|errno| errno != Errno::ENOSPC);
            job.io_status = if nospace {
                IoStatus::Nospace
            } else {
                IoStatus::Failed
            };
            job.io_status_open = nospace && others;
        }
        job.errors.report(side, self.scope.step);
    }

    /// Reports jobs that were cancelled though nobody asked for it and no job of their group
    /// failed.
    fn explain_cancels(&mut self, out: &mut Judgement) {
        for (name, group) in std::mem::take(&mut self.scope.cancels) {
            let explained = group.is_some_and(|group| {
                self.group_ends
                    .iter()
                    .any(|(other, end)| *other == group && matches!(end, JobEnd::Failed(_)))
                    || self.cancelled_groups.contains(&group)
            });
            if !explained {
                let seen = Fact::End(Some(JobEnd::Cancelled));
                errors_caused::spurious(About::Job(name), "end", seen, out);
            }
        }
    }

    /// Takes in the end of a job of which no events tell.
    pub(super) fn end_silently(&mut self, name: &JobName, end: JobEnd, out: &mut Judgement) {
        let Some(index) = self.job_index(name) else {
            return;
        };
        let job = &mut self.jobs[index];
        job.state = Some(JobState::Concluded);
        let dismissed = job.auto_dismiss;
        if let JobEnd::Failed(errno) = end {
            self.judge_failed_job(index, errno, out);
        }
        self.end_job(index, end, out);
        if dismissed {
            self.jobs.remove(index);
        }
    }
}
