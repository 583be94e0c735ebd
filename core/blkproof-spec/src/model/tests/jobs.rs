//! Jobs: lengths that QEMU was seen to report, errors, and how a life goes on.

use super::{
    K, M, Stage, add, completed, create, disk, finish, firing, full, increment, job, report, start,
    states, success, write,
};
use crate::errno::Errno;
use crate::event::{ErrorAction, JobEvent, Side};
use crate::fault::IoType;
use crate::model::Observation;
use crate::property::Property::{
    AnswersExact, CopyMinimal, DirtyRecovers, DirtySound, ErrorsCaused, FaultSurfaces,
    GuestUnharmed, JobLifecycle, NoCrash,
};
use crate::reply::Reply;
use crate::status::JobState::{
    Aborting, Concluded, Created, Null, Paused, Pending, Running, Waiting,
};
use crate::status::{IoStatus, JobStatus, Status};
use crate::step::{Action, Backup, ErrorPolicy, JobVerb};
use crate::units::{ByteRange, Length};

/// A disk of 64 MiB with the writes of G1 recorded by bitmap `b`, and a target of this cluster
/// size.
fn seed(cluster: u64) -> Stage {
    let mut stage = Stage::new(vec![disk("d", 64 * M)]);
    stage.done(&finish(full("full")), &success("d", 64 * M));
    stage.done(&add("b", None), &[]);
    stage.done(&write(0, 512), &[]);
    stage.done(&write(16 * M, 256 * K), &[]);
    stage.done(&write(32736 * K, 64 * K), &[]);
    stage.done(&create("inc", 64 * M, cluster, Some("full")), &[]);
    stage
}

#[test]
fn lengths_are_in_job_clusters() {
    // G2, G4, and the same with smaller clusters, which count as 64 KiB.
    for (cluster, len) in [(64 * K, 458_752), (128 * K, 655_360), (4 * K, 458_752)] {
        seed(cluster).done(&finish(increment("inc")), &success("d", len));
        let mut stage = seed(cluster);
        let events = success("d", len + 64 * K);
        let seen = Observation {
            events: &events,
            ..Observation::of(Reply::Done)
        };
        stage.show(&finish(increment("inc")), &seen);
        assert_eq!(stage.broken(), [AnswersExact, CopyMinimal]);
    }
}

#[test]
fn one_cluster_dirty_makes_one_cluster_of_any_size() {
    // G19, and G18's odd end.
    for (cluster, least, len) in [
        (64 * K, None, 64 * K),
        (128 * K, None, 128 * K),
        (2 * M, None, 2 * M),
        (64 * K, Some(4 * M), 4 * M),
    ] {
        let mut stage = Stage::new(vec![disk("d", 4 * M)]);
        stage.done(&add("b", None), &[]);
        stage.done(&write(M, 64 * K), &[]);
        stage.done(&create("inc", 4 * M, cluster, None), &[]);
        let backup = Backup {
            min_cluster: least.map(Length),
            ..increment("inc")
        };
        stage.done(&finish(backup), &success("d", len));
    }
    let mut stage = Stage::new(vec![disk("d", M + 512)]);
    stage.done(&finish(full("full")), &success("d", 1_114_112));
    stage.done(&add("b", None), &[]);
    stage.done(&write(M, 512), &[]);
    stage.done(&create("inc", M + 512, 64 * K, Some("full")), &[]);
    stage.done(&finish(increment("inc")), &success("d", 65536));
}

/// What a job that fails on its first read brings.
fn failure() -> Vec<JobEvent> {
    let mut events = states("d", &[Created, Running]);
    events.push(JobEvent::Error {
        job: job("d"),
        side: Side::Read,
        action: ErrorAction::Report,
    });
    events.extend(states("d", &[Aborting]));
    events.push(completed("d", 458_752, 393_216, Some(Errno::EIO)));
    events.extend(states("d", &[Concluded, Null]));
    events
}

#[test]
fn a_failure_needs_a_fault_and_gives_the_bitmap_back() {
    // G5 and G6.
    let events = failure();
    let fired = [firing("d", IoType::Read, Errno::EIO)];
    let dirty = [
        ByteRange::new(0, 64 * K),
        ByteRange::new(16 * M, 256 * K),
        ByteRange::new(32704 * K, 128 * K),
    ];
    for (fired, dirty, broken) in [
        (&fired[..], &dirty[..], vec![]),
        (&[], &dirty[..], vec![ErrorsCaused]),
        (&fired[..], &dirty[1..], vec![DirtySound, DirtyRecovers]),
    ] {
        let mut stage = seed(64 * K);
        let status = Status {
            bitmaps: vec![report(dirty)],
            jobs: Vec::new(),
        };
        let seen = Observation {
            events: &events,
            fired,
            status: Some(&status),
            ..Observation::of(Reply::Failed(Errno::EIO))
        };
        stage.show(&finish(increment("inc")), &seen);
        assert_eq!(stage.broken(), broken);
    }
}

#[test]
fn an_error_that_nobody_reports_is_found() {
    let mut stage = seed(64 * K);
    let events = success("d", 458_752);
    let fired = [firing("inc", IoType::Write, Errno::EIO)];
    let seen = Observation {
        events: &events,
        fired: &fired,
        ..Observation::of(Reply::Done)
    };
    stage.show(&finish(increment("inc")), &seen);
    assert_eq!(stage.broken(), [FaultSurfaces]);
}

#[test]
fn a_stopped_job_is_paused_and_goes_on_when_told() {
    // G7.
    let mut stage = seed(64 * K);
    let mut events = states("d", &[Created, Running]);
    events.push(JobEvent::Error {
        job: job("d"),
        side: Side::Read,
        action: ErrorAction::Stop,
    });
    events.extend(states("d", &[Paused]));
    let fired = [firing("d", IoType::Read, Errno::EIO)];
    let mut bitmap = report(&[
        ByteRange::new(0, 64 * K),
        ByteRange::new(16 * M, 256 * K),
        ByteRange::new(32704 * K, 128 * K),
    ]);
    bitmap.busy = true;
    let paused = JobStatus {
        job: job("d"),
        state: Paused,
        len: Length(458_752),
        offset: Length(393_216),
        speed: 0,
        io_status: IoStatus::Failed,
        end: None,
    };
    let status = Status {
        bitmaps: vec![bitmap],
        jobs: vec![paused],
    };
    let seen = Observation {
        events: &events,
        fired: &fired,
        status: Some(&status),
        ..Observation::of(Reply::Pending)
    };
    let backup = Backup {
        on_source_error: ErrorPolicy::Stop,
        ..increment("inc")
    };
    stage.show(&finish(backup), &seen);
    assert_eq!(stage.said.violations, []);
    let resume = Action::Job {
        job: job("d"),
        verb: JobVerb::Resume,
    };
    stage.done(&resume, &states("d", &[Running]));
    let mut ended = states("d", &[Waiting, Pending]);
    ended.push(completed("d", 458_752, 458_752, None));
    ended.extend(states("d", &[Concluded, Null]));
    stage.done(&Action::Finish { job: job("d") }, &ended);
    assert_eq!(stage.report(report(&[])), []);
}

#[test]
fn a_guest_write_fails_for_a_target_only_while_it_is_copied() {
    let fired = [firing("full", IoType::Write, Errno::ENOSPC)];
    let failed = Observation {
        fired: &fired,
        ..Observation::of(Reply::Failed(Errno::ENOSPC))
    };
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&add("b", None), &[]);
    stage.done(&start(full("full")), &states("d", &[Created, Running]));
    stage.show(&write(0, 512), &failed);
    assert_eq!(stage.said.violations, []);
    stage.done(
        &Action::Job {
            job: job("d"),
            verb: JobVerb::Pause,
        },
        &[],
    );

    let mut stage = Stage::new(vec![disk("d", M)]);
    let backup = Backup {
        auto_finalize: false,
        ..full("full")
    };
    let mut events = states("d", &[Created, Running, Waiting, Pending]);
    events.push(JobEvent::Pending { job: job("d") });
    let seen = Observation {
        events: &events,
        ..Observation::of(Reply::Pending)
    };
    stage.show(&finish(backup), &seen);
    assert_eq!(stage.said.violations, []);
    stage.show(&write(0, 512), &failed);
    assert_eq!(stage.broken(), [GuestUnharmed]);
}

#[test]
fn a_life_has_one_way() {
    let mut twice = success("d", M);
    twice.extend(states("d", &[Null]));
    let mut skips = states("d", &[Created, Running, Pending]);
    skips.push(completed("d", M, M, None));
    skips.extend(states("d", &[Concluded, Null]));
    let mut silent = states("d", &[Created, Running, Waiting, Pending]);
    silent.extend(states("d", &[Concluded, Null]));
    for events in [twice, skips, silent] {
        let mut stage = Stage::new(vec![disk("d", M)]);
        let seen = Observation {
            events: &events,
            ..Observation::of(Reply::Done)
        };
        stage.show(&finish(full("full")), &seen);
        assert!(stage.broken().contains(&JobLifecycle), "{events:?}");
    }
}

#[test]
fn a_job_that_is_left_running_hangs() {
    let mut stage = Stage::new(vec![disk("d", M)]);
    let events = states("d", &[Created, Running]);
    let seen = Observation {
        events: &events,
        ..Observation::of(Reply::Pending)
    };
    stage.show(&finish(full("full")), &seen);
    assert_eq!(stage.broken(), [NoCrash]);
}

#[test]
fn the_end_comes_when_everything_is_done() {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&start(full("full")), &states("d", &[Created, Running]));
    assert_eq!(stage.model.next_cleanup(), Some(Action::LiftAll));
    stage.done(&Action::LiftAll, &[]);
    let cancel = stage.model.next_cleanup().unwrap();
    let mut events = states("d", &[Aborting]);
    events.push(JobEvent::Cancelled {
        job: job("d"),
        len: Length(M),
        offset: Length(0),
        speed: 0,
    });
    events.extend(states("d", &[Concluded, Null]));
    stage.done(&cancel, &events);
    let backup = stage.model.next_cleanup().unwrap();
    stage.done(&backup, &success("fresh-d", M));
    assert_eq!(stage.model.next_cleanup(), None);
}
