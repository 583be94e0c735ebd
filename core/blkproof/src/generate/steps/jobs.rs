//! Work on jobs, and commands to them.

use blkproof_spec::step::{Action, JobVerb, Work};
use blkproof_spec::{Millis, Units};

use super::{backups, guest};
use crate::generate::Choices;
use crate::generate::account::{Account, Job};

/// Does some units of a job's work.
pub(super) fn advance(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let Some(index) = open(account, choices) else {
        return start(account, disk, choices);
    };
    let job = &mut account.jobs[index];
    if job.concluded || job.worked {
        return command_to(account, index, choices);
    }
    let units = match choices.below(6) {
        0..=2 => 1,
        3 => choices.between(2, 3),
        4 => choices.between(2, 8),
        _ => choices.between(8, 40),
    };
    if !job.endless && !job.paused {
        match job.units.checked_sub(units) {
            Some(left) => job.units = left,
            None => job.doubtful = true,
        }
    }
    let work = Work::Job(job.name.job());
    let units = Units(units);
    account.push(Action::Advance { work, units });
    let doubtful = account.jobs[index].doubtful;
    // What is probably over is seen to its end soon.
    if doubtful && choices.chance(50) {
        finish(account, index);
    }
}

/// Does something to a job, or starts one that stays running.
pub(super) fn command(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    match open(account, choices) {
        Some(index) => command_to(account, index, choices),
        None => start(account, disk, choices),
    }
}

fn start(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if account.is_source(disk) {
        account.push(Action::Tick(Millis(100)));
    } else {
        backups::incremental(account, disk, choices);
    }
}

/// Chooses a job that is not dismissed.
fn open(account: &Account, choices: &mut Choices<'_>) -> Option<usize> {
    let count = account.jobs.len();
    (count > 0).then(|| choices.index(count))
}

fn command_to(account: &mut Account, index: usize, choices: &mut Choices<'_>) {
    let job = account.jobs[index];
    // The guest goes on while a job rests.
    if (job.paused || job.worked) && choices.chance(25) {
        return guest::any(account, job.disk, choices);
    }
    // A command that does not fit the state is refused, which is worth seeing too.
    if choices.chance(8) {
        return any_command(account, job, choices);
    }
    match job {
        Job {
            concluded: true, ..
        } => {
            account.jobs.remove(index);
            verb(account, job, JobVerb::Dismiss);
        }
        Job { worked: true, .. } if choices.chance(80) => {
            account.ended(index, true);
            verb(account, job, JobVerb::Finalize);
        }
        Job { worked: true, .. } => cancel(account, index, choices),
        Job { paused: true, .. } => paused(account, index, choices),
        _ => running(account, index, choices),
    }
}

fn running(account: &mut Account, index: usize, choices: &mut Choices<'_>) {
    let job = account.jobs[index];
    match choices.below(10) {
        0..=5 if !job.endless => finish(account, index),
        6 if !job.doubtful => {
            account.jobs[index].paused = true;
            verb(account, job, JobVerb::Pause);
            if account.holds {
                // A job that something holds is paused only once that is over.
                let again = choices.pick(&[JobVerb::Pause, JobVerb::Cancel { force: false }]);
                verb(account, job, again);
            } else if choices.chance(12) {
                any_command(account, job, choices);
            }
        }
        7 if !job.doubtful => {
            let speed = choices.pick(&[0, 0, 65_536, 1 << 20]);
            verb(account, job, JobVerb::SetSpeed(speed));
        }
        8 | 9 if !job.doubtful => cancel(account, index, choices),
        _ if job.endless => cancel(account, index, choices),
        _ => finish(account, index),
    }
}

fn paused(account: &mut Account, index: usize, choices: &mut Choices<'_>) {
    let job = account.jobs[index];
    match choices.below(8) {
        0..=4 => {
            account.jobs[index].paused = false;
            verb(account, job, JobVerb::Resume);
        }
        5 => verb(account, job, JobVerb::SetSpeed(choices.pick(&[0, 65_536]))),
        6 => {
            account.ended(index, false);
            verb(account, job, JobVerb::Cancel { force: true });
        }
        _ => account.push(Action::Finish {
            job: job.name.job(),
        }),
    }
}

fn cancel(account: &mut Account, index: usize, choices: &mut Choices<'_>) {
    let job = account.jobs[index];
    let force = choices.chance(50);
    account.ended(index, false);
    verb(account, job, JobVerb::Cancel { force });
}

/// Any command, whatever the job's state.
fn any_command(account: &mut Account, job: Job, choices: &mut Choices<'_>) {
    let command = choices.pick(&[
        JobVerb::Pause,
        JobVerb::Resume,
        JobVerb::Complete,
        JobVerb::Finalize,
        JobVerb::Dismiss,
        JobVerb::SetSpeed(-1),
        JobVerb::Cancel { force: false },
    ]);
    verb(account, job, command);
}

pub(super) fn verb(account: &mut Account, job: Job, verb: JobVerb) {
    account.push(Action::Job {
        job: job.name.job(),
        verb,
    });
}

/// Runs a job as far as it goes.
pub(super) fn finish(account: &mut Account, index: usize) {
    let job = account.jobs[index];
    if job.finalize {
        account.jobs[index].worked = true;
    } else if !job.paused && !job.endless {
        account.ended(index, true);
    }
    account.push(Action::Finish {
        job: job.name.job(),
    });
}
