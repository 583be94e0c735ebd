//! What is refused, and for which of several reasons.

use super::{
    K, M, Stage, add, bitmap, create, device, disk, finish, firing, full, increment, job, start,
    states, success,
};
use crate::errno::Errno;
use crate::fault::IoType;
use crate::model::Observation;
use crate::property::Property::{AnswersExact, ErrorsCaused, RefusalHarmless};
use crate::reply::{Refusal, Reply};
use crate::scenario::Role;
use crate::status::JobState::{Created, Running};
use crate::step::{
    Action, At, Backup, BitmapCommand, BitmapMode, BitmapStep, JobVerb, Sync, TargetMode,
};
use crate::units::Length;

/// Asserts that the model takes this refusal for right and another one for wrong.
fn refused(stage: &Stage, action: &Action, refusal: Refusal) {
    for (answer, right) in [(refusal, true), (Refusal::NoSuchTag, false)] {
        let mut stage = Stage {
            model: stage.model.clone(),
            number: stage.number,
            said: crate::Judgement::default(),
        };
        stage.show(action, &Observation::of(Reply::Refused(answer)));
        let broken = stage.broken();
        assert_eq!(broken.is_empty(), right, "{action:?} {answer} {broken:?}");
    }
}

fn stage() -> Stage {
    let node = crate::DiskSetup {
        role: Role::Node,
        ..disk("n", M)
    };
    let mut stage = Stage::new(vec![disk("d", M), node]);
    stage.done(&add("b", None), &[]);
    stage.done(&create("t", M, 64 * K, None), &[]);
    stage.done(&create("small", M / 2, 64 * K, None), &[]);
    stage
}

/// A backup with everything wrong at once, from which one mistake after the other is mended.
#[test]
fn backups_are_checked_in_one_order() {
    let stage = stage();
    let mut backup = Backup {
        job: Some(job("1j")),
        at: device("nowhere"),
        bitmap_mode: Some(BitmapMode::Never),
        mode: TargetMode::Existing,
        min_cluster: Some(Length(1000)),
        speed: -1,
        ..Backup::new("d".into(), Sync::Incremental, "missing".into())
    };
    let expect = |backup: &Backup, refusal| refused(&stage, &finish(backup.clone()), refusal);
    expect(&backup, Refusal::NoSuchDevice);
    backup.at = device("d");
    expect(&backup, Refusal::ImageMissing);
    backup.target = "n".into();
    expect(&backup, Refusal::ImageInUse);
    backup.target = "small".into();
    expect(&backup, Refusal::BitmapRequired);
    backup.bitmap = Some("unknown".into());
    expect(&backup, Refusal::BitmapModeNotOnSuccess);
    backup.bitmap_mode = None;
    expect(&backup, Refusal::BackupBitmapNotFound);
    backup.bitmap = Some("b".into());
    backup.sync = Sync::None;
    expect(&backup, Refusal::BitmapModeRequired);
    backup.bitmap_mode = Some(BitmapMode::Never);
    expect(&backup, Refusal::BitmapWithSyncNone);
    backup.sync = Sync::Full;
    expect(&backup, Refusal::BitmapModeNeverUseless);
    backup.bitmap = None;
    expect(&backup, Refusal::BitmapModeWithoutBitmap);
    backup.bitmap_mode = None;
    expect(&backup, Refusal::SizesDiffer);
    backup.target = "t".into();
    expect(&backup, Refusal::BadMinCluster);
    backup.min_cluster = None;
    expect(&backup, Refusal::InvalidJobId);
    backup.job = None;
    expect(&backup, Refusal::NegativeSpeed);
    backup.speed = 0;
    let mut stage = stage;
    stage.done(&finish(backup), &success("d", M));
}

#[test]
fn a_node_without_a_device_gives_no_job_id() {
    let backup = Backup {
        mode: TargetMode::Existing,
        ..Backup::new("n".into(), Sync::Full, "t".into())
    };
    refused(&stage(), &finish(backup), Refusal::InvalidJobId);
}

#[test]
fn during_a_job_device_and_node_differ() {
    let mut stage = stage();
    let begun = states("d", &[Created, Running]);
    stage.done(&start(increment("t")), &begun);
    let clear = |at| {
        Action::Bitmap(BitmapStep {
            at,
            name: "b".into(),
            command: BitmapCommand::Clear,
        })
    };
    let node = || At::Node("d".into());
    refused(&stage, &clear(device("d")), Refusal::NoSuchBitmap);
    refused(&stage, &clear(node()), Refusal::BitmapBusy);
    let resize = |at| Action::Resize {
        at,
        size: Length(1000),
    };
    refused(&stage, &resize(device("d")), Refusal::NodeBusy);
    refused(&stage, &resize(node()), Refusal::PermissionConflict);
    refused(&stage, &finish(full("new")), Refusal::NodeBusy);
    let other = Backup {
        at: node(),
        ..full("new")
    };
    refused(&stage, &finish(other.clone()), Refusal::InvalidJobId);
    let named = Backup {
        job: Some(job("d")),
        ..other
    };
    refused(&stage, &finish(named), Refusal::JobIdInUse);
    let remove = Action::Remove { image: "t".into() };
    refused(&stage, &remove, Refusal::ImageInUse);
}

#[test]
fn bitmaps_are_checked_in_one_order() {
    let stage = stage();
    let long = "x".repeat(1024);
    let add = |at: &str, name: &str, granularity: u64| {
        Action::Bitmap(BitmapStep {
            at: device(at),
            name: name.into(),
            command: BitmapCommand::Add {
                granularity: Some(Length(granularity)),
                persistent: false,
                disabled: false,
            },
        })
    };
    refused(
        &stage,
        &add("nope", "", 1 << 33),
        Refusal::GranularityTooLarge,
    );
    refused(&stage, &add("nope", "", 1000), Refusal::EmptyBitmapName);
    refused(&stage, &add("nope", &long, 1000), Refusal::NoSuchDevice);
    refused(&stage, &add("d", &long, 64000), Refusal::BadGranularity);
    refused(&stage, &add("d", &long, 512), Refusal::BitmapNameTooLong);
    refused(&stage, &add("d", "b", 512), Refusal::BitmapExists);
    let merge = BitmapCommand::Merge {
        sources: vec![(None, "missing".into()), (Some(device("nope")), "b".into())],
    };
    refused(&stage, &bitmap("b", merge), Refusal::NoSuchBitmap);
}

#[test]
fn verbs_fit_states() {
    let mut stage = stage();
    let verb = |verb| Action::Job {
        job: job("d"),
        verb,
    };
    refused(&stage, &verb(JobVerb::Pause), Refusal::NoSuchJob);
    let begun = states("d", &[Created, Running]);
    stage.done(&start(increment("t")), &begun);
    refused(&stage, &verb(JobVerb::Complete), Refusal::WrongJobState);
    refused(&stage, &verb(JobVerb::Finalize), Refusal::WrongJobState);
    refused(&stage, &verb(JobVerb::Dismiss), Refusal::WrongJobState);
    refused(&stage, &verb(JobVerb::Resume), Refusal::NotPaused);
    refused(&stage, &verb(JobVerb::SetSpeed(-1)), Refusal::NegativeSpeed);
    stage.done(&verb(JobVerb::Pause), &[]);
    refused(&stage, &verb(JobVerb::Pause), Refusal::AlreadyPaused);
    let cancel = verb(JobVerb::Cancel { force: false });
    refused(&stage, &cancel, Refusal::JobPaused);
}

#[test]
fn a_refusal_for_nothing_is_spurious() {
    let mut stage = stage();
    let refused = Observation::of(Reply::Refused(Refusal::BitmapExists));
    stage.show(&add("c", None), &refused);
    assert_eq!(stage.broken(), [AnswersExact, ErrorsCaused]);
    stage.show(&add("b", None), &Observation::of(Reply::Done));
    assert_eq!(stage.broken(), [RefusalHarmless]);
}

/// A disk `d`, and an image `x` of its size whose rebase onto it failed.
fn half_rebased() -> Stage {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.done(&create("x", M, 64 * K, None), &[]);
    let rebase = Action::Rebase {
        image: "x".into(),
        backing: Some("d".into()),
    };
    let fired = [firing("x", IoType::Flush, Errno::EIO)];
    let failed = Observation {
        fired: &fired,
        ..Observation::of(Reply::Failed(Errno::EIO))
    };
    stage.show(&rebase, &failed);
    assert_eq!(stage.said.violations, []);
    stage
}

#[test]
fn an_answer_tells_on_which_file_an_image_stands_whose_rebase_failed() {
    let backup = || {
        finish(Backup {
            mode: TargetMode::Existing,
            ..full("x")
        })
    };
    let in_use = Observation::of(Reply::Refused(Refusal::ImageInUse));
    // It stands on the disk, and does so from then on.
    let mut stage = half_rebased();
    stage.show(&backup(), &in_use);
    assert_eq!(stage.said.violations, []);
    stage.show(&backup(), &Observation::of(Reply::Done));
    assert_eq!(stage.broken(), [RefusalHarmless]);
    // It stands on nothing.
    half_rebased().done(&backup(), &success("d", M));
    // Neither explains this.
    let mut stage = half_rebased();
    stage.show(
        &backup(),
        &Observation::of(Reply::Refused(Refusal::SizesDiffer)),
    );
    assert_eq!(stage.broken(), [AnswersExact, ErrorsCaused]);
    // The rebase is made once more.
    let mut stage = half_rebased();
    let rebase = Action::Rebase {
        image: "x".into(),
        backing: None,
    };
    stage.done(&rebase, &[]);
    stage.show(&backup(), &in_use);
    assert!(!stage.broken().is_empty(), "nothing is in doubt any more");
}
