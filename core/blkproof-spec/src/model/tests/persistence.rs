//! Bitmaps that outlive the subject: what may be seen of them after a restart.

use super::{K, M, Stage, bitmap, disk, finish, firing, increment, report, write};
use crate::content::{Bytes, DiskId, WriteNumber};
use crate::errno::Errno;
use crate::fault::IoType;
use crate::model::Observation;
use crate::name::BitmapName;
use crate::power::{Lost, PowerCut};
use crate::property::Property::{
    self, AnswersExact, BitmapHonest, DirtyPrecise, DirtySound, RefusalHarmless,
};
use crate::reply::{Refusal, Reply};
use crate::status::{BitmapStatus, Status};
use crate::step::{Action, BitmapCommand, GuestOp};
use crate::units::{ByteRange, Length};

fn add(persistent: bool) -> Action {
    bitmap(
        "b",
        BitmapCommand::Add {
            granularity: None,
            persistent,
            disabled: false,
        },
    )
}

fn stage(persistent: bool) -> Stage {
    let mut stage = Stage::new(vec![disk("d", 64 * M)]);
    stage.done(&add(persistent), &[]);
    stage.done(&write(M, 128 * K), &[]);
    stage
}

/// Shows a restart with what is reported after it; `struck` by an error or not.
fn restart(stage: &mut Stage, seen: Vec<BitmapStatus>, struck: bool) -> Vec<Property> {
    let status = Status {
        bitmaps: seen,
        jobs: Vec::new(),
    };
    let fired = [firing("d", IoType::Write, Errno::EIO)];
    let seen = Observation {
        status: Some(&status),
        fired: if struck { &fired } else { &[] },
        ..Observation::of(Reply::Done)
    };
    stage.show(&Action::Restart, &seen);
    stage.broken()
}

fn dirty(start: u64, len: u64) -> BitmapStatus {
    BitmapStatus {
        persistent: true,
        ..report(&[ByteRange::new(start, len)])
    }
}

fn dirty_nothing() -> BitmapStatus {
    BitmapStatus {
        persistent: true,
        ..report(&[])
    }
}

fn flush() -> Action {
    Action::Guest {
        at: super::device("d"),
        op: GuestOp::Flush,
    }
}

fn inconsistent() -> BitmapStatus {
    BitmapStatus {
        persistent: true,
        inconsistent: true,
        recording: false,
        ..report(&[])
    }
}

#[test]
fn what_is_stored_comes_back_exactly() {
    assert_eq!(
        restart(&mut stage(true), vec![dirty(M, 128 * K)], false),
        []
    );
    let short = restart(&mut stage(true), vec![dirty(M, 64 * K)], false);
    assert_eq!(short, [DirtySound, BitmapHonest]);
    let long = restart(&mut stage(true), vec![dirty(M, 192 * K)], false);
    assert_eq!(long, [DirtyPrecise]);
    let lost = restart(&mut stage(true), vec![inconsistent()], false);
    assert!(lost.contains(&AnswersExact), "{lost:?}");
    assert_eq!(restart(&mut stage(true), vec![], false), [AnswersExact]);
    assert_eq!(restart(&mut stage(false), vec![], false), []);
    let ghost = restart(&mut stage(false), vec![dirty(M, 128 * K)], false);
    assert_eq!(ghost, [AnswersExact]);
}

#[test]
fn where_storing_may_have_failed_all_that_is_honest_is_accepted() {
    for seen in [vec![], vec![inconsistent()], vec![dirty(M, 128 * K)]] {
        assert_eq!(restart(&mut stage(true), seen, true), []);
    }
    let short = restart(&mut stage(true), vec![dirty(M, 64 * K)], true);
    assert_eq!(short, [DirtySound, BitmapHonest]);
    // A bitmap that is in the file is flagged there, whatever becomes of it.
    let mut stored = stage(true);
    assert_eq!(restart(&mut stored, vec![dirty(M, 128 * K)], false), []);
    assert_eq!(restart(&mut stored, vec![], true), [AnswersExact]);
}

#[test]
fn what_is_inconsistent_is_refused_and_removed() {
    let mut stage = stage(true);
    assert_eq!(restart(&mut stage, vec![inconsistent()], true), []);
    let refused = Observation::of(Reply::Refused(Refusal::BitmapInconsistent));
    let size = |size| Action::Resize {
        at: super::device("d"),
        size: Length(size),
    };
    let commands = [
        bitmap("b", BitmapCommand::Clear),
        bitmap("b", BitmapCommand::Enable),
        size(32 * M),
    ];
    for command in &commands {
        stage.show(command, &refused);
        assert_eq!(stage.broken(), []);
        let mut trusting = Stage {
            model: stage.model.clone(),
            number: 9,
            said: super::Judgement::default(),
        };
        trusting.show(command, &Observation::of(Reply::Done));
        assert_eq!(trusting.broken(), [BitmapHonest, RefusalHarmless]);
    }
    stage.show(&finish(increment("t")), &refused);
    assert_eq!(
        stage.report(dirty(M, 128 * K))[..2],
        [AnswersExact, BitmapHonest]
    );
    stage.done(&bitmap("b", BitmapCommand::Remove), &[]);
    stage.done(&size(32 * M), &[]);
    stage.done(&add(true), &[]);
}

/// Without reports, the first command that asks for the bitmap tells what became of it.
#[test]
fn answers_tell_what_no_report_told() {
    let hidden = || {
        let mut stage = stage(true);
        let fired = [firing("d", IoType::Write, Errno::EIO)];
        let seen = Observation {
            fired: &fired,
            ..Observation::of(Reply::Done)
        };
        stage.show(&Action::Restart, &seen);
        stage
    };
    let clear = bitmap("b", BitmapCommand::Clear);
    for (answer, then) in [
        (Reply::Done, Reply::Done),
        (
            Reply::Refused(Refusal::BitmapInconsistent),
            Reply::Refused(Refusal::BitmapInconsistent),
        ),
        (
            Reply::Refused(Refusal::NoSuchBitmap),
            Reply::Refused(Refusal::NoSuchBitmap),
        ),
    ] {
        let mut stage = hidden();
        for answer in [answer, then] {
            stage.show(&clear, &Observation::of(answer));
            assert_eq!(stage.broken(), []);
        }
        let other = match answer {
            Reply::Done => Reply::Refused(Refusal::BitmapInconsistent),
            _ => Reply::Done,
        };
        stage.show(&clear, &Observation::of(other));
        assert!(!stage.broken().is_empty());
    }
    let mut stage = hidden();
    stage.done(&add(true), &[]);
    assert_eq!(
        stage.report(BitmapStatus {
            persistent: true,
            ..report(&[])
        }),
        []
    );
}

#[test]
fn a_bitmap_that_no_file_holds_is_refused_or_lost() {
    let mut stage = Stage::new(vec![disk("d", 8 << 40)]);
    let fine = bitmap(
        "b",
        BitmapCommand::Add {
            granularity: Some(Length(K)),
            persistent: true,
            disabled: false,
        },
    );
    let refused = Observation::of(Reply::Refused(Refusal::BitmapTooLarge));
    stage.show(&fine, &refused);
    assert_eq!(stage.broken(), []);
    stage.show(&fine, &Observation::of(Reply::Done));
    assert_eq!(stage.broken(), [RefusalHarmless]);
    let mut stage = self::stage(true);
    let size = Action::Resize {
        at: super::device("d"),
        size: Length(0),
    };
    stage.done(&size, &[]);
    assert_eq!(restart(&mut stage, vec![], false), []);
}

/// A resize tells of what may never have been stored that it is not inconsistent, no more.
#[test]
fn a_resize_tells_true_from_inconsistent_but_not_from_gone() {
    for (seen, broken) in [
        (vec![], vec![]),
        (vec![dirty(M, 128 * K)], vec![]),
        (vec![dirty(M, 64 * K)], vec![DirtySound, BitmapHonest]),
    ] {
        let mut stage = stage(true);
        let fired = [firing("d", IoType::Write, Errno::EIO)];
        let failed = Observation {
            fired: &fired,
            ..Observation::of(Reply::Done)
        };
        stage.show(&Action::Restart, &failed);
        let status = Status {
            bitmaps: seen,
            jobs: Vec::new(),
        };
        let resized = Observation {
            status: Some(&status),
            ..Observation::of(Reply::Done)
        };
        let size = Action::Resize {
            at: super::device("d"),
            size: Length(65 * M),
        };
        stage.show(&size, &resized);
        assert_eq!(stage.broken(), broken);
    }
}

/// What is left after a kill is no more durable than before: a cut may take back that a bitmap was
/// removed, as long as nothing was flushed since.
#[test]
fn what_a_kill_removed_may_come_back_until_it_is_flushed() {
    let status = |bitmaps| Status {
        bitmaps,
        jobs: Vec::new(),
    };
    let nothing = status(vec![]);
    let back = status(vec![inconsistent()]);
    for (flushed, broken) in [(false, vec![]), (true, vec![AnswersExact])] {
        let mut stage = Stage::new(vec![disk("d", 64 * M)]);
        stage.model.expect_power_losses();
        stage.done(&add(true), &[]);
        assert_eq!(restart(&mut stage, vec![dirty_nothing()], false), []);
        let killed = Observation {
            killed: true,
            status: Some(&nothing),
            ..Observation::of(Reply::Cut)
        };
        stage.show(&bitmap("b", BitmapCommand::Remove), &killed);
        assert_eq!(stage.broken(), []);
        if flushed {
            stage.done(&flush(), &[]);
        }
        let cut = Observation {
            status: Some(&back),
            ..Observation::of(Reply::Done)
        };
        stage.show(&Action::PowerCut(PowerCut::new(Lost::All)), &cut);
        assert_eq!(stage.broken(), broken, "flushed: {flushed}");
    }
}

/// A bitmap that is in the file, and a disk that is written then: flushed, through, or neither.
fn written(flushed: bool, fua: bool) -> Stage {
    let mut stage = Stage::new(vec![disk("d", 64 * M)]);
    stage.model.expect_power_losses();
    stage.done(&add(true), &[]);
    assert_eq!(restart(&mut stage, vec![dirty_nothing()], false), []);
    let mut step = write(M, 512);
    if let Action::Guest {
        op: GuestOp::Write { fua: through, .. },
        ..
    } = &mut step
    {
        *through = fua;
    }
    stage.done(&step, &[]);
    if flushed {
        stage.done(&flush(), &[]);
    }
    stage
}

/// Cuts the power in a step of its own, or in the midst of `step`, with what is reported after it.
fn cut(stage: &mut Stage, step: Option<&Action>, seen: BitmapStatus) -> Vec<Property> {
    let status = Status {
        bitmaps: vec![seen],
        jobs: Vec::new(),
    };
    let here = Action::PowerCut(PowerCut::new(Lost::All));
    let reply = step.map_or(Reply::Done, |_| Reply::Cut);
    let seen = Observation {
        status: Some(&status),
        ..Observation::of(reply)
    };
    stage.show(step.unwrap_or(&here), &seen);
    stage.broken()
}

/// Shows that the sector at 1 MiB holds what this step wrote, or zeroes; then what is reported.
fn found(stage: &mut Stage, step: Option<u32>, seen: BitmapStatus) -> Vec<Property> {
    let mut data = vec![0; 512];
    if let Some(step) = step {
        let write = WriteNumber(step);
        let disk = DiskId(0);
        Bytes::Stamp { disk, write }.generate(M, &mut data);
    }
    let read = super::read(M, 512);
    let shown = Observation {
        data: &data,
        ..Observation::of(Reply::Done)
    };
    stage.show(&read, &shown);
    assert_eq!(stage.broken(), []);
    stage.report(seen)
}

#[test]
fn a_lost_write_need_not_be_dirty_and_one_that_is_there_must() {
    for (step, broken) in [(None, &[][..]), (Some(3), &[DirtySound, BitmapHonest])] {
        let mut stage = written(false, false);
        assert_eq!(cut(&mut stage, None, dirty_nothing()), []);
        assert_eq!(found(&mut stage, step, dirty_nothing()), broken);
    }
    // Dirty is right in any case.
    for step in [None, Some(3)] {
        let mut stage = written(false, false);
        assert_eq!(cut(&mut stage, None, dirty(M, 64 * K)), []);
        assert_eq!(found(&mut stage, step, dirty(M, 64 * K)), []);
    }
}

#[test]
fn what_is_durable_has_to_be_dirty_behind_a_cut() {
    for (flushed, fua) in [(true, false), (false, true)] {
        let mut stage = written(flushed, fua);
        let short = cut(&mut stage, None, dirty_nothing());
        assert_eq!(short, [DirtySound, BitmapHonest], "{flushed} {fua}");
    }
    // Nor does another write to the same granule that is lost change that.
    let mut stage = written(true, false);
    stage.done(&write(M + 4 * K, 512), &[]);
    assert_eq!(
        cut(&mut stage, None, dirty_nothing()),
        [DirtySound, BitmapHonest]
    );
}

#[test]
fn what_a_merge_made_dirty_is_not_taken_back_with_the_data() {
    let mut stage = written(false, false);
    let add = |name| super::add(name, None);
    stage.done(&add("other"), &[]);
    stage.done(&write(M, 512), &[]);
    let sources = vec![(None, BitmapName::new("other"))];
    stage.done(&bitmap("b", BitmapCommand::Merge { sources }), &[]);
    assert_eq!(
        cut(&mut stage, None, dirty_nothing()),
        [DirtySound, BitmapHonest]
    );
}

#[test]
fn a_write_in_whose_midst_power_was_lost_must_be_dirty_if_it_is_there() {
    for (step, broken) in [(None, &[][..]), (Some(3), &[DirtySound, BitmapHonest])] {
        let mut stage = Stage::new(vec![disk("d", 64 * M)]);
        stage.model.expect_power_losses();
        stage.done(&add(true), &[]);
        assert_eq!(restart(&mut stage, vec![dirty_nothing()], false), []);
        let write = write(M, 512);
        assert_eq!(cut(&mut stage, Some(&write), dirty_nothing()), []);
        assert_eq!(found(&mut stage, step, dirty_nothing()), broken);
    }
}

#[test]
fn what_a_kill_left_may_still_be_lost_with_its_bits() {
    let mut stage = written(false, false);
    let status = Status {
        bitmaps: vec![dirty(M, 64 * K)],
        jobs: Vec::new(),
    };
    let kill = Observation {
        killed: true,
        status: Some(&status),
        ..Observation::of(Reply::Done)
    };
    stage.show(&Action::Kill { at: None }, &kill);
    assert_eq!(stage.broken(), []);
    assert_eq!(found(&mut stage, Some(3), dirty(M, 64 * K)), []);
    assert_eq!(cut(&mut stage, None, dirty_nothing()), []);
    assert_eq!(found(&mut stage, None, dirty_nothing()), []);
}

/// The other way round: what a killed shutdown stored for the first time may be gone again, until
/// it is flushed.
#[test]
fn what_a_kill_left_stored_may_be_gone_until_it_is_flushed() {
    let status = |bitmaps| Status {
        bitmaps,
        jobs: Vec::new(),
    };
    let stored = status(vec![dirty(M, 128 * K)]);
    let gone = status(vec![]);
    for (flushed, broken) in [(false, vec![]), (true, vec![AnswersExact])] {
        let mut stage = Stage::new(vec![disk("d", 64 * M)]);
        stage.model.expect_power_losses();
        stage.done(&add(true), &[]);
        stage.done(&write(M, 128 * K), &[]);
        stage.done(&flush(), &[]);
        let killed = Observation {
            killed: true,
            status: Some(&stored),
            ..Observation::of(Reply::Cut)
        };
        stage.show(&Action::Restart, &killed);
        assert_eq!(stage.broken(), []);
        if flushed {
            stage.done(&flush(), &[]);
        }
        let cut = Observation {
            status: Some(&gone),
            ..Observation::of(Reply::Done)
        };
        stage.show(&Action::PowerCut(PowerCut::new(Lost::All)), &cut);
        assert_eq!(stage.broken(), broken, "flushed: {flushed}");
    }
}
