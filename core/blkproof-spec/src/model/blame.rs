//! Which requests and jobs a fault may have hit.

use super::Model;
use super::flight::Flight;
use super::images::ImageId;
use super::jobs::Job;
use super::judgement::Observation;
use super::ranges::RangeSet;
use crate::errno::Errno;
use crate::event::{ErrorAction, Side};
use crate::fault::{Firing, IoType, Layer};
use crate::geometry::Format;
use crate::name::{JobName, RequestId};
use crate::step::{Action, GuestOp, Sync, Work};
use crate::units::ByteRange;

/// Where a fault sat, as a guest request or a job sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Reach {
    /// On the disk's own chain.
    Source,
    /// On the chain of a job's target, and not on the disk's.
    Target,
}

/// Whose work a step may carry out besides a plain guest request.
enum Workers<'a> {
    None,
    Request(&'a RequestId),
    Job(&'a JobName),
    /// Of a disk's jobs and requests.
    Of(ImageId),
    All,
}

/// Tells whether a subject may pass over this error without a word.
pub(crate) fn is_exempt(firing: &Firing) -> bool {
    match firing.kind {
        IoType::BlockStatus => true,
        IoType::Discard => {
            firing.place.layer == Layer::File || firing.errno == Some(Errno::ENOTSUP)
        }
        IoType::WriteZeroes => firing.errno == Some(Errno::ENOTSUP),
        IoType::Read | IoType::Write | IoType::Flush => false,
    }
}

/// Returns the sides of a job that an image lies on.
fn sides(read: bool, write: bool) -> impl Iterator<Item = Side> {
    let sides = [(Side::Read, read), (Side::Write, write)];
    sides
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(side, _)| side)
}

impl Model {
    /// Takes in the faults that fired during a step, on behalf of what was under way before it.
    pub(super) fn blame(&mut self, step: &Action, seen: &Observation<'_>) {
        if seen.fired.iter().all(|firing| firing.errno.is_none()) {
            return;
        }
        self.faulted = true;
        for firing in seen.fired.iter().filter(|firing| firing.errno.is_some()) {
            self.spoil_target(&firing.place.image);
        }
        let workers = self.workers(step);
        let mut flights = std::mem::take(&mut self.flights);
        for flight in &mut flights {
            if !flight.done && self.works_request(&workers, flight) {
                self.meet(flight, seen.fired);
            }
        }
        self.flights = flights;
        for index in 0..self.jobs.len() {
            if let Some(alone) = self.works_job(&workers, index) {
                self.blame_job(index, alone, seen.fired);
            }
        }
    }

    fn workers<'a>(&self, step: &'a Action) -> Workers<'a> {
        match step {
            Action::Guest { at, op } if op.is_write() => match self.resolve(at) {
                Some(found) => Workers::Of(found.disk),
                None => Workers::None,
            },
            Action::Guest { .. } | Action::Check(_) | Action::Install(_) => Workers::None,
            Action::Settle { request }
            | Action::Start { request, .. }
            | Action::Advance {
                work: Work::Request(request),
                ..
            } => Workers::Request(request),
            Action::Advance {
                work: Work::Job(job),
                ..
            }
            | Action::Finish { job }
            | Action::Job { job, .. } => Workers::Job(job),
            _ => Workers::All,
        }
    }

    fn works_request(&self, workers: &Workers<'_>, flight: &Flight) -> bool {
        match workers {
            Workers::None => false,
            Workers::Request(id) => flight.id.as_ref() == Some(*id),
            Workers::Of(disk) => flight.disk == *disk,
            Workers::Job(name) => self
                .jobs_on(flight.disk)
                .any(|job| job.name == **name || self.stand_together(name, job)),
            Workers::All => true,
        }
    }

    /// Tells whether the job of this name and another one are of one group.
    fn stand_together(&self, name: &JobName, other: &Job) -> bool {
        other.group.is_some()
            && self
                .job_index(name)
                .is_some_and(|index| self.jobs[index].group == other.group)
    }

    /// Tells whether a job may have worked, and if so, whether nobody else can have.
    fn works_job(&self, workers: &Workers<'_>, index: usize) -> Option<bool> {
        let job = &self.jobs[index];
        let alone = || {
            let flying = self
                .flights
                .iter()
                .any(|flight| flight.disk == job.source && !flight.done);
            let grouped = job.group.is_some()
                && self
                    .jobs
                    .iter()
                    .any(|other| other.group == job.group && other.name != job.name);
            !flying && !grouped
        };
        let works = match workers {
            Workers::None => false,
            Workers::Request(id) => self
                .flights
                .iter()
                .any(|flight| flight.id.as_ref() == Some(*id) && flight.disk == job.source),
            Workers::Of(disk) => job.source == *disk,
            Workers::Job(name) if job.name == **name => return Some(alone()),
            Workers::Job(name) => self.stand_together(name, job),
            Workers::All => true,
        };
        works.then_some(false)
    }

    /// Takes in the faults that a job may have met.
    pub(super) fn blame_job(&mut self, index: usize, alone: bool, fired: &[Firing]) {
        let (source, target) = (self.jobs[index].source, self.jobs[index].target);
        for firing in fired {
            let Some(errno) = firing.errno else { continue };
            self.spoil_target(&firing.place.image);
            let read = self.on_chain(source, &firing.place.image);
            let write = self.on_chain(target, &firing.place.image);
            let query = read && self.may_be_table(firing);
            let flush = write && self.may_be_flush(target, firing);
            let size = self.images.get(source).size();
            let (step, job) = (self.scope.step, &mut self.jobs[index]);
            if job.sync == Sync::Top && read && (query || firing.kind == IoType::BlockStatus) {
                // Where a job cannot find out what is allocated, it copies.
                let mut all = RangeSet::of(ByteRange::new(0, size)).outward(size, job.cluster);
                all.subtract(&job.must);
                job.extra = all;
            }
            for side in sides(read, write) {
                job.errors.meet(side, errno, step);
                if job.policy(side).action(errno) == ErrorAction::Report {
                    job.errors.end_by(errno);
                }
            }
            if flush {
                job.errors.end_by(errno);
                job.errors.fail_flush();
            }
            if alone && (read || write) && !query && !is_exempt(firing) {
                job.errors.owe(firing);
            }
        }
    }

    /// Tells whether a fault may have hit the read of a mapping table, which is one cluster at
    /// most.
    ///
    /// A job reads tables to find out what is allocated, and copies where it cannot find out.
    /// Nobody can tell such a read from one of data that is as short; what is copied is compared
    /// all the same.
    fn may_be_table(&self, firing: &Firing) -> bool {
        let found = self.images.find(&firing.place.image);
        found.is_some_and(|id| {
            let geometry = self.images.get(id).geometry;
            firing.kind == IoType::Read
                && firing.place.layer == Layer::File
                && geometry.format == Format::Qcow2
                && firing.range.len <= geometry.cluster.0
        })
    }

    /// Tells whether a fault may have hit the flush of a job's target, which writes the tables of a
    /// format.
    fn may_be_flush(&self, target: ImageId, firing: &Firing) -> bool {
        let format = self.images.get(target).geometry.format;
        match firing.kind {
            IoType::Flush => true,
            IoType::Write => firing.place.layer == Layer::File && format == Format::Qcow2,
            _ => false,
        }
    }

    /// Collects, each once, the errors that a guest request to this disk may have met.
    pub(super) fn reach_of(
        &self,
        disk: ImageId,
        op: &GuestOp,
        fired: &[Firing],
        out: &mut Vec<(Errno, Reach)>,
    ) {
        for firing in fired {
            if let (Some(errno), Some(reach)) = (firing.errno, self.reach(disk, op, firing))
                && !out.contains(&(errno, reach))
            {
                out.push((errno, reach));
            }
        }
    }

    /// Returns where a fault sat, as a request to this disk sees it, if it may have met it.
    pub(super) fn reach(&self, disk: ImageId, op: &GuestOp, firing: &Firing) -> Option<Reach> {
        let name = &firing.place.image;
        let on_target = || {
            self.jobs_on(disk)
                .any(|job| self.on_chain(job.target, name))
        };
        if self.on_chain(disk, name) {
            Some(Reach::Source)
        } else {
            (op.is_write() && on_target()).then_some(Reach::Target)
        }
    }

    /// Tells whether a step may be left pending because a request waits.
    pub(super) fn may_wait(&self, seen: &Observation<'_>) -> bool {
        !seen.suspended.is_empty() || self.delays
    }
}
