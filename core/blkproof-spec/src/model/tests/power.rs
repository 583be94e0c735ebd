//! Losses of power: what has to be there, and what may be.

use super::{K, M, Stage, create, device, disk, finish, full, read, success, write};
use crate::content::{Bytes, Content, DiskId, WriteNumber};
use crate::model::{Observation, Target};
use crate::name::ImageName;
use crate::power::{Lost, PowerCut, Rest, Torn, TornUnit};
use crate::property::Property::{self, CompletedSurvives, FlushedSurvives};
use crate::reply::Reply;
use crate::step::{Action, GuestOp};
use crate::units::{ByteRange, Length};

const ZERO: Bytes = Bytes::ZERO;

fn stage() -> Stage {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.model.expect_power_losses();
    stage
}

fn stamp(step: u32) -> Bytes {
    Bytes::Stamp {
        disk: DiskId(0),
        write: WriteNumber(step),
    }
}

fn flush() -> Action {
    let op = GuestOp::Flush;
    Action::Guest {
        at: device("d"),
        op,
    }
}

fn through(start: u64, len: u64) -> Action {
    Action::Guest {
        at: device("d"),
        op: GuestOp::Write {
            range: ByteRange::new(start, len),
            content: Content::Stamp,
            fua: true,
            compressed: false,
        },
    }
}

fn cut() -> Action {
    Action::PowerCut(PowerCut::new(Lost::All))
}

fn resize(size: u64) -> Action {
    Action::Resize {
        at: device("d"),
        size: Length(size),
    }
}

fn rebase(image: &str, backing: Option<&str>) -> Action {
    Action::Rebase {
        image: image.into(),
        backing: backing.map(ImageName::new),
    }
}

/// Shows a read of the first sectors that returns this, and returns what it breaks.
fn reads(stage: &mut Stage, sectors: &[Bytes]) -> Vec<Property> {
    let mut data = Vec::new();
    for (sector, bytes) in (0..).zip(sectors) {
        let mut part = vec![0; 512];
        bytes.generate(sector * 512, &mut part);
        data.extend(part);
    }
    let seen = Observation {
        data: &data,
        ..Observation::of(Reply::Done)
    };
    stage.show(&read(0, data.len() as u64), &seen);
    stage.broken()
}

#[test]
fn a_sector_holds_what_was_flushed_or_anything_written_since_and_the_first_read_decides() {
    let mut stage = stage();
    stage.done(&write(0, K), &[]);
    stage.done(&flush(), &[]);
    stage.done(&write(0, K), &[]);
    stage.done(&write(0, 512), &[]);
    stage.done(&cut(), &[]);
    assert_eq!(reads(&mut stage, &[stamp(3), stamp(1)]), []);
    assert!(reads(&mut stage, &[stamp(4), stamp(1)]).contains(&FlushedSurvives));
    assert!(reads(&mut stage, &[stamp(3), stamp(3)]).contains(&FlushedSurvives));
}

#[test]
fn what_was_flushed_is_not_gone() {
    let mut stage = stage();
    stage.done(&write(0, 512), &[]);
    stage.done(&flush(), &[]);
    stage.done(&write(512, 512), &[]);
    stage.done(&cut(), &[]);
    assert!(reads(&mut stage, &[ZERO, ZERO]).contains(&FlushedSurvives));
    assert_eq!(reads(&mut stage, &[stamp(1), ZERO]), []);
}

#[test]
fn a_write_through_makes_nothing_else_durable() {
    let mut stage = stage();
    stage.done(&write(0, K), &[]);
    stage.done(&through(512, 512), &[]);
    stage.done(&cut(), &[]);
    assert!(reads(&mut stage, &[ZERO, stamp(1)]).contains(&FlushedSurvives));
    assert_eq!(reads(&mut stage, &[ZERO, stamp(2)]), []);
}

#[test]
fn what_a_kill_leaves_may_be_lost_at_the_next_cut_though_it_was_read() {
    for flushed in [false, true] {
        let mut stage = stage();
        stage.done(&write(0, 512), &[]);
        let kill = Observation {
            killed: true,
            ..Observation::of(Reply::Done)
        };
        stage.show(&Action::Kill { at: None }, &kill);
        assert_eq!(reads(&mut stage, &[stamp(1)]), []);
        if flushed {
            stage.done(&flush(), &[]);
        }
        stage.done(&cut(), &[]);
        let broken = reads(&mut stage, &[ZERO]);
        assert_eq!(broken.contains(&FlushedSurvives), flushed, "{broken:?}");
    }
}

#[test]
fn a_size_is_certain_once_it_was_reported_and_either_before() {
    let mut stage = stage();
    stage.done(&resize(2 * M), &[]);
    stage.done(&cut(), &[]);
    let name = ImageName::new("d");
    assert_eq!(stage.model.certain_sizes(), [(name.clone(), Length(2 * M))]);
    stage.show(&resize(M), &Observation::of(Reply::Cut));
    assert_eq!(stage.model.certain_sizes(), []);
    let sizes = vec![M, 2 * M];
    assert_eq!(stage.model.doubtful_sizes(), [(name.clone(), sizes)]);
    stage.model.settle_size(&name, M);
    assert_eq!(stage.model.certain_sizes(), [(name, Length(M))]);
}

#[test]
fn a_backing_file_is_certain_once_it_was_reported_and_either_before() {
    let mut stage = stage();
    let (low, top) = (ImageName::new("low"), ImageName::new("top"));
    stage.done(&create("low", M, 64 * K, None), &[]);
    stage.done(&create("top", M, 64 * K, None), &[]);
    assert_eq!(stage.model.reported_backings(), []);
    stage.done(&rebase("top", Some("low")), &[]);
    let reported = [(top.clone(), Some(low))];
    assert_eq!(stage.model.reported_backings(), reported);
    stage.done(&cut(), &[]);
    assert_eq!(stage.model.doubtful_backings(), []);
    assert_eq!(stage.model.reported_backings(), reported);
    stage.show(&rebase("top", None), &Observation::of(Reply::Cut));
    assert_eq!(stage.model.doubtful_backings(), [top]);
}

#[test]
fn a_completed_backup_is_looked_at_behind_a_cut() {
    let mut stage = stage();
    stage.done(&write(0, 64 * K), &[]);
    stage.done(&finish(full("full")), &success("d", M));
    stage.done(&cut(), &[]);
    let looked: Vec<_> = stage.said.demands.iter().map(|one| &one.target).collect();
    assert!(looked.contains(&&Target::Disk("d".into())), "{looked:?}");
    assert!(
        looked.contains(&&Target::Image("full".into())),
        "{looked:?}"
    );
    let bytes = vec![ByteRange::new(0, 512)];
    stage.said.clear();
    stage.said.volatile_target(&"full".into(), bytes);
    assert_eq!(stage.broken(), [CompletedSurvives]);
}

#[test]
fn a_run_in_which_garbage_is_left_counts_for_nothing() {
    let mut stage = stage();
    stage.done(&write(0, 512), &[]);
    let torn = Torn {
        kept: crate::fault::Kept::Left,
        unit: TornUnit::Sector,
        rest: Rest::Garbage,
    };
    let cut = PowerCut {
        torn: Some(torn),
        ..PowerCut::new(Lost::From(1))
    };
    assert!(!stage.model.is_undetectable());
    stage.done(&Action::PowerCut(cut), &[]);
    assert!(stage.model.is_undetectable());
}
