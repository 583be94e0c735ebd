//! Steps that have to be refused whatever went before, and are marked so.
//!
//! The mark says no more than that: the model knows the reason, and that nothing may change.

use blkproof_spec::step::{
    Action, Backup, BitmapCommand, BitmapMode, BitmapStep, CompletionMode, Create, Expect, GuestOp,
    JobVerb, Run, Sync, TargetMode, TransactionAction, Work,
};
use blkproof_spec::{
    At, BitmapName, ByteRange, Content, Format, Geometry, ImageName, JobName, Length, RequestId,
    RuleName, SECTOR, Tag, Units,
};

use crate::generate::Choices;
use crate::generate::account::{Account, Disk};
use crate::generate::label::Label;

const REFUSED: Expect = Expect::Refused(None);

/// What nothing is ever called.
const NOBODY: &str = "nobody";

/// Adds a step that has to be refused.
pub(super) fn step(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let known = account.disks[disk];
    let action = match choices.below(12) {
        0 => bitmap(account, &known, choices),
        1..=5 => return backup(account, &known, choices),
        6 => resize(&known, choices),
        7 => image(&known, choices),
        8 => job(account, choices),
        9 => request(account, disk, &known, choices),
        10 => transaction(account, &known, choices),
        _ => {
            // A node that is being backed up refuses writes before it looks at them, and whether it
            // still is may be a guess.
            let reads = known.is_node;
            let at = known.name.device();
            let op = beyond(&known, reads, choices);
            return account.push_expecting(Action::Guest { at, op }, Expect::Failed(None));
        }
    };
    account.push_expecting(action, REFUSED);
}

fn command(at: At, name: &str, command: BitmapCommand) -> Action {
    Action::Bitmap(BitmapStep {
        at,
        name: BitmapName::new(name),
        command,
    })
}

fn add(granularity: Option<u64>, persistent: bool) -> BitmapCommand {
    BitmapCommand::Add {
        granularity: granularity.map(Length),
        persistent,
        disabled: false,
    }
}

fn bitmap(account: &mut Account, disk: &Disk, choices: &mut Choices<'_>) -> Action {
    let at = At::Node(disk.name.image());
    let unknown = || At::Node(ImageName::new(NOBODY));
    let merge = |at: Option<At>| BitmapCommand::Merge {
        sources: vec![(at, BitmapName::new(NOBODY))],
    };
    match (choices.below(12), disk.bitmaps.first()) {
        (0, _) => command(
            at,
            NOBODY,
            add(Some(choices.pick(&[0, 511, 64_000])), false),
        ),
        (1, _) => command(at, NOBODY, add(Some(1 << 40), false)),
        (2, _) => command(at, "", add(None, false)),
        (3, _) => command(at, &"b".repeat(1024), add(None, false)),
        (4, _) if !disk.is_qcow2() => command(at, NOBODY, add(None, true)),
        (5, _) => command(unknown(), NOBODY, add(None, false)),
        (6, _) => command(unknown(), NOBODY, BitmapCommand::Clear),
        (7, _) => command(at, NOBODY, BitmapCommand::Remove),
        (8, _) => command(at, NOBODY, BitmapCommand::Disable),
        (9, Some(known)) => {
            let other = choices.chance(50).then(unknown);
            command(at, known.name.bitmap().as_str(), merge(other))
        }
        (10, Some(known)) if !account.is_busy(known.name) => {
            // It is there unless a transaction was taken back: one more that is surely there.
            let name = account.fresh("twice").bitmap();
            account.push(command(at.clone(), name.as_str(), add(None, false)));
            command(at, name.as_str(), add(None, false))
        }
        _ => command(at, NOBODY, BitmapCommand::Enable),
    }
}

fn resize(disk: &Disk, choices: &mut Choices<'_>) -> Action {
    let size = disk.geometry.size.0;
    let (at, size) = match choices.below(3) {
        0 => (At::Node(ImageName::new(NOBODY)), size),
        1 if disk.is_qcow2() => (At::Node(disk.name.image()), size + 1),
        _ => (At::Node(disk.name.image()), !(SECTOR - 1)),
    };
    Action::Resize {
        at,
        size: Length(size),
    }
}

fn image(disk: &Disk, choices: &mut Choices<'_>) -> Action {
    let create = |image: &ImageName, cluster: u64, size: Option<u64>| {
        Action::Create(Create {
            image: image.clone(),
            size: size.map(Length),
            format: Format::Qcow2,
            cluster: Length(cluster),
            backing: None,
        })
    };
    let (own, nobody) = (disk.name.image(), ImageName::new(NOBODY));
    match choices.below(7) {
        0 => create(&own, 65_536, Some(1 << 20)),
        1 => create(&nobody, 1000, Some(1 << 20)),
        2 => create(&nobody, 65_536, Some(1000)),
        3 => Action::Rebase {
            image: own,
            backing: None,
        },
        4 => Action::Remove { image: own },
        5 => Action::Remove { image: nobody },
        _ => Action::Rebase {
            image: nobody,
            backing: None,
        },
    }
}

fn job(account: &Account, choices: &mut Choices<'_>) -> Action {
    let nobody = JobName::new(NOBODY);
    let running = account
        .jobs
        .iter()
        .find(|job| !job.doubtful && !job.concluded && !job.worked);
    match (choices.below(6), running) {
        (0, Some(job)) => Action::Job {
            job: job.name.job(),
            verb: JobVerb::Complete,
        },
        (1, _) => Action::Finish { job: nobody },
        (2, _) => Action::Advance {
            work: Work::Job(nobody),
            units: Units(1),
        },
        (3, _) => Action::Job {
            job: nobody,
            verb: JobVerb::Dismiss,
        },
        (4, _) => Action::Job {
            job: nobody,
            verb: JobVerb::Cancel { force: true },
        },
        _ => Action::Job {
            job: nobody,
            verb: JobVerb::Pause,
        },
    }
}

fn request(account: &mut Account, index: usize, disk: &Disk, choices: &mut Choices<'_>) -> Action {
    let nobody = RequestId::new(NOBODY);
    match choices.below(7) {
        0 => Action::Settle { request: nobody },
        1 => Action::Advance {
            work: Work::Request(nobody),
            units: Units(1),
        },
        2 => Action::ResumeTag(Tag::new(NOBODY)),
        3 => Action::Lift(RuleName::new(NOBODY)),
        4 => Action::Guest {
            at: At::Device(ImageName::new(NOBODY)),
            op: super::guest::any_op_or_compressed(account, index, choices),
        },
        5 => Action::WaitFor(Tag::new(NOBODY)),
        _ => {
            let start = |request: Label| Action::Start {
                request: request.request(),
                at: disk.name.device(),
                op: GuestOp::Flush,
            };
            let request = account.fresh("r");
            account.push(start(request));
            account.requests.push(crate::generate::account::Request {
                name: request,
                tag: None,
            });
            start(request)
        }
    }
}

/// A request that does not lie within the disk.
pub(super) fn beyond(disk: &Disk, reads: bool, choices: &mut Choices<'_>) -> GuestOp {
    let size = disk.largest;
    let range = ByteRange::new(size - SECTOR, 2 * SECTOR);
    let behind = ByteRange::new(size + SECTOR, SECTOR);
    match choices.below(6) {
        _ if reads => GuestOp::Read { range },
        5 if disk.is_qcow2() => GuestOp::Write {
            range,
            content: Content::Stamp,
            fua: false,
            compressed: true,
        },
        0 => GuestOp::Read { range },
        1 => GuestOp::WriteZeroes {
            range,
            unmap: false,
        },
        2 => GuestOp::Discard { range },
        3 => GuestOp::Write {
            range: behind,
            content: Content::Stamp,
            fua: false,
            compressed: false,
        },
        _ => GuestOp::Write {
            range,
            content: Content::Stamp,
            fua: false,
            compressed: false,
        },
    }
}

/// Adds a backup that has to be refused. Where the job would make its target, the target stays.
fn backup(account: &mut Account, disk: &Disk, choices: &mut Choices<'_>) {
    let target = account.fresh("never");
    let mut backup = Backup::new(disk.name.image(), Sync::Full, target.image());
    backup.at = At::Node(disk.name.image());
    backup.job = Some(target.job());
    spoil(account, disk, &mut backup, choices);
    let run = if choices.chance(50) {
        Run::Start
    } else {
        Run::Finish
    };
    let backup = Box::new(backup);
    account.push_expecting(Action::Backup { backup, run }, REFUSED);
}

/// Makes a backup one that has to be refused.
fn spoil(account: &mut Account, disk: &Disk, backup: &mut Backup, choices: &mut Choices<'_>) {
    let nobody = || Some(BitmapName::new(NOBODY));
    let modes = [BitmapMode::OnSuccess, BitmapMode::Never, BitmapMode::Always];
    match choices.below(18) {
        0 => backup.at = At::Device(ImageName::new(NOBODY)),
        1 => backup.sync = Sync::Incremental,
        2 => backup.sync = Sync::Bitmap,
        3 => {
            backup.sync = Sync::Incremental;
            backup.bitmap = nobody();
            backup.bitmap_mode = Some(BitmapMode::Always);
        }
        4 => {
            backup.sync = Sync::Incremental;
            backup.bitmap = nobody();
        }
        5 => backup.bitmap_mode = Some(choices.pick(&modes)),
        6 => backup.mode = TargetMode::Existing,
        7 => backup.mode = TargetMode::Node,
        8 => backup.target = disk.name.image(),
        9 => {
            backup.target = disk.name.image();
            backup.mode = choices.pick(&[TargetMode::Existing, TargetMode::Node]);
        }
        10 => backup.min_cluster = Some(Length(100_000)),
        11 => backup.speed = -1,
        12 => backup.job = Some(JobName::new(choices.pick(&["1j", "", "no good"]))),
        13 => {
            backup.mode = TargetMode::Create {
                format: Some(Format::Raw),
            };
            backup.compress = true;
        }
        14 => {
            let size = Length(disk.largest + SECTOR);
            let geometry = Geometry::qcow2(size);
            account.push(Action::Create(Create {
                image: backup.target.clone(),
                size: Some(size),
                format: geometry.format,
                cluster: geometry.cluster,
                backing: None,
            }));
            backup.mode = TargetMode::Existing;
        }
        _ => with_bitmap(disk, backup, choices),
    }
}

/// Spoils a backup by what it says of a bitmap, one that is there if there is one.
fn with_bitmap(disk: &Disk, backup: &mut Backup, choices: &mut Choices<'_>) {
    let known = disk.bitmaps.first();
    let name = known.map_or(BitmapName::new(NOBODY), |bitmap| bitmap.name.bitmap());
    backup.bitmap = Some(name);
    match choices.below(4) {
        0 => {}
        1 => {
            backup.sync = Sync::None;
            backup.bitmap_mode = Some(BitmapMode::OnSuccess);
        }
        2 => backup.bitmap_mode = Some(BitmapMode::Never),
        _ => backup.sync = Sync::Bitmap,
    }
}

fn transaction(account: &mut Account, disk: &Disk, choices: &mut Choices<'_>) -> Action {
    let bitmap = |command: BitmapCommand, name: &str| {
        TransactionAction::Bitmap(BitmapStep {
            at: At::Node(disk.name.image()),
            name: BitmapName::new(name),
            command,
        })
    };
    let name = account.fresh("b").bitmap();
    let fresh = bitmap(add(None, false), name.as_str());
    let target = account.fresh("never");
    let mut backup = Backup::new(disk.name.image(), Sync::Full, target.image());
    backup.at = At::Node(disk.name.image());
    backup.job = Some(target.job());
    let backup = TransactionAction::Backup(Box::new(backup));
    let (actions, mode) = match choices.below(4) {
        0 => (vec![TransactionAction::Abort], CompletionMode::Individual),
        1 => (vec![fresh, backup], CompletionMode::Grouped),
        2 => (
            vec![fresh, backup, TransactionAction::Abort],
            CompletionMode::Individual,
        ),
        _ => {
            let unknown = bitmap(BitmapCommand::Clear, NOBODY);
            (vec![fresh, backup, unknown], CompletionMode::Individual)
        }
    };
    Action::Transaction { actions, mode }
}
