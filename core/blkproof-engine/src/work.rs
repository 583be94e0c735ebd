//! The work of jobs: doing units of it, and what follows from errors.

use blkproof_device::{IoError, Wait};
use blkproof_spec::step::Sync;
use blkproof_spec::{
    Errno, ErrorAction, IoStatus, JobEnd, JobEvent, JobName, JobState, Refusal, Reply, Side, Tag,
    Units,
};

use crate::bugs::Bug;
use crate::copier::Unit;
use crate::job::{Job, JobSerial};
use crate::machine::Machine;
use crate::rate::Rate;
use crate::request::Request;

/// How many errors a job ignores on end, without copying anything, before it leaves it at that
/// until the next step: an error that lasts would have it try for ever.
const FRUITLESS_MAX: u32 = 256;

impl Machine {
    /// Does some units of a job's work.
    pub(crate) fn advance_job(&mut self, name: &JobName, units: Units) -> Result<Reply, Refusal> {
        let serial = self.jobs[self.job_named(name)?].serial;
        for done in 0..units.0 {
            if done == self.units_max.0 {
                return Ok(Reply::Pending);
            }
            if self.step_job(serial) != Unit::Done {
                break;
            }
        }
        Ok(Reply::Done)
    }

    /// Runs a job until it has ended or cannot go on by itself.
    pub(crate) fn finish_job(&mut self, serial: JobSerial) -> Reply {
        for _ in 0..self.units_max.0 {
            match self.step_job(serial) {
                Unit::Done => {}
                Unit::Limited(until) => self.now = self.now.max(until),
                Unit::Waits(_) => return Reply::Pending,
                Unit::Nothing => break,
            }
        }
        match self.end_of(serial) {
            Some(JobEnd::Success) => Reply::Done,
            Some(JobEnd::Failed(errno)) => Reply::Failed(errno),
            Some(JobEnd::Cancelled) => Reply::Failed(Errno::ECANCELED),
            None => Reply::Pending,
        }
    }

    /// Returns how a job ended, whether it is still there or ended during this command.
    fn end_of(&self, serial: JobSerial) -> Option<JobEnd> {
        let mut ended = self.ended.iter();
        match ended.find(|(job, _)| *job == serial) {
            Some((_, end)) => Some(*end),
            None => self.jobs[self.job_index(serial)?].end,
        }
    }

    /// Does one unit of a job's work. `Nothing` means that it does not go on by itself.
    pub(crate) fn step_job(&mut self, serial: JobSerial) -> Unit {
        let Some(index) = self.job_index(serial) else {
            return Unit::Nothing;
        };
        let job = &self.jobs[index];
        let goes_on = job.state == JobState::Running && job.fruitless < FRUITLESS_MAX;
        if !goes_on || job.asleep {
            return Unit::Nothing;
        }
        if self.jobs[index].pause {
            return self.step_pause(index);
        }
        let (job, mut ends) = self.at_work(index);
        if job.copier.scanned != u64::MAX {
            match job.copier.scan(&mut ends) {
                Unit::Nothing => {}
                unit => return unit,
            }
        }
        let start = job.sync != Sync::None;
        match job.copier.pass(&mut ends, &mut job.rate, start) {
            Unit::Nothing => self.step_end(index),
            unit => unit,
        }
    }

    /// Does one unit of what has to be over before a job is paused.
    fn step_pause(&mut self, index: usize) -> Unit {
        let (job, mut ends) = self.at_work(index);
        match job.copier.pass(&mut ends, &mut job.rate, false) {
            Unit::Nothing => {
                self.enter(index, JobState::Paused);
                Unit::Done
            }
            unit => unit,
        }
    }

    /// Does one unit of what comes when a pass is over.
    fn step_end(&mut self, index: usize) -> Unit {
        let job = &self.jobs[index];
        if job.copier.is_guarding() {
            let source = job.source;
            return match self.drain(|node| node == source) {
                Ok(()) => Unit::Done,
                Err(wait) => Unit::Waits(wait),
            };
        }
        if let Some((side, errno)) = job.copier.failed {
            return self.handle_error(index, side, errno);
        }
        if job.sync == Sync::None {
            return Unit::Nothing;
        }
        if !job.flushed {
            return self.flush_target(index);
        }
        match self.complete(index) {
            Ok(()) => Unit::Done,
            Err(wait) => Unit::Waits(wait),
        }
    }

    /// Makes what was copied durable, before success is reported.
    fn flush_target(&mut self, index: usize) -> Unit {
        let (bugs, jobs) = (self.bugs, &self.jobs);
        let (group, this) = (jobs[index].group, jobs[index].serial);
        let sibling = |other: &Job| {
            group.is_some() && other.group == group && other.serial != this && !other.is_complete()
        };
        if bugs.has(Bug::TargetIsVolatile)
            || bugs.has(Bug::SiblingIsVolatile) && jobs.iter().any(sibling)
        {
            self.jobs[index].flushed = true;
            return Unit::Done;
        }
        let (job, ends) = self.at_work(index);
        match ends.target.device().flush() {
            Ok(()) => job.flushed = true,
            Err(IoError::Wait(wait)) => return Unit::Waits(wait),
            Err(IoError::Failed(errno)) => job.copier.failed = Some((Side::Write, errno)),
        }
        Unit::Done
    }
}

/// Errors.
impl Machine {
    /// Does about the first error of a pass what the job's policy for its side says.
    fn handle_error(&mut self, index: usize, side: Side, errno: Errno) -> Unit {
        let action = self.jobs[index].action(side, errno);
        let ends = action == ErrorAction::Report || self.bugs.has(Bug::IgnoredErrorEnds);
        if ends && let Err(wait) = self.quiesce_group(index) {
            return Unit::Waits(wait);
        }
        let bugs = self.bugs;
        let job = &mut self.jobs[index];
        if bugs.has(Bug::PauseCounts) {
            job.pauses = job.copier.failures;
        }
        job.copier.restart();
        let told = match side {
            Side::Read if bugs.has(Bug::ErrorOfAnother) => Side::Write,
            Side::Write if bugs.has(Bug::ErrorOfAnother) => Side::Read,
            side => side,
        };
        self.events.push(JobEvent::Error {
            job: job.name.clone(),
            side: told,
            action,
        });
        match action {
            ErrorAction::Ignore if bugs.has(Bug::IgnoredErrorEnds) => {
                self.abort(index, JobEnd::Failed(errno));
            }
            ErrorAction::Ignore => job.ignore(),
            ErrorAction::Stop => {
                job.pause = true;
                job.stopped = true;
                job.io_status = if errno == Errno::ENOSPC {
                    IoStatus::Nospace
                } else {
                    IoStatus::Failed
                };
                self.enter(index, JobState::Paused);
            }
            ErrorAction::Report if bugs.has(Bug::ErrorIsCancel) && job.group.is_some() => {
                self.abort(index, JobEnd::Cancelled);
            }
            ErrorAction::Report => self.abort(index, JobEnd::Failed(errno)),
        }
        Unit::Done
    }

    /// Copies what is left, as a job does that is cancelled while an error stops it. Speed limits
    /// and error policies do not count any more.
    pub(crate) fn copy_rest(&mut self, index: usize) -> Result<(), Wait> {
        let (job, mut ends) = self.at_work(index);
        job.copier.restart();
        let start = job.sync != Sync::None;
        loop {
            match job.copier.pass(&mut ends, &mut Rate::default(), start) {
                Unit::Done => {}
                Unit::Waits(wait) => return Err(wait),
                Unit::Nothing | Unit::Limited(_) => return Ok(()),
            }
        }
    }
}

/// Suspended work.
impl Machine {
    /// Lets everything run that can until a request is suspended under `tag`.
    pub(crate) fn wait_for(&mut self, tag: &Tag) -> Result<Reply, Refusal> {
        for _ in 0..self.units_max.0 {
            if self.is_suspended(tag) {
                return Ok(Reply::Done);
            }
            if !self.step_everything() {
                break;
            }
        }
        // The last unit of all may have been the one that ran into the breakpoint.
        if self.is_suspended(tag) {
            return Ok(Reply::Done);
        }
        Err(Refusal::NoSuchTag)
    }

    fn is_suspended(&mut self, tag: &Tag) -> bool {
        let wait = Wait::Tag(tag.clone());
        let requests = self.requests.iter();
        let found = requests
            .filter_map(Request::waits)
            .any(|held| *held == wait);
        let mut jobs = self.jobs.iter();
        let found = found || jobs.any(|job| job.copier.waits().any(|held| *held == wait));
        found && !self.store().is_over(&wait)
    }

    /// Does one unit of every request and every job. Returns whether any was done.
    fn step_everything(&mut self) -> bool {
        let requests: Vec<u32> = self.requests.iter().map(|request| request.serial).collect();
        let jobs: Vec<JobSerial> = self.jobs.iter().map(|job| job.serial).collect();
        let mut worked = false;
        for request in requests {
            worked |= self.step_numbered(request) == Unit::Done;
        }
        for job in jobs {
            worked |= self.step_job(job) == Unit::Done;
        }
        worked
    }
}
