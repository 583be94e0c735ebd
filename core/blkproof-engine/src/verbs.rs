//! Commands to jobs, each accepted in some of their states.

use blkproof_spec::step::JobVerb;
use blkproof_spec::{IoStatus, JobEnd, JobName, JobState, Refusal, Reply};

use crate::bugs::Bug;
use crate::copier::Unit;
use crate::machine::Machine;

impl Machine {
    /// Carries out a command to a job.
    pub(crate) fn command(&mut self, name: &JobName, verb: JobVerb) -> Result<Reply, Refusal> {
        let index = self.job_named(name)?;
        match verb {
            JobVerb::Pause => self.pause(index)?,
            JobVerb::Resume => self.resume(index)?,
            JobVerb::Cancel { force } => self.cancel(index, force)?,
            JobVerb::Complete => return Err(Refusal::WrongJobState),
            JobVerb::Finalize => {
                if self.bugs.has(Bug::FinalizeTwice) && self.jobs[index].end.is_some() {
                    return Ok(Reply::Done);
                }
                self.accept(index, &[JobState::Pending])?;
                self.quiesce_group(index)
                    .map_err(|_| Refusal::CannotDrain)?;
                self.finalize_group(index);
            }
            JobVerb::Dismiss => {
                self.accept(index, &[JobState::Concluded])?;
                self.enter(index, JobState::Null);
                self.jobs.remove(index);
            }
            JobVerb::SetSpeed(speed) => {
                self.accept(
                    index,
                    &[JobState::Created, JobState::Running, JobState::Paused],
                )?;
                let speed = u64::try_from(speed).map_err(|_| Refusal::NegativeSpeed)?;
                let (bugs, now) = (self.bugs, self.now);
                let job = &mut self.jobs[index];
                let limited = job.rate.closed_until(now).is_some();
                job.asleep = bugs.has(Bug::LiftedLimitSleeps) && limited && speed == 0;
                job.rate.set_speed(speed);
            }
        }
        Ok(Reply::Done)
    }

    fn accept(&self, index: usize, states: &[JobState]) -> Result<(), Refusal> {
        if states.contains(&self.jobs[index].state) {
            return Ok(());
        }
        Err(Refusal::WrongJobState)
    }

    /// Pauses a job. What it has on its way is carried out first; where that waits, the job is
    /// paused as soon as it is over.
    fn pause(&mut self, index: usize) -> Result<(), Refusal> {
        self.accept(index, &[JobState::Running, JobState::Paused])?;
        let job = &mut self.jobs[index];
        if job.pause {
            return Err(Refusal::AlreadyPaused);
        }
        job.pause = true;
        let serial = job.serial;
        while self.step_job(serial) == Unit::Done {}
        Ok(())
    }

    fn resume(&mut self, index: usize) -> Result<(), Refusal> {
        if !self.jobs[index].pause {
            return Err(Refusal::NotPaused);
        }
        self.accept(
            index,
            &[JobState::Created, JobState::Running, JobState::Paused],
        )?;
        let job = &mut self.jobs[index];
        if job.pauses > 1 {
            job.pauses -= 1;
            return Ok(());
        }
        job.pause = false;
        job.stopped = false;
        job.io_status = IoStatus::Ok;
        if job.state == JobState::Paused {
            self.enter(index, JobState::Running);
        }
        Ok(())
    }

    /// Cancels a job and its group. One that an error stopped copies what is left first.
    fn cancel(&mut self, index: usize, force: bool) -> Result<(), Refusal> {
        if self.jobs[index].pause && !force {
            return Err(Refusal::JobPaused);
        }
        self.accept(
            index,
            &[
                JobState::Running,
                JobState::Paused,
                JobState::Waiting,
                JobState::Pending,
            ],
        )?;
        let job = &self.jobs[index];
        if self.bugs.has(Bug::CancelOfPausedHangs) && job.pause && !job.stopped {
            return Ok(());
        }
        let mut quiet = Ok(());
        if self.jobs[index].stopped {
            quiet = self.copy_rest(index);
        }
        quiet
            .and_then(|()| self.quiesce_group(index))
            .map_err(|_| Refusal::CannotDrain)?;
        let job = &mut self.jobs[index];
        job.pause = false;
        job.io_status = IoStatus::Ok;
        self.abort(index, JobEnd::Cancelled);
        Ok(())
    }
}
