//! The shape of QEMU's test 124 as a model sees it: three increments of a 64 MiB disk, each beside
//! a full reference backup. What the subject shows is made up once, so that only the model works.

use blkproof_spec::fault::Firing;
use blkproof_spec::step::{
    Action, At, Backup, BitmapCommand, BitmapStep, Create, GuestOp, Run, Sync, TargetMode,
};
use blkproof_spec::{
    BitmapStatus, ByteRange, Capabilities, Content, DiskSetup, Format, Geometry, ImageName,
    JobEvent, JobState, Judgement, Length, Model, Observation, Reply, Setup, Status, StepNumber,
};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;
const SIZE: u64 = 64 * M;

/// A step with what is seen of it.
pub(super) struct Shown {
    action: Action,
    events: Vec<JobEvent>,
    status: Status,
}

fn quiet(action: Action) -> Shown {
    Shown {
        action,
        events: Vec::new(),
        status: Status::default(),
    }
}

fn at() -> At {
    At::Device("drive0".into())
}

fn write(start: u64, len: u64, fill: u8) -> Shown {
    quiet(Action::Guest {
        at: at(),
        op: GuestOp::Write {
            range: ByteRange::new(start, len),
            content: Content::Fill(fill),
            fua: false,
            compressed: false,
        },
    })
}

fn succeeds(len: u64) -> Vec<JobEvent> {
    use JobState::{Concluded, Created, Null, Pending, Running, Waiting};
    let state = |state| JobEvent::Status {
        job: "drive0".into(),
        state,
    };
    let mut events: Vec<_> = [Created, Running, Waiting, Pending].map(state).into();
    events.push(JobEvent::Completed {
        job: "drive0".into(),
        len: Length(len),
        offset: Length(len),
        speed: 0,
        error: None,
    });
    events.extend([Concluded, Null].map(state));
    events
}

fn backup(backup: Backup, len: u64) -> Shown {
    Shown {
        events: succeeds(len),
        ..quiet(Action::Backup {
            backup: Box::new(backup),
            run: Run::Finish,
        })
    }
}

fn full(target: &str) -> Shown {
    backup(
        Backup::new("drive0".into(), Sync::Full, target.into()),
        SIZE,
    )
}

fn increment(target: &str, backing: &str, len: u64, steps: &mut Vec<Shown>) {
    steps.push(quiet(Action::Create(Create {
        image: target.into(),
        size: None,
        format: Format::Qcow2,
        cluster: Geometry::DEFAULT_CLUSTER,
        backing: Some(ImageName::new(backing)),
    })));
    let job = Backup {
        bitmap: Some("bitmap0".into()),
        mode: TargetMode::Existing,
        ..Backup::new("drive0".into(), Sync::Incremental, target.into())
    };
    steps.push(backup(job, len));
}

fn report(dirty: &[(u64, u64)]) -> Status {
    let dirty: Vec<_> = dirty
        .iter()
        .map(|(start, len)| ByteRange::new(*start, *len))
        .collect();
    Status {
        bitmaps: vec![BitmapStatus {
            node: "drive0".into(),
            name: "bitmap0".into(),
            count: Length(dirty.iter().map(|range| range.len).sum()),
            granularity: Geometry::DEFAULT_CLUSTER,
            recording: true,
            busy: false,
            persistent: false,
            inconsistent: false,
            dirty: Some(dirty),
            successor: None,
        }],
        jobs: Vec::new(),
    }
}

/// Returns the setup, and every step with what a correct subject shows of it.
pub(super) fn scenario() -> (Setup, Vec<Shown>) {
    let setup = Setup {
        disks: vec![DiskSetup {
            name: "drive0".into(),
            geometry: Geometry::qcow2(Length(SIZE)),
            backing: None,
            role: blkproof_spec::scenario::Role::Device,
            contents: vec![
                (ByteRange::new(0, 512), 0x41),
                (ByteRange::new(M, 32 * K), 0xd5),
                (ByteRange::new(32 * M, 124 * K), 0xdc),
            ],
        }],
        ..Setup::default()
    };
    let flush = || {
        quiet(Action::Guest {
            at: at(),
            op: GuestOp::Flush,
        })
    };
    let mut steps = vec![full("full0")];
    steps.push(quiet(Action::Bitmap(BitmapStep {
        at: at(),
        name: "bitmap0".into(),
        command: BitmapCommand::Add {
            granularity: None,
            persistent: false,
            disabled: false,
        },
    })));
    increment("inc0", "full0", 0, &mut steps);
    steps.push(full("ref0"));
    steps.push(write(0, 512, 0xab));
    steps.push(write(16 * M, 256 * K, 0xfe));
    steps.push(write(32736 * K, 64 * K, 0x64));
    steps.push(flush());
    increment("inc1", "inc0", 458_752, &mut steps);
    steps.push(full("ref1"));
    steps.push(write(0, 512, 0x9a));
    steps.push(write(8 * M, 352 * K, 0x55));
    steps.push(write(15872 * K, M, 0x78));
    steps.push(flush());
    increment("inc2", "inc1", 1_507_328, &mut steps);
    steps.push(full("ref2"));
    let mut dirty: Vec<(u64, u64)> = Vec::new();
    for step in &mut steps {
        let mut mark = |start: u64, len: u64| {
            let range = ByteRange::new(start, len).outward(64 * K);
            dirty.push((range.start, range.len));
            dirty.sort_unstable();
        };
        match &step.action {
            Action::Guest { op, .. } if op.is_write() => mark(op.range().start, op.range().len),
            Action::Backup { backup, .. } if backup.bitmap.is_some() => dirty.clear(),
            _ => {}
        }
        step.status = report(&dirty);
    }
    steps[0].status.bitmaps.clear();
    (setup, steps)
}

/// Runs a model over all of it, as a campaign does, and returns how many violations it found.
pub(super) fn run(model: &mut Model, setup: &Setup, steps: &[Shown], out: &mut Judgement) -> usize {
    let fired: &[Firing] = &[];
    model.reset(setup, Capabilities::FULL);
    let mut said = 0;
    for (number, step) in (1..).zip(steps) {
        out.clear();
        let status = model.wants_status(&step.action).then_some(&step.status);
        let seen = Observation {
            reply: Reply::Done,
            events: &step.events,
            status,
            fired,
            data: &[],
            suspended: &[],
            killed: false,
        };
        model.observe(StepNumber(number), &step.action, &seen, out);
        said += out.violations.len();
    }
    model.finish(out);
    said
}
