//! How much jobs say that they copied, which errors they have to get over, and those that an error
//! stopped.

use super::{
    K, M, Stage, add, completed, device, disk, firing, full, job, read, report, start, states,
    write,
};
use crate::errno::Errno;
use crate::event::{ErrorAction, JobEvent, Side};
use crate::fault::{Firing, IoType, Verdict};
use crate::model::Observation;
use crate::property::Property::{
    self, AnswersExact, ErrorsCaused, JobLifecycle, PauseExact, RefusedNotWrong,
};
use crate::reply::Reply;
use crate::status::JobState::{Aborting, Concluded, Created, Null, Paused, Running};
use crate::status::{IoStatus, JobState, JobStatus, Status};
use crate::step::{Action, Backup, ErrorPolicy, GuestOp, JobVerb, Sync};
use crate::units::{ByteRange, Length, Units};

const SIZE: u64 = 4 * M;

/// A disk of 4 MiB with a job of this kind that was just started.
fn started(backup: Backup) -> Stage {
    let mut stage = Stage::new(vec![disk("d", SIZE)]);
    stage.done(&start(backup), &states("d", &[Created, Running]));
    stage
}

fn none() -> Backup {
    Backup::new("d".into(), Sync::None, "t".into())
}

fn status(state: JobState, offset: u64) -> Status {
    let job = JobStatus {
        job: job("d"),
        state,
        len: Length(SIZE),
        offset: Length(offset),
        speed: 0,
        io_status: IoStatus::Ok,
        end: None,
    };
    Status {
        bitmaps: Vec::new(),
        jobs: vec![job],
    }
}

impl Stage {
    /// Shows a step that was done, behind which the job says that it copied so much. Returns the
    /// properties that this breaks.
    fn copied(&mut self, step: &Action, state: JobState, offset: u64) -> Vec<Property> {
        let status = status(state, offset);
        let seen = Observation {
            status: Some(&status),
            ..Observation::of(Reply::Done)
        };
        self.show(step, &seen);
        self.broken()
    }
}

fn advance() -> Action {
    Action::Advance {
        work: crate::step::Work::Job(job("d")),
        units: Units(10),
    }
}

fn command(verb: JobVerb) -> Action {
    Action::Job {
        job: job("d"),
        verb,
    }
}

#[test]
fn whole_clusters_are_copied_and_no_more_than_there_are() {
    assert_eq!(started(full("t")).copied(&advance(), Running, M), []);
    let broken = started(full("t")).copied(&advance(), Running, M + 512);
    assert_eq!(broken, [AnswersExact]);
    let broken = started(full("t")).copied(&advance(), Running, SIZE + 64 * K);
    assert_eq!(broken, [JobLifecycle]);
}

#[test]
fn a_job_that_copies_nothing_by_itself_has_saved_what_was_written() {
    // G17.
    let mut stage = started(none());
    let write = write(100 * K, 64 * K);
    assert_eq!(stage.copied(&write, Running, 128 * K), []);
    assert_eq!(stage.copied(&write, Running, 128 * K), []);
    assert_eq!(stage.copied(&advance(), Running, 192 * K), [AnswersExact]);
    let mut stage = started(none());
    assert_eq!(stage.copied(&write, Running, 64 * K), [AnswersExact]);
}

#[test]
fn a_job_that_rests_copies_only_what_a_request_touches() {
    let paused = || {
        let mut stage = started(full("t"));
        let status = status(Paused, M);
        let events = states("d", &[Paused]);
        let seen = Observation {
            events: &events,
            status: Some(&status),
            ..Observation::of(Reply::Done)
        };
        stage.show(&command(JobVerb::Pause), &seen);
        assert_eq!(stage.broken(), []);
        stage
    };
    let write = write(2 * M, 512);
    assert_eq!(paused().copied(&write, Paused, M + 64 * K), []);
    // It may have been copied before.
    assert_eq!(paused().copied(&write, Paused, M), []);
    let broken = paused().copied(&write, Paused, M + 128 * K);
    assert_eq!(broken, [AnswersExact]);
    let broken = paused().copied(&advance(), Paused, M + 128 * K);
    assert_eq!(broken, [], "a step that works may bring it on");
}

fn cancelled(offset: u64) -> Vec<JobEvent> {
    let mut events = states("d", &[Aborting]);
    events.push(JobEvent::Cancelled {
        job: job("d"),
        len: Length(SIZE),
        offset: Length(offset),
        speed: 0,
    });
    events.extend(states("d", &[Concluded, Null]));
    events
}

#[test]
fn a_cancelled_job_copied_what_was_written_meanwhile() {
    for (offset, broken) in [(128 * K, vec![]), (64 * K, vec![AnswersExact])] {
        let mut stage = started(full("t"));
        stage.done(&write(100 * K, 64 * K), &[]);
        let events = cancelled(offset);
        let seen = Observation {
            events: &events,
            ..Observation::of(Reply::Done)
        };
        stage.show(&command(JobVerb::Cancel { force: false }), &seen);
        assert_eq!(stage.broken(), broken);
    }
}

/// What a job brings that ends by an error which it handles like this.
fn failed(action: ErrorAction, offset: u64) -> Vec<JobEvent> {
    let mut events = vec![JobEvent::Error {
        job: job("d"),
        side: Side::Read,
        action,
    }];
    events.extend(states("d", &[Aborting]));
    events.push(completed("d", SIZE, offset, Some(Errno::EIO)));
    events.extend(states("d", &[Concluded, Null]));
    events
}

#[test]
fn a_failed_job_did_not_copy_all_unless_its_target_could_not_be_flushed() {
    let read = firing("d", IoType::Read, Errno::EIO);
    let flush = firing("t", IoType::Flush, Errno::EIO);
    for (fired, offset, broken) in [
        (vec![read.clone()], SIZE - 64 * K, vec![]),
        (vec![read.clone()], SIZE, vec![AnswersExact]),
        (vec![read.clone(), flush], SIZE, vec![]),
        (
            vec![read, firing("t", IoType::Write, Errno::EIO)],
            SIZE,
            vec![],
        ),
    ] {
        let mut stage = started(full("t"));
        let events = failed(ErrorAction::Report, offset);
        let seen = Observation {
            events: &events,
            fired: &fired,
            ..Observation::of(Reply::Failed(Errno::EIO))
        };
        stage.show(&Action::Finish { job: job("d") }, &seen);
        assert_eq!(stage.broken(), broken);
    }
}

#[test]
fn what_a_job_is_to_ignore_does_not_end_it() {
    let fired = [firing("d", IoType::Read, Errno::EIO)];
    let backup = Backup {
        on_source_error: ErrorPolicy::Ignore,
        ..full("t")
    };
    let mut stage = started(backup);
    let events = failed(ErrorAction::Ignore, SIZE - 64 * K);
    let seen = Observation {
        events: &events,
        fired: &fired,
        ..Observation::of(Reply::Failed(Errno::EIO))
    };
    stage.show(&Action::Finish { job: job("d") }, &seen);
    assert_eq!(stage.broken(), [RefusedNotWrong]);
}

#[test]
fn what_is_only_slow_does_not_fail() {
    let slow = Firing {
        errno: None,
        verdict: Verdict::Correct,
        ..firing("d", IoType::Read, Errno::EIO)
    };
    let fired = [slow];
    for op in [read(0, 512), write(0, 512)] {
        let mut stage = Stage::new(vec![disk("d", SIZE)]);
        let seen = Observation {
            fired: &fired,
            ..Observation::of(Reply::Failed(Errno::EIO))
        };
        stage.show(&op, &seen);
        assert_eq!(stage.broken(), [ErrorsCaused, RefusedNotWrong]);
    }
    let mut stage = Stage::new(vec![disk("d", SIZE)]);
    let at = device("d");
    let op = GuestOp::Flush;
    stage.show(
        &Action::Guest { at, op },
        &Observation::of(Reply::Failed(Errno::EIO)),
    );
    assert_eq!(stage.broken(), [ErrorsCaused]);
}

/// A job with a bitmap that an error has just stopped, as its status and its bitmap's flag tell.
fn stopped(state: JobState, io_status: IoStatus, busy: bool) -> Vec<Property> {
    let mut stage = Stage::new(vec![disk("d", SIZE)]);
    stage.done(&add("b", None), &[]);
    let backup = Backup {
        bitmap: Some("b".into()),
        bitmap_mode: Some(crate::step::BitmapMode::OnSuccess),
        on_source_error: ErrorPolicy::Stop,
        ..full("t")
    };
    stage.done(&start(backup), &states("d", &[Created, Running]));
    let mut status = status(state, M);
    status.jobs[0].io_status = io_status;
    let mut bitmap = report(&[]);
    bitmap.busy = busy;
    bitmap.successor = busy.then(Vec::new);
    status.bitmaps.push(bitmap);
    let mut events = vec![JobEvent::Error {
        job: job("d"),
        side: Side::Read,
        action: ErrorAction::Stop,
    }];
    events.extend(states("d", &[Paused]));
    let fired = [firing("d", IoType::Read, Errno::EIO)];
    let seen = Observation {
        events: &events,
        fired: &fired,
        status: Some(&status),
        ..Observation::of(Reply::Pending)
    };
    stage.show(&Action::Finish { job: job("d") }, &seen);
    stage.broken()
}

#[test]
fn a_job_that_an_error_stopped_says_so_and_keeps_its_bitmap() {
    assert_eq!(stopped(Paused, IoStatus::Failed, true), []);
    assert_eq!(stopped(Paused, IoStatus::Ok, true), [PauseExact]);
    assert_eq!(stopped(Paused, IoStatus::Nospace, true), [PauseExact]);
    let broken = stopped(Running, IoStatus::Failed, true);
    assert_eq!(broken, [JobLifecycle, PauseExact]);
    let broken = stopped(Paused, IoStatus::Failed, false);
    assert_eq!(broken, [AnswersExact, PauseExact]);
}

#[test]
fn a_write_of_nothing_has_nothing_copied() {
    let mut stage = started(none());
    let range = ByteRange::new(M, 0);
    let Action::Guest { at, op } = write(0, 512) else {
        panic!("a write is a guest's request");
    };
    let GuestOp::Write { content, .. } = op else {
        panic!("a write is a write");
    };
    let op = GuestOp::Write {
        range,
        content,
        fua: false,
        compressed: false,
    };
    assert_eq!(stage.copied(&Action::Guest { at, op }, Running, 0), []);
}
