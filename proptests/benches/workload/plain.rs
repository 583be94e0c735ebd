//! Steps as strategies of proptest make them up: what a user would write who had no generator.

use blkproof::spec::step::{
    Action, Backup, BitmapCommand, BitmapStep, Create, GuestOp, JobVerb, Run, Sync, TargetMode,
    Work,
};
use blkproof::spec::{At, ByteRange, Content, Format, Geometry, ImageName, JobName, Length, Units};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::strategy::{BoxedStrategy, Just, Strategy};
use proptest::{option, prop_oneof};

fn at() -> BoxedStrategy<At> {
    (0..2_u32)
        .prop_map(|number| At::Device(ImageName::numbered("drive", number)))
        .boxed()
}

fn range() -> BoxedStrategy<ByteRange> {
    (0..2048_u64, 1..256_u64)
        .prop_map(|(start, len)| ByteRange::new(start * 512, len * 512))
        .boxed()
}

fn op() -> BoxedStrategy<GuestOp> {
    let content = prop_oneof![Just(Content::Stamp), any::<u8>().prop_map(Content::Fill)];
    let write =
        (range(), content, any::<bool>()).prop_map(|(range, content, fua)| GuestOp::Write {
            range,
            content,
            fua,
            compressed: false,
        });
    let zeroes =
        (range(), any::<bool>()).prop_map(|(range, unmap)| GuestOp::WriteZeroes { range, unmap });
    prop_oneof![
        3 => write,
        1 => zeroes,
        1 => range().prop_map(|range| GuestOp::Discard { range }),
        1 => range().prop_map(|range| GuestOp::Read { range }),
        1 => Just(GuestOp::Flush),
    ]
    .boxed()
}

fn bitmap() -> BoxedStrategy<Action> {
    let command = prop_oneof![
        (option::of(9..20_u32), any::<bool>()).prop_map(|(shift, disabled)| BitmapCommand::Add {
            granularity: shift.map(|shift| Length(1 << shift)),
            persistent: false,
            disabled,
        }),
        Just(BitmapCommand::Clear),
        Just(BitmapCommand::Remove),
    ];
    (at(), 0..4_u32, command)
        .prop_map(|(at, number, command)| {
            Action::Bitmap(BitmapStep {
                at,
                name: format!("bitmap{number}").as_str().into(),
                command,
            })
        })
        .boxed()
}

fn backup() -> BoxedStrategy<Action> {
    let sync = prop_oneof![Just(Sync::Full), Just(Sync::Top), Just(Sync::Incremental)];
    (at(), sync, 0..16_u32, any::<bool>())
        .prop_map(|(at, sync, target, finish)| {
            let target = ImageName::numbered("target", target);
            let backup = Backup {
                bitmap: (sync == Sync::Incremental).then(|| "bitmap0".into()),
                mode: TargetMode::Existing,
                ..Backup::new(at.name().clone(), sync, target)
            };
            Action::Backup {
                backup: Box::new(backup),
                run: if finish { Run::Finish } else { Run::Start },
            }
        })
        .boxed()
}

fn image() -> BoxedStrategy<Action> {
    (0..16_u32, option::of(0..16_u32))
        .prop_map(|(image, backing)| {
            Action::Create(Create {
                image: ImageName::numbered("target", image),
                size: Some(Length(1 << 20)),
                format: Format::Qcow2,
                cluster: Geometry::DEFAULT_CLUSTER,
                backing: backing.map(|number| ImageName::numbered("target", number)),
            })
        })
        .boxed()
}

fn job() -> BoxedStrategy<Action> {
    let verb = prop_oneof![
        Just(JobVerb::Pause),
        Just(JobVerb::Resume),
        Just(JobVerb::Cancel { force: true }),
        Just(JobVerb::Finalize),
    ];
    let name = (0..2_u32).prop_map(|number| JobName::numbered("drive", number));
    let advance = (name.clone(), 1..40_u64).prop_map(|(job, units)| Action::Advance {
        work: Work::Job(job),
        units: Units(units),
    });
    prop_oneof![
        (name, verb).prop_map(|(job, verb)| Action::Job { job, verb }),
        advance
    ]
    .boxed()
}

/// Lists of so many steps.
pub(super) fn steps(count: usize) -> BoxedStrategy<Vec<Action>> {
    let guest = (at(), op()).prop_map(|(at, op)| Action::Guest { at, op });
    let step = prop_oneof![6 => guest, 2 => bitmap(), 2 => backup(), 2 => image(), 2 => job()];
    vec(step, count).boxed()
}
