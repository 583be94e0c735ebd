//! Arbitrary steps.

use blkproof::spec::content::Content;
use blkproof::spec::power::{Lost, Moment, Rest, Torn, TornUnit};
use blkproof::spec::step::{
    Action, Backup, BitmapCommand, BitmapMode, BitmapPattern, BitmapStep, Check, CompletionMode,
    Create, ErrorPolicy, EventPattern, Expect, GuestOp, JobPattern, JobVerb, Reference, Run, Sync,
    TargetMode, TransactionAction, Work,
};
use blkproof::spec::{
    BitmapName, ByteRange, ErrorAction, Format, IoStatus, JobName, JobState, Millis, PowerCut,
    Refusal, RequestId, RuleName, Side, Step, Tag, Units,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{at, errno, faults, image, length, name, number, range};

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (action().boxed(), expect()).prop_map(|(action, expect)| Step { action, expect }),
        1 => check_step(),
    ]
}

fn check_step() -> impl Strategy<Value = Step> {
    let expect = select(&[Expect::Done, Expect::Any]);
    (check().boxed(), expect).prop_map(|(check, expect)| Step {
        action: Action::Check(check),
        expect,
    })
}

fn expect() -> impl Strategy<Value = Expect> {
    prop_oneof![
        Just(Expect::Done),
        Just(Expect::Pending),
        Just(Expect::Any),
        Just(Expect::Cut),
        option::of(select(Refusal::ALL)).prop_map(Expect::Refused),
        option::of(errno()).prop_map(Expect::Failed),
    ]
}

/// The strategies are boxed: as one value they would not fit on a test's stack.
fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        on_disks().boxed(),
        on_images().boxed(),
        on_jobs().boxed(),
        on_faults().boxed()
    ]
}

fn on_disks() -> impl Strategy<Value = Action> {
    prop_oneof![
        (at(), guest().boxed()).prop_map(|(at, op)| Action::Guest { at, op }),
        (request(), at(), guest().boxed()).prop_map(|(request, at, op)| Action::Start {
            request,
            at,
            op
        }),
        request().prop_map(|request| Action::Settle { request }),
        (at(), length()).prop_map(|(at, size)| Action::Resize { at, size }),
        bitmap().boxed().prop_map(Action::Bitmap),
    ]
}

fn on_images() -> impl Strategy<Value = Action> {
    let create = (
        image(),
        option::of(length()),
        format(),
        length(),
        option::of(image()),
    );
    prop_oneof![
        create.prop_map(
            |(image, size, format, cluster, backing)| Action::Create(Create {
                image,
                size,
                format,
                cluster,
                backing,
            })
        ),
        (image(), option::of(image()))
            .prop_map(|(image, backing)| Action::Rebase { image, backing }),
        image().prop_map(|image| Action::Remove { image }),
    ]
}

fn on_jobs() -> impl Strategy<Value = Action> {
    let run = prop_oneof![Just(Run::Finish), Just(Run::Start)];
    let work = prop_oneof![job().prop_map(Work::Job), request().prop_map(Work::Request)];
    prop_oneof![
        (backup().boxed(), run).prop_map(|(backup, run)| Action::Backup {
            backup: Box::new(backup),
            run
        }),
        (job(), verb()).prop_map(|(job, verb)| Action::Job { job, verb }),
        (work, number()).prop_map(|(work, units)| Action::Advance {
            work,
            units: Units(units)
        }),
        job().prop_map(|job| Action::Finish { job }),
        transaction().boxed(),
    ]
}

fn on_faults() -> impl Strategy<Value = Action> {
    prop_oneof![
        any::<u64>().prop_map(|time| Action::Tick(Millis(time))),
        faults::rule().boxed().prop_map(Action::Install),
        name().prop_map(|rule| Action::Lift(RuleName::new(&rule))),
        Just(Action::LiftAll),
        name().prop_map(|tag| Action::WaitFor(Tag::new(&tag))),
        name().prop_map(|tag| Action::ResumeTag(Tag::new(&tag))),
        Just(Action::Restart),
        moment().prop_map(|at| Action::Kill { at }),
        power_cut().boxed().prop_map(Action::PowerCut),
    ]
}

fn moment() -> impl Strategy<Value = Option<Moment>> {
    option::of((1..=u64::MAX).prop_map(Moment))
}

fn power_cut() -> impl Strategy<Value = PowerCut> {
    let lost = prop_oneof![
        select(&[Lost::All, Lost::None, Lost::Worst, Lost::Reordered][..]),
        (1..=u64::MAX).prop_map(Lost::From),
        (1..=u64::MAX).prop_map(Lost::Only),
        any::<u64>().prop_map(Lost::Some),
        vec((image(), range()), 0..4).prop_map(Lost::These),
    ];
    let torn = (
        faults::kept(),
        select(&[TornUnit::Sector, TornUnit::Page][..]),
        select(&[Rest::Old, Rest::Garbage][..]),
    );
    let torn = torn.prop_map(|(kept, unit, rest)| Torn { kept, unit, rest });
    (lost, option::of(torn), moment()).prop_map(|(lost, torn, at)| PowerCut { lost, torn, at })
}

fn request() -> impl Strategy<Value = RequestId> {
    name().prop_map(|name| RequestId::new(&name))
}

fn job() -> impl Strategy<Value = JobName> {
    name().prop_map(|name| JobName::new(&name))
}

fn bitmap_name() -> impl Strategy<Value = BitmapName> {
    name().prop_map(|name| BitmapName::new(&name))
}

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Raw), Just(Format::Qcow2)]
}

fn guest() -> impl Strategy<Value = GuestOp> {
    let content = prop_oneof![any::<u8>().prop_map(Content::Fill), Just(Content::Stamp)];
    prop_oneof![
        (range(), content, any::<(bool, bool)>()).prop_map(
            |(range, content, (fua, compressed))| GuestOp::Write {
                range,
                content,
                fua,
                compressed,
            }
        ),
        (range(), any::<bool>()).prop_map(|(range, unmap)| GuestOp::WriteZeroes { range, unmap }),
        range().prop_map(|range| GuestOp::Discard { range }),
        range().prop_map(|range| GuestOp::Read { range }),
        Just(GuestOp::Flush),
    ]
}

fn bitmap() -> impl Strategy<Value = BitmapStep> {
    let command = prop_oneof![
        (option::of(length()), any::<(bool, bool)>()).prop_map(
            |(granularity, (persistent, disabled))| BitmapCommand::Add {
                granularity,
                persistent,
                disabled,
            }
        ),
        Just(BitmapCommand::Remove),
        Just(BitmapCommand::Clear),
        Just(BitmapCommand::Enable),
        Just(BitmapCommand::Disable),
        vec((option::of(at()), bitmap_name()), 0..4)
            .prop_map(|sources| BitmapCommand::Merge { sources }),
    ];
    (at(), bitmap_name(), command).prop_map(|(at, name, command)| BitmapStep { at, name, command })
}

fn sync() -> impl Strategy<Value = Sync> {
    select(&[
        Sync::Full,
        Sync::Top,
        Sync::None,
        Sync::Incremental,
        Sync::Bitmap,
    ])
}

fn policy() -> impl Strategy<Value = ErrorPolicy> {
    select(&[
        ErrorPolicy::Report,
        ErrorPolicy::Ignore,
        ErrorPolicy::Enospc,
        ErrorPolicy::Stop,
        ErrorPolicy::Auto,
    ])
}

fn backup() -> impl Strategy<Value = Backup> {
    let mode = prop_oneof![
        Just(TargetMode::Existing),
        Just(TargetMode::Node),
        option::of(format()).prop_map(|format| TargetMode::Create { format }),
    ];
    let modes = &[BitmapMode::OnSuccess, BitmapMode::Never, BitmapMode::Always];
    (
        (
            option::of(job()),
            at(),
            sync(),
            option::of(bitmap_name()),
            option::of(select(modes)),
        ),
        (image(), mode, any::<i64>(), policy(), policy()),
        (any::<(bool, bool, bool)>(), option::of(length())),
    )
        .prop_map(
            |((job, at, sync, bitmap, bitmap_mode), to, (flags, min_cluster))| {
                let (target, mode, speed, on_source_error, on_target_error) = to;
                Backup {
                    job,
                    at,
                    sync,
                    bitmap,
                    bitmap_mode,
                    target,
                    mode,
                    speed,
                    on_source_error,
                    on_target_error,
                    compress: flags.0,
                    auto_finalize: flags.1,
                    auto_dismiss: flags.2,
                    min_cluster,
                }
            },
        )
}

fn verb() -> impl Strategy<Value = JobVerb> {
    prop_oneof![
        Just(JobVerb::Pause),
        Just(JobVerb::Resume),
        any::<bool>().prop_map(|force| JobVerb::Cancel { force }),
        Just(JobVerb::Complete),
        Just(JobVerb::Finalize),
        Just(JobVerb::Dismiss),
        any::<i64>().prop_map(JobVerb::SetSpeed),
    ]
}

fn transaction() -> impl Strategy<Value = Action> {
    let action = prop_oneof![
        Just(TransactionAction::Abort),
        bitmap().boxed().prop_map(TransactionAction::Bitmap),
        backup()
            .boxed()
            .prop_map(|backup| TransactionAction::Backup(Box::new(backup))),
    ];
    let mode = select(&[CompletionMode::Individual, CompletionMode::Grouped]);
    (vec(action, 0..4), mode).prop_map(|(actions, mode)| Action::Transaction { actions, mode })
}

fn check() -> impl Strategy<Value = Check> {
    let reference = prop_oneof![
        image().prop_map(Reference::Now),
        (image(), job()).prop_map(|(disk, job)| Reference::Point { disk, job }),
    ];
    prop_oneof![
        (image(), reference).prop_map(|(image, equals)| Check::Image { image, equals }),
        (image(), any::<[u8; 32]>()).prop_map(|(image, sha256)| Check::Digest { image, sha256 }),
        (image(), vec((1..1_u64 << 40, 1..1_u64 << 40), 0..4)).prop_map(|(image, parts)| {
            Check::Allocated {
                image,
                ranges: apart(&parts),
            }
        }),
        (at(), bitmap_name(), bitmap_pattern()).prop_map(|(at, name, report)| Check::Bitmap {
            at,
            name,
            report
        }),
        (at(), bitmap_name()).prop_map(|(at, name)| Check::NoBitmap { at, name }),
        (job(), job_pattern()).prop_map(|(job, report)| Check::Job { job, report }),
        Just(Check::NoJobs),
        (job(), event_pattern()).prop_map(|(job, event)| Check::Event { job, event }),
        Just(Check::NoEvents),
    ]
}

/// Lays ranges one behind the other: each with the gap before it and its length.
fn apart(parts: &[(u64, u64)]) -> Vec<ByteRange> {
    let mut at = 0;
    let lay = |(gap, len): &(u64, u64)| {
        let range = ByteRange::new(at + gap, *len);
        at = range.end();
        range
    };
    parts.iter().map(lay).collect()
}

fn bitmap_pattern() -> impl Strategy<Value = BitmapPattern> {
    (
        [
            option::of(length()),
            option::of(length()),
            option::of(length()),
        ],
        any::<[Option<bool>; 4]>(),
    )
        .prop_map(|([count, granularity, successor], flags)| BitmapPattern {
            count,
            granularity,
            recording: flags[0],
            busy: flags[1],
            persistent: flags[2],
            inconsistent: flags[3],
            successor,
        })
}

fn job_pattern() -> impl Strategy<Value = JobPattern> {
    let io_status = select(&[IoStatus::Ok, IoStatus::Failed, IoStatus::Nospace]);
    (
        option::of(select(JobState::ALL.as_slice())),
        [option::of(length()), option::of(length())],
        option::of(io_status),
        option::of(option::of(errno())),
    )
        .prop_map(|(state, [len, offset], io_status, error)| JobPattern {
            state,
            len,
            offset,
            io_status,
            error,
        })
}

fn event_pattern() -> impl Strategy<Value = EventPattern> {
    let sizes = || [option::of(length()), option::of(length())];
    let side = select(&[Side::Read, Side::Write]);
    let action = select(&[ErrorAction::Report, ErrorAction::Ignore, ErrorAction::Stop]);
    prop_oneof![
        (sizes(), option::of(errno()))
            .prop_map(|([len, offset], error)| { EventPattern::Completed { len, offset, error } }),
        sizes().prop_map(|[len, offset]| EventPattern::Cancelled { len, offset }),
        (side, action).prop_map(|(side, action)| EventPattern::Error { side, action }),
        Just(EventPattern::Pending),
    ]
}
