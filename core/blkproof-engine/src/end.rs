//! The end of jobs, alone and in groups.
//!
//! Before a job ends everything it has on its way is carried out, its source is drained and its
//! target flushed; all that may have to wait. The end itself cannot: filter, bitmap, target and
//! events follow in one go, so that nobody ever sees a job half ended.

use blkproof_device::{IoError, Wait};
use blkproof_spec::step::{BitmapMode, Sync};
use blkproof_spec::{ByteRange, DiscardMode, JobEnd, JobEvent, JobState};

use crate::bitmap::Bitmap;
use crate::bugs::{Bug, Bugs};
use crate::images::attach_writer;
use crate::job::{Job, JobSerial};
use crate::machine::Machine;
use crate::runs::Runs;

impl Machine {
    /// Returns the jobs that stand or fall with a job, itself among them, the last created first.
    fn group(&self, index: usize) -> Vec<JobSerial> {
        let job = &self.jobs[index];
        let together = |other: &&Job| {
            other.serial == job.serial
                || (job.group.is_some()
                    && other.group == job.group
                    && other.state != JobState::Concluded)
        };
        let jobs = self.jobs.iter().rev();
        jobs.filter(together).map(|job| job.serial).collect()
    }

    /// Makes all jobs of a group ready to end.
    pub(crate) fn quiesce_group(&mut self, index: usize) -> Result<(), Wait> {
        for job in self.group(index) {
            if let Some(index) = self.job_index(job) {
                self.quiesce(index)?;
            }
        }
        Ok(())
    }

    /// Makes a job ready to end.
    pub(crate) fn quiesce(&mut self, index: usize) -> Result<(), Wait> {
        let (job, mut ends) = self.at_work(index);
        job.copier.land(&mut ends)?;
        let (source, target) = (job.source, job.target);
        self.drain(|node| node == source || node == target)?;
        let (job, ends) = self.at_work(index);
        job.durable = job.flushed
            || match ends.target.device().flush() {
                Ok(()) => true,
                Err(IoError::Failed(_)) => false,
                Err(IoError::Wait(wait)) => return Err(wait),
            };
        Ok(())
    }

    /// Notes that a job has done all it had to. It waits for its group; the last one ends them all,
    /// unless one has to be finalized by hand.
    pub(crate) fn complete(&mut self, index: usize) -> Result<(), Wait> {
        let this = self.jobs[index].serial;
        let mut group = self.group(index);
        if self.bugs.has(Bug::EmptyJobDoesNotWait) && self.jobs[index].copier.len() == 0 {
            group = vec![this];
        }
        let jobs = || group.iter().filter_map(|job| self.job_index(*job));
        let last = jobs().all(|index| {
            let job = &self.jobs[index];
            job.serial == this || job.is_complete()
        });
        let auto = jobs().all(|index| self.jobs[index].auto_finalize);
        if last && auto {
            self.quiesce_group(index)?;
        }
        self.enter(index, JobState::Waiting);
        if !last {
            return Ok(());
        }
        for job in &group {
            let index = self.index(*job);
            self.enter(index, JobState::Pending);
            let job = &self.jobs[index];
            if !job.auto_finalize {
                let job = job.name.clone();
                self.events.push(JobEvent::Pending { job });
            }
        }
        if auto {
            self.finalize(&group);
        }
        Ok(())
    }

    /// Ends a group well whose jobs are pending and quiet.
    fn finalize(&mut self, group: &[JobSerial]) {
        for job in group {
            self.conclude(*job, JobEnd::Success);
        }
    }

    /// Ends the group of a pending job well.
    pub(crate) fn finalize_group(&mut self, index: usize) {
        let group = self.group(index);
        self.finalize(&group);
    }

    /// Ends a job badly, and cancels all that stand or fall with it. They are quiet.
    ///
    /// Siblings that still run are seen to abort before the first of them is over; those that had
    /// done their work abort when it is their turn.
    pub(crate) fn abort(&mut self, index: usize, end: JobEnd) {
        let this = self.jobs[index].serial;
        let mut group = self.group(index);
        if self.bugs.has(Bug::GroupEndsAlone) {
            group = vec![this];
        }
        self.begin_abort(this);
        for (position, job) in group.iter().enumerate() {
            if *job != this {
                let complete = self.jobs[self.index(*job)].is_complete();
                if self.bugs.has(Bug::CompletedSiblingCommits) && complete {
                    self.conclude(*job, JobEnd::Success);
                    continue;
                }
                self.begin_abort(*job);
                self.conclude(*job, JobEnd::Cancelled);
                continue;
            }
            for later in &group[position + 1..] {
                if !self.jobs[self.index(*later)].is_complete() {
                    self.begin_abort(*later);
                }
            }
            self.conclude(this, end);
        }
    }

    fn begin_abort(&mut self, job: JobSerial) {
        let index = self.index(job);
        // Whoever ends a job that is paused lets it go.
        self.jobs[index].pause = false;
        match self.jobs[index].state {
            JobState::Aborting => return,
            JobState::Paused => self.enter(index, JobState::Running),
            _ => {}
        }
        self.enter(index, JobState::Aborting);
    }

    /// Takes back the creation of a job that never ran.
    pub(crate) fn abort_created(&mut self, job: JobSerial) {
        let index = self.index(job);
        self.enter(index, JobState::Aborting);
        self.release(index, None);
        self.enter(index, JobState::Concluded);
        self.enter(index, JobState::Null);
        self.jobs.remove(index);
    }

    /// Ends one job that is quiet.
    fn conclude(&mut self, serial: JobSerial, end: JobEnd) {
        let index = self.index(serial);
        if self.bugs.has(Bug::BaseIsDiscarded) && end == JobEnd::Success {
            self.discard_base(index);
        }
        self.release(index, Some(end));
        let job = &mut self.jobs[index];
        job.end = Some(end);
        let (name, len, offset, speed) =
            (job.name.clone(), job.len(), job.offset(), job.rate.speed());
        let error = match end {
            JobEnd::Failed(errno) => Some(errno),
            JobEnd::Success | JobEnd::Cancelled => None,
        };
        self.events.push(if end == JobEnd::Cancelled {
            JobEvent::Cancelled {
                job: name,
                len,
                offset,
                speed,
            }
        } else {
            JobEvent::Completed {
                job: name,
                len,
                offset,
                speed,
                error,
            }
        });
        self.ended.push((serial, end));
        let dismiss = job.auto_dismiss;
        self.enter(index, JobState::Concluded);
        if dismiss {
            self.enter(index, JobState::Null);
            self.jobs.remove(index);
        }
    }

    /// Takes away a job's filter, closes its target and decides on its bitmap. `end` is how it
    /// ended, `None` if it never ran.
    fn release(&mut self, index: usize, end: Option<JobEnd>) {
        let job = &mut self.jobs[index];
        job.filter_bitmaps.clear();
        self.nodes.remove(job.target);
        let source = &mut self.nodes[job.source];
        source.filters.retain(|filter| *filter != job.serial);
        source.stuck |=
            self.bugs.has(Bug::FailureKeepsFilter) && matches!(end, Some(JobEnd::Failed(_)));
        let size = source.size;
        if self.bugs.has(Bug::JobCleansAll) && end == Some(JobEnd::Success) {
            for bitmap in source.bitmaps.iter_mut().filter(|bitmap| !bitmap.busy) {
                bitmap.clear(size);
            }
        }
        if let Some((name, _)) = &job.bitmap
            && let Some(bitmap) = source.bitmap(name)
        {
            job.give_back(bitmap, size, end, self.bugs);
        }
    }

    /// Discards from the backing file of a job's target what its bitmap has dirty, by a seeded bug.
    fn discard_base(&mut self, index: usize) {
        let job = &self.jobs[index];
        let (source, target) = (job.source, job.target);
        let name = job.bitmap.as_ref().map(|(name, _)| name.clone());
        let base = self.nodes[target].image.backing.top();
        let base = base.map(|layer| layer.name.clone());
        let (Some(name), Some(base)) = (name, base) else {
            return;
        };
        let mut dirty = Vec::new();
        if let Some(bitmap) = self.nodes[source].bitmap(&name) {
            let unit = bitmap.granularity;
            dirty.extend(bitmap.dirty.iter().map(|run| (run.0 * unit, run.1 * unit)));
        }
        let Ok(mut image) = self.open_image(&base, DiscardMode::Unmap, attach_writer) else {
            return;
        };
        let whole = ByteRange::new(0, image.size());
        for (start, end) in dirty {
            let range = ByteRange::between(start, end).intersect(whole);
            // Nobody is told how it went.
            let _ = image.device().discard(range);
        }
        let _ = image.device().flush();
    }

    fn index(&self, job: JobSerial) -> usize {
        self.job_index(job)
            .expect("a job is there until it is dismissed")
    }
}

impl Job {
    /// Decides on the bitmap that this job holds, of a disk of `size`, as its `end` asks for.
    pub(crate) fn give_back(
        &self,
        bitmap: &mut Bitmap,
        size: u64,
        end: Option<JobEnd>,
        bugs: Bugs,
    ) {
        let Some((_, mode)) = &self.bitmap else {
            return;
        };
        let mode = match end {
            Some(JobEnd::Failed(_)) if bugs.has(Bug::FailedCopyIsClean) => &BitmapMode::Always,
            _ => mode,
        };
        match (end, mode) {
            (None, _) if bugs.has(Bug::RollbackKeepsBusy) => {}
            (Some(JobEnd::Cancelled), _) if bugs.has(Bug::CancelIsSuccess) => {
                bitmap.sync(size);
            }
            (Some(JobEnd::Success), BitmapMode::OnSuccess | BitmapMode::Always) => {
                bitmap.sync(size);
            }
            (Some(_), BitmapMode::Always) => {
                let copier = &self.copier;
                let mut rest = Runs::default();
                if self.durable {
                    bitmap.sync(size);
                    rest.insert_scaled(&copier.todo, copier.cluster, bitmap.granularity);
                } else {
                    // Unlike QEMU: what may not have reached the target counts as not copied.
                    bitmap.reclaim();
                    if matches!(self.sync, Sync::Full | Sync::Top) {
                        rest = Runs::below(size.div_ceil(bitmap.granularity));
                    }
                }
                bitmap.dirty.insert_scaled(&rest, 1, 1);
                bitmap
                    .dirty
                    .remove(size.div_ceil(bitmap.granularity), u64::MAX);
            }
            _ => bitmap.reclaim(),
        }
    }
}
