//! The model, shown answers by hand.

mod bitmaps;

mod contents;

mod jobs;

mod offsets;

mod persistence;

mod power;

mod refusals;

use super::{Judgement, Model, Observation};
use crate::capabilities::Capabilities;
use crate::content::Content;
use crate::event::JobEvent;
use crate::fault::{Firing, IoType, Layer, Place, Verdict};
use crate::geometry::{Format, Geometry};
use crate::name::{ImageName, JobName};
use crate::property::Property;
use crate::reply::Reply;
use crate::scenario::{DiskSetup, Role, Setup};
use crate::status::{BitmapStatus, JobState, Status};
use crate::step::{
    Action, At, Backup, BitmapCommand, BitmapStep, Create, GuestOp, Run, StepNumber, Sync,
    TargetMode,
};
use crate::units::{ByteRange, Length};
use crate::{BitmapName, Errno};

pub(super) const K: u64 = 1 << 10;
pub(super) const M: u64 = 1 << 20;

/// A model with the number of the next step and the judgement of the last one.
pub(super) struct Stage {
    pub(super) model: Model,
    number: u32,
    pub(super) said: Judgement,
}

pub(super) fn disk(name: &str, size: u64) -> DiskSetup {
    DiskSetup {
        name: name.into(),
        geometry: Geometry::qcow2(Length(size)),
        backing: None,
        role: Role::Device,
        contents: Vec::new(),
    }
}

pub(super) fn device(name: &str) -> At {
    At::Device(name.into())
}

pub(super) fn write(start: u64, len: u64) -> Action {
    Action::Guest {
        at: device("d"),
        op: GuestOp::Write {
            range: ByteRange::new(start, len),
            content: Content::Stamp,
            fua: false,
            compressed: false,
        },
    }
}

pub(super) fn read(start: u64, len: u64) -> Action {
    Action::Guest {
        at: device("d"),
        op: GuestOp::Read {
            range: ByteRange::new(start, len),
        },
    }
}

pub(super) fn bitmap(name: &str, command: BitmapCommand) -> Action {
    Action::Bitmap(BitmapStep {
        at: device("d"),
        name: name.into(),
        command,
    })
}

pub(super) fn add(name: &str, granularity: Option<u64>) -> Action {
    bitmap(
        name,
        BitmapCommand::Add {
            granularity: granularity.map(Length),
            persistent: false,
            disabled: false,
        },
    )
}

pub(super) fn create(image: &str, size: u64, cluster: u64, backing: Option<&str>) -> Action {
    Action::Create(Create {
        image: image.into(),
        size: Some(Length(size)),
        format: Format::Qcow2,
        cluster: Length(cluster),
        backing: backing.map(ImageName::new),
    })
}

/// An increment of disk `d` by bitmap `b` into an image that is there.
pub(super) fn increment(target: &str) -> Backup {
    Backup {
        bitmap: Some("b".into()),
        mode: TargetMode::Existing,
        ..Backup::new("d".into(), Sync::Incremental, target.into())
    }
}

pub(super) fn full(target: &str) -> Backup {
    Backup::new("d".into(), Sync::Full, target.into())
}

pub(super) fn finish(backup: Backup) -> Action {
    Action::Backup {
        backup: Box::new(backup),
        run: Run::Finish,
    }
}

pub(super) fn start(backup: Backup) -> Action {
    Action::Backup {
        backup: Box::new(backup),
        run: Run::Start,
    }
}

pub(super) fn states(job: &str, states: &[JobState]) -> Vec<JobEvent> {
    states
        .iter()
        .map(|state| JobEvent::Status {
            job: job.into(),
            state: *state,
        })
        .collect()
}

pub(super) fn completed(job: &str, len: u64, offset: u64, error: Option<Errno>) -> JobEvent {
    JobEvent::Completed {
        job: job.into(),
        len: Length(len),
        offset: Length(offset),
        speed: 0,
        error,
    }
}

/// The events of a job that succeeds at once.
pub(super) fn success(job: &str, len: u64) -> Vec<JobEvent> {
    use JobState::{Concluded, Created, Null, Pending, Running, Waiting};
    let mut events = states(job, &[Created, Running, Waiting, Pending]);
    events.push(completed(job, len, len, None));
    events.extend(states(job, &[Concluded, Null]));
    events
}

pub(super) fn firing(image: &str, kind: IoType, errno: Errno) -> Firing {
    Firing {
        place: Place {
            image: image.into(),
            layer: Layer::File,
        },
        name: None,
        kind,
        range: ByteRange::new(0, 512),
        errno: Some(errno),
        verdict: Verdict::Reported,
    }
}

/// A report of bitmap `b` of disk `d` with 64 KiB granules.
pub(super) fn report(dirty: &[ByteRange]) -> BitmapStatus {
    BitmapStatus {
        node: "d".into(),
        name: BitmapName::new("b"),
        count: Length(dirty.iter().map(|range| range.len).sum()),
        granularity: Length(64 * K),
        recording: true,
        busy: false,
        persistent: false,
        inconsistent: false,
        dirty: Some(dirty.to_vec()),
        successor: None,
    }
}

impl Stage {
    pub(super) fn new(disks: Vec<DiskSetup>) -> Self {
        let setup = Setup {
            disks,
            ..Setup::default()
        };
        Self {
            model: Model::new(&setup, Capabilities::FULL),
            number: 0,
            said: Judgement::default(),
        }
    }

    /// Shows the model a step with what was seen of it.
    pub(super) fn show(&mut self, action: &Action, seen: &Observation<'_>) {
        self.number += 1;
        self.said.clear();
        let number = StepNumber(self.number);
        self.model.observe(number, action, seen, &mut self.said);
        self.model.assert_invariants();
    }

    /// Shows a step that was done, with these events, and asserts that nothing is said against it.
    pub(super) fn done(&mut self, action: &Action, events: &[JobEvent]) {
        let seen = Observation {
            events,
            ..Observation::of(Reply::Done)
        };
        self.show(action, &seen);
        assert_eq!(self.said.violations, [], "{action:?}");
    }

    /// Shows a report, and returns the properties that it breaks.
    pub(super) fn report(&mut self, seen: BitmapStatus) -> Vec<Property> {
        let status = Status {
            bitmaps: vec![seen],
            jobs: Vec::new(),
        };
        let seen = Observation {
            status: Some(&status),
            ..Observation::of(Reply::Done)
        };
        self.show(&Action::LiftAll, &seen);
        self.broken()
    }

    /// Returns the properties that the last step broke, in order and each once.
    pub(super) fn broken(&self) -> Vec<Property> {
        let mut broken: Vec<_> = self
            .said
            .violations
            .iter()
            .map(|violation| violation.property)
            .collect();
        broken.sort_unstable();
        broken.dedup();
        broken
    }
}

pub(super) fn job(name: &str) -> JobName {
    name.into()
}

#[test]
fn a_model_that_is_used_again_knows_nothing_of_before() {
    let mut stage = Stage::new(vec![disk("d", M)]);
    stage.model.expect_power_losses();
    for step in [
        add("b", None),
        write(0, 64 * K),
        create("i", M, 64 * K, None),
    ] {
        stage.done(&step, &[]);
    }
    stage.done(&finish(increment("i")), &success("d", 64 * K));
    let fired = [firing("d", IoType::Write, Errno::EIO)];
    let failed = Observation {
        fired: &fired,
        ..Observation::of(Reply::Failed(Errno::EIO))
    };
    stage.show(&write(0, K), &failed);
    stage.done(&start(full("f")), &states("d", &[JobState::Created]));
    assert!(stage.model.next_cleanup().is_some());

    let setup = Setup {
        disks: vec![disk("other", 2 * M)],
        ..Setup::default()
    };
    let fresh = format!("{:?}", Model::new(&setup, Capabilities::MINIMAL));
    stage.model.reset(&setup, Capabilities::MINIMAL);
    assert_eq!(format!("{:?}", stage.model), fresh);
}
