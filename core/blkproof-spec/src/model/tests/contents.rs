//! Contents: restore points, what is demanded, and what wrong bytes break.

use super::{K, M, Stage, add, create, disk, finish, full, increment, read, success, write};
use crate::content::{Bytes, DiskId, WriteNumber};
use crate::errno::Errno;
use crate::event::JobEvent;
use crate::fault::IoType;
use crate::model::{Demand, Observation, Scope, Target, Violation};
use crate::property::Property::{
    GuestReadsWrites, PointInTime, RefusedNotWrong, RestoreExact, RestorePointsSurvive,
};
use crate::reply::Reply;
use crate::status::JobState::{Aborting, Concluded, Created, Null, Running};
use crate::step::{Action, Backup, Check, GuestOp, JobVerb, Reference, Sync, TargetMode};
use crate::units::{ByteRange, Length};

fn stamp(step: u32) -> Bytes {
    Bytes::Stamp {
        disk: DiskId(0),
        write: WriteNumber(step),
    }
}

fn bytes(parts: &[(Bytes, u64, usize)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (bytes, at, len) in parts {
        let mut part = vec![0; *len];
        bytes.generate(*at, &mut part);
        out.extend(part);
    }
    out
}

fn contents(stage: &Stage) -> Vec<Demand> {
    let demands = stage.said.demands.iter();
    demands
        .filter(|demand| demand.scope != Scope::Allocation)
        .cloned()
        .collect()
}

#[test]
fn a_read_is_judged_sector_by_sector() {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&write(512, 512), &[]);
    let data = bytes(&[
        (Bytes::ZERO, 0, 512),
        (stamp(1), 512, 512),
        (Bytes::ZERO, 1024, 512),
    ]);
    let show = |stage: &mut Stage, data: &[u8]| {
        let seen = Observation {
            data,
            ..Observation::of(Reply::Done)
        };
        stage.show(&read(0, 1536), &seen);
        stage.broken()
    };
    assert_eq!(show(&mut stage, &data), []);
    let mut wrong = data.clone();
    wrong[1300] = 1;
    assert_eq!(show(&mut stage, &wrong), [GuestReadsWrites]);
    let mismatch = &stage.said.violations[0].mismatches[0];
    assert_eq!(mismatch.range, ByteRange::new(1024, 512));
    assert_eq!(mismatch.expected, [Bytes::ZERO]);
    assert_eq!(show(&mut stage, &data[..512]), [GuestReadsWrites]);
}

#[test]
fn an_increment_over_its_base_is_a_restore_point() {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&write(0, 64 * K), &[]);
    stage.done(&finish(full("full")), &success("d", M));
    assert_eq!(contents(&stage)[0].scope, Scope::Whole);
    stage.done(&add("b", None), &[]);
    stage.done(&write(128 * K, 64 * K), &[]);
    stage.done(&create("inc", M, 64 * K, Some("full")), &[]);
    stage.done(&finish(increment("inc")), &success("d", 64 * K));
    let demand = contents(&stage)[0].clone();
    assert_eq!(demand.target, Target::Image("inc".into()));
    let copied = ByteRange::new(128 * K, 64 * K);
    assert_eq!(demand.scope, Scope::Within(vec![copied]));
    assert_eq!(stage.model.worth_reading(&demand), [copied]);
    let points: Vec<_> = stage
        .model
        .restore_points()
        .map(|(image, _)| image.as_str().to_owned())
        .collect();
    assert_eq!(points, ["full", "inc"]);

    // Both restore points and the disk are looked at in the end.
    stage.said.clear();
    stage.model.finish(&mut stage.said);
    let demands = contents(&stage);
    assert_eq!(demands.len(), 3);
    assert_eq!(demands[2].property, RestorePointsSurvive);
    let all = [
        ByteRange::new(0, 68 * K),
        ByteRange::new(124 * K, 72 * K),
        ByteRange::new(M - 4 * K, 4 * K),
    ];
    assert_eq!(stage.model.worth_reading(&demands[2]), all);
    let right = bytes(&[(stamp(1), 0, 65536)]);
    stage.model.compare(&demands[2], 0, &right, &mut stage.said);
    assert_eq!(stage.said.violations, []);
}

#[test]
fn what_was_zeroed_is_worth_reading_at_both_ends() {
    let mut stage = Stage::new(vec![disk("d", 64 * M)]);
    stage.done(&write(8 * M, 64 * K), &[]);
    let range = ByteRange::new(0, 32 * M);
    let zeroes = Action::Guest {
        at: crate::step::At::Device("d".into()),
        op: crate::step::GuestOp::WriteZeroes { range, unmap: true },
    };
    stage.done(&zeroes, &[]);
    stage.model.finish(&mut stage.said);
    let demand = contents(&stage)[0].clone();
    let worth = [
        ByteRange::new(0, 64 * K + 4 * K),
        ByteRange::new(32 * M - 68 * K, 72 * K),
        ByteRange::new(64 * M - 4 * K, 4 * K),
    ];
    assert_eq!(stage.model.worth_reading(&demand), worth);
}

#[test]
fn a_gap_in_the_record_makes_no_restore_point() {
    use crate::step::BitmapCommand::{Disable, Enable};
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&finish(full("full")), &success("d", M));
    stage.done(&add("b", None), &[]);
    stage.done(&super::bitmap("b", Disable), &[]);
    stage.done(&write(0, 512), &[]);
    stage.done(&super::bitmap("b", Enable), &[]);
    stage.done(&create("inc", M, 64 * K, Some("full")), &[]);
    stage.done(&finish(increment("inc")), &success("d", 0));
    assert_eq!(stage.model.restore_points().count(), 1);
}

#[test]
fn later_writes_in_a_target_break_the_point_in_time() {
    use crate::status::JobState::{Concluded, Created, Null, Pending, Running, Waiting};
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&write(0, 512), &[]);
    let begun = super::states("d", &[Created, Running]);
    stage.done(&super::start(full("full")), &begun);
    stage.done(&write(0, 512), &[]);
    let mut ended = super::states("d", &[Waiting, Pending]);
    ended.push(super::completed("d", M, M, None));
    ended.extend(super::states("d", &[Concluded, Null]));
    let finish = Action::Finish {
        job: super::job("d"),
    };
    stage.done(&finish, &ended);
    let demands = contents(&stage);
    let image = demands
        .iter()
        .find(|demand| demand.property == RestoreExact)
        .unwrap();
    let (old, new) = (stamp(1), stamp(3));
    let good = bytes(&[(old, 0, 512)]);
    stage.model.compare(image, 0, &good, &mut stage.said);
    assert_eq!(stage.broken(), []);
    let late = bytes(&[(new, 0, 512)]);
    stage.model.compare(image, 0, &late, &mut stage.said);
    assert_eq!(stage.broken(), [RestoreExact, PointInTime]);
}

#[test]
fn an_image_equals_what_the_disk_held_at_a_job() {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&write(0, 512), &[]);
    stage.done(&finish(full("full")), &success("d", M));
    stage.done(&write(0, 512), &[]);
    let check = |equals| Check::Image {
        image: "full".into(),
        equals,
    };
    let point = Reference::Point {
        disk: "d".into(),
        job: super::job("d"),
    };
    let old = bytes(&[(stamp(1), 0, 512)]);
    for (equals, holds) in [(point, true), (Reference::Now("d".into()), false)] {
        stage.said.clear();
        stage.model.check(&check(equals), &mut stage.said);
        let demand = contents(&stage)[0].clone();
        assert_eq!(demand.size, Length(M));
        stage.model.compare(&demand, 0, &old, &mut stage.said);
        assert_eq!(stage.said.violations.is_empty(), holds);
    }
    stage.said.clear();
    stage
        .model
        .check(&check(Reference::Now("nothing".into())), &mut stage.said);
    assert_eq!(stage.broken(), [RestoreExact]);
}

/// What a job copied hides any base, also where it is zero.
#[test]
fn zeroes_hide_a_base_that_comes_later() {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&write(0, 128 * K), &[]);
    stage.done(&finish(full("old")), &success("d", M));
    stage.done(&add("b", None), &[]);
    let zero = Action::Guest {
        at: super::device("d"),
        op: GuestOp::WriteZeroes {
            range: ByteRange::new(0, 64 * K),
            unmap: false,
        },
    };
    stage.done(&zero, &[]);
    stage.done(&create("inc", M, 64 * K, None), &[]);
    stage.done(&finish(increment("inc")), &success("d", 64 * K));
    stage.done(&finish(full("full")), &success("d", M));
    for image in ["inc", "full"] {
        let rebase = Action::Rebase {
            image: image.into(),
            backing: Some("old".into()),
        };
        stage.done(&rebase, &[]);
    }
    let rest = bytes(&[(Bytes::ZERO, 0, 65536), (stamp(1), 65536, 65536)]);
    for reference in ["inc", "full"] {
        let check = Check::Image {
            image: "d".into(),
            equals: Reference::Now(reference.into()),
        };
        stage.said.clear();
        stage.model.check(&check, &mut stage.said);
        let demand = contents(&stage)[0].clone();
        stage.model.compare(&demand, 0, &rest, &mut stage.said);
        assert_eq!(stage.said.violations, []);
    }
}

#[test]
fn what_cannot_be_detected_is_not_judged() {
    use crate::fault::{IoType, Verdict};
    let mut stage = Stage::new(vec![disk("d", M)]);
    let fired = [crate::fault::Firing {
        errno: None,
        verdict: Verdict::Silent,
        ..super::firing("d", IoType::Read, crate::Errno::EIO)
    }];
    let data = vec![7; 512];
    let seen = Observation {
        fired: &fired,
        data: &data,
        ..Observation::of(Reply::Done)
    };
    stage.show(&read(0, 512), &seen);
    assert_eq!(stage.said.violations, []);
    assert!(stage.model.is_undetectable());
    stage.model.finish(&mut stage.said);
    assert_eq!(stage.said.demands, []);
}

/// Shows a full backup's target sector by sector, each with one byte, and returns what is said.
fn compare_sectors(held: impl Fn(u64) -> u8) -> Violation {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&finish(full("full")), &success("d", M));
    let demand = contents(&stage)[0].clone();
    for sector in 0..M / 512 {
        let (at, piece) = (sector * 512, [held(sector); 512]);
        stage.model.compare(&demand, at, &piece, &mut stage.said);
    }
    let about = |violation: &&Violation| violation.property == RestoreExact;
    let violations = &stage.said.violations;
    assert_eq!(violations.iter().filter(about).count(), 1);
    violations.iter().find(about).unwrap().clone()
}

#[test]
fn what_is_wrong_alike_in_adjacent_pieces_is_one_range() {
    let said = compare_sectors(|sector| if sector < 256 { 7 } else { 0 });
    let ranges: Vec<_> = said.mismatches.iter().map(|wrong| wrong.range).collect();
    assert_eq!(ranges, [ByteRange::new(0, 128 * K)]);
    assert!(!said.has_more);
    assert!(!said.to_string().contains("more"), "{said}");
}

#[test]
fn the_limit_counts_merged_ranges_and_says_that_it_cut_the_list() {
    // As many ranges of two sectors as are kept, and then one more.
    let alternate =
        |ranges: u64| move |sector: u64| u8::from(sector < 4 * ranges && sector & 2 == 0);
    let most = Violation::MISMATCHES_MAX as u64;
    let said = compare_sectors(alternate(most));
    assert_eq!(said.mismatches.len(), Violation::MISMATCHES_MAX);
    assert!(!said.has_more);
    let said = compare_sectors(alternate(most + 1));
    assert_eq!(said.mismatches.len(), Violation::MISMATCHES_MAX);
    assert!(said.has_more);
    assert!(
        said.to_string().ends_with("; and more behind these"),
        "{said}"
    );
}

/// A `none` job of disk `d`, whose first clusters hold what step 1 wrote. Its target has no base.
fn saving() -> Stage {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&write(0, 256 * K), &[]);
    stage.done(&create("t", M, 64 * K, None), &[]);
    let backup = Backup {
        mode: TargetMode::Existing,
        ..Backup::new("d".into(), Sync::None, "t".into())
    };
    stage.done(
        &super::start(backup),
        &super::states("d", &[Created, Running]),
    );
    stage
}

fn cancel(stage: &mut Stage) -> Vec<Demand> {
    let mut events = super::states("d", &[Aborting]);
    events.push(JobEvent::Cancelled {
        job: "d".into(),
        len: Length(M),
        offset: Length(64 * K),
        speed: 0,
    });
    events.extend(super::states("d", &[Concluded, Null]));
    let cancel = Action::Job {
        job: super::job("d"),
        verb: JobVerb::Cancel { force: false },
    };
    stage.done(&cancel, &events);
    let demands = stage.said.demands.iter();
    let of_target = demands.filter(|demand| demand.target == Target::Image("t".into()));
    of_target.cloned().collect()
}

#[test]
fn what_the_guest_changed_a_cancelled_job_has_saved() {
    let mut stage = saving();
    stage.done(&write(70 * K, 512), &[]);
    let demands = cancel(&mut stage);
    let scopes: Vec<_> = demands.iter().map(|demand| demand.scope.clone()).collect();
    let saved = Scope::Within(vec![ByteRange::new(64 * K, 64 * K)]);
    assert_eq!(scopes, [Scope::Allocation, saved, Scope::Whole]);
    let mut compare = |demand: &Demand, piece: (Bytes, u64, usize)| {
        stage.said.clear();
        let bytes = bytes(&[piece]);
        stage
            .model
            .compare(demand, piece.1, &bytes, &mut stage.said);
        stage.broken()
    };
    let frozen = (stamp(1), 64 * K, 65536);
    assert_eq!(compare(&demands[1], frozen), []);
    let later = (stamp(4), 70 * K, 512);
    assert_eq!(compare(&demands[1], later), [RestoreExact, PointInTime]);
    let nothing = (Bytes::ZERO, 64 * K, 65536);
    assert_eq!(compare(&demands[1], nothing), [RestoreExact]);
    // What nobody touched is as the job found it.
    assert_eq!(compare(&demands[2], (Bytes::ZERO, 0, 65536)), []);
    assert_eq!(compare(&demands[2], (stamp(1), 0, 65536)), [RestoreExact]);
}

#[test]
fn what_a_request_that_failed_left_in_the_target_is_open() {
    let mut stage = saving();
    let fired = [super::firing("d", IoType::Read, Errno::EIO)];
    let failed = Observation {
        fired: &fired,
        ..Observation::of(Reply::Failed(Errno::EIO))
    };
    stage.show(&write(70 * K, 512), &failed);
    assert_eq!(stage.said.violations, []);
    let demands = cancel(&mut stage);
    assert_eq!(demands[1].scope, Scope::Within(Vec::new()));
    for held in [Bytes::ZERO, stamp(1)] {
        let bytes = bytes(&[(held, 70 * K, 512)]);
        let mut model = stage.model.clone();
        model.compare(&demands[2], 70 * K, &bytes, &mut stage.said);
        assert_eq!(stage.said.violations, []);
    }
    let bytes = bytes(&[(stamp(3), 70 * K, 512)]);
    stage
        .model
        .compare(&demands[2], 70 * K, &bytes, &mut stage.said);
    assert_eq!(stage.broken(), [RestoreExact, RefusedNotWrong]);
}

#[test]
fn a_target_that_a_fault_struck_is_not_judged() {
    let mut stage = saving();
    let fired = [super::firing("t", IoType::Write, Errno::EIO)];
    let failed = Observation {
        fired: &fired,
        ..Observation::of(Reply::Failed(Errno::EIO))
    };
    stage.show(&write(70 * K, 512), &failed);
    assert_eq!(stage.said.violations, []);
    assert_eq!(cancel(&mut stage), []);
}
