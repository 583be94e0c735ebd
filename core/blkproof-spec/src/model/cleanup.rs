//! Bringing everything to an end, for the property that nothing stays stuck.

use std::collections::VecDeque;

use super::Model;
use super::jobs::{Job, Pause};
use super::judgement::{About, Judgement, Observation};
use crate::name::{ImageName, JobName};
use crate::property::progress;
use crate::reply::{Refusal, Reply};
use crate::status::JobState;
use crate::step::{Action, Backup, JobVerb, Run, Sync};

/// The most commands that a job gets before it counts as stuck.
const COMMANDS_MAX: u32 = 8;

/// How far the clean-up is.
#[derive(Clone, Debug)]
pub(super) struct Cleanup {
    lifted: bool,
    /// The disks that await their backup; `None` before the jobs are gone.
    disks: Option<VecDeque<ImageName>>,
    /// The job that got the last commands, and how many.
    job: Option<(JobName, u32)>,
}

impl Model {
    /// Returns the next step by which everything is brought to an end: faults lifted, requests
    /// settled, jobs ended, a fresh full backup of every disk. `None` when all is done.
    ///
    /// The step is carried out and observed as any other before the next one is asked for.
    #[must_use]
    pub fn next_cleanup(&mut self) -> Option<Action> {
        if self.undetectable {
            return None;
        }
        let cleanup = self.cleanup.get_or_insert(Cleanup {
            lifted: false,
            disks: None,
            job: None,
        });
        if !cleanup.lifted {
            cleanup.lifted = true;
            return Some(Action::LiftAll);
        }
        if let Some(request) = self.flights.iter().find_map(|flight| flight.id.clone()) {
            return Some(Action::Settle { request });
        }
        if let Some(job) = self.jobs.first() {
            let (name, verb) = (job.name.clone(), ending(job));
            let count = match &cleanup.job {
                Some((known, count)) if *known == name => count + 1,
                _ => 1,
            };
            cleanup.job = Some((name.clone(), count));
            if count <= COMMANDS_MAX {
                return Some(Action::Job { job: name, verb });
            }
            return None;
        }
        self.next_fresh_backup()
    }

    fn next_fresh_backup(&mut self) -> Option<Action> {
        let all = || {
            self.images
                .disks()
                .map(|(_, image)| image.name.clone())
                .collect()
        };
        let cleanup = self.cleanup.as_mut()?;
        let disk = cleanup.disks.get_or_insert_with(all).pop_front()?;
        let fresh = |prefix: &str| {
            let name = ImageName::new(&format!("{prefix}-{disk}"));
            self.images.find(&name).is_none().then_some(name)
        };
        let target = (0..).find_map(|count: u32| fresh(&format!("fresh{count}")))?;
        let backup = Backup {
            job: Some(JobName::new(&format!("fresh-{disk}"))),
            ..Backup::new(disk.clone(), Sync::Full, target)
        };
        Some(Action::Backup {
            backup: Box::new(backup),
            run: Run::Finish,
        })
    }

    /// Judges a step of the clean-up.
    pub(super) fn judge_cleanup(&self, step: &Action, seen: &Observation<'_>, out: &mut Judgement) {
        let Some(cleanup) = &self.cleanup else { return };
        match step {
            Action::Backup { backup, .. } => {
                let about = About::Disk(backup.at.name().clone());
                progress::step(about, seen.reply == Reply::Done, seen.reply, out);
            }
            Action::Job { job, .. } => {
                let gone = seen.reply == Reply::Refused(Refusal::NoSuchJob);
                let done = seen.reply == Reply::Done || gone;
                progress::step(About::Job(job.clone()), done, seen.reply, out);
                let last = cleanup
                    .job
                    .as_ref()
                    .is_some_and(|(_, count)| *count == COMMANDS_MAX);
                if last && self.job_index(job).is_some() {
                    progress::stuck(About::Job(job.clone()), out);
                }
            }
            Action::Settle { request } => {
                let about = About::Request(request.clone());
                progress::step(about, seen.reply != Reply::Pending, seen.reply, out);
            }
            _ => {}
        }
    }
}

/// Returns the command that brings a job nearer to its end.
fn ending(job: &Job) -> JobVerb {
    match job.state {
        Some(JobState::Concluded) => JobVerb::Dismiss,
        Some(JobState::Paused) if job.pause == Pause::None => JobVerb::Resume,
        _ => JobVerb::Cancel { force: true },
    }
}
