//! Made-up backups, work on them, and transactions.

use blkproof_spec::step::{
    Action, Backup, BitmapMode, CompletionMode, Create, ErrorPolicy, JobVerb, Run, Sync,
    TargetMode, TransactionAction, Work,
};
use blkproof_spec::{At, BitmapName, Format, Geometry, ImageName, JobName, Length, Millis, Units};

use super::anchor;
use crate::generate::Choices;
use crate::generate::plan::{Plan, Tracked};

/// A backup of everything, or of the top image.
pub(super) fn full(plan: &mut Plan, disk: usize, choices: &mut Choices) {
    let target = ImageName::new(&plan.fresh("full"));
    let sync = match choices.below(8) {
        0 => Sync::Top,
        1 => Sync::None,
        _ => Sync::Full,
    };
    let mut backup = Backup::new(plan.disks[disk].name.clone(), sync, target.clone());
    if choices.chance(25) {
        backup.mode = existing(plan, disk, &target, None, choices);
    }
    if sync == Sync::Full {
        plan.disks[disk].last_full = Some(target);
    }
    submit(plan, disk, backup, choices);
}

/// A backup of what a bitmap says, onto the chain that the bitmap counts from.
pub(super) fn incremental(plan: &mut Plan, disk: usize, choices: &mut Choices) {
    let known = plan.disks[disk].bitmaps.clone();
    let Some(tracked) = choices.maybe_pick(&known) else {
        return anchored(plan, disk, choices);
    };
    let (backup, advances) = of_bitmap(plan, disk, tracked, choices);
    let target = backup.target.clone();
    submit(plan, disk, backup, choices);
    if advances {
        rebase_plan(plan, disk, &tracked.name, target);
    }
}

fn rebase_plan(plan: &mut Plan, disk: usize, name: &BitmapName, base: ImageName) {
    for tracked in &mut plan.disks[disk].bitmaps {
        if tracked.name == *name {
            tracked.base = Some(base.clone());
        }
    }
}

/// Makes up a backup by bitmap; tells whether its success starts the bitmap anew.
fn of_bitmap(
    plan: &mut Plan,
    disk: usize,
    tracked: &Tracked,
    choices: &mut Choices,
) -> (Backup, bool) {
    let target = ImageName::new(&plan.fresh("inc"));
    let (sync, mode) = match choices.below(6) {
        0 => (Sync::Bitmap, Some(BitmapMode::OnSuccess)),
        1 => (Sync::Bitmap, Some(BitmapMode::Never)),
        2 => (Sync::Bitmap, Some(BitmapMode::Always)),
        _ => (Sync::Incremental, None),
    };
    let mut backup = Backup::new(plan.disks[disk].name.clone(), sync, target.clone());
    backup.bitmap = Some(tracked.name.clone());
    backup.bitmap_mode = mode;
    backup.mode = existing(plan, disk, &target, tracked.base.clone(), choices);
    (backup, mode != Some(BitmapMode::Never))
}

/// Makes the target beforehand.
fn existing(
    plan: &mut Plan,
    disk: usize,
    target: &ImageName,
    backing: Option<ImageName>,
    choices: &mut Choices,
) -> TargetMode {
    let raw = backing.is_none() && choices.chance(10);
    let cluster = match choices.below(5) {
        0 => Length(*choices.pick(&[512, 4 << 10, 128 << 10, 256 << 10])),
        1 => plan.disks[disk].geometry.cluster,
        _ => Geometry::DEFAULT_CLUSTER,
    };
    let size = plan.disks[disk].geometry.size;
    let wrong = choices.chance(2);
    plan.push(Action::Create(Create {
        image: target.clone(),
        size: Some(if wrong { Length(size.0 + 512) } else { size }),
        format: if raw { Format::Raw } else { Format::Qcow2 },
        cluster: if raw {
            Geometry::DEFAULT_CLUSTER
        } else {
            cluster
        },
        backing,
    }));
    if choices.chance(80) {
        TargetMode::Existing
    } else {
        TargetMode::Node
    }
}

/// A new bitmap and a full backup at one moment.
fn anchored(plan: &mut Plan, disk: usize, choices: &mut Choices) {
    let name = BitmapName::new(&plan.fresh("b"));
    let target = ImageName::new(&plan.fresh("full"));
    let add = anchor(plan, disk, &name, choices);
    let backup = Backup::new(plan.disks[disk].name.clone(), Sync::Full, target.clone());
    let job = job_name(plan, disk, &backup);
    plan.disks[disk].bitmaps.push(Tracked {
        name,
        base: Some(target.clone()),
    });
    plan.disks[disk].last_full = Some(target);
    plan.push(Action::Transaction {
        actions: vec![add, TransactionAction::Backup(Box::new(backup))],
        mode: CompletionMode::Individual,
    });
    plan.disks[disk].jobs.push(job.clone());
    if choices.chance(70) {
        finish(plan, disk, job);
    }
}

/// Starts the backup, with options, and most often runs it to its end at once.
fn submit(plan: &mut Plan, disk: usize, mut backup: Backup, choices: &mut Choices) {
    options(&mut backup, choices);
    if choices.chance(40) {
        backup.job = Some(JobName::new(&plan.fresh("j")));
    }
    if choices.chance(15) {
        backup.at = At::Node(plan.disks[disk].name.clone());
    }
    let plain = backup.auto_finalize && backup.auto_dismiss && backup.sync != Sync::None;
    let run = if plain && choices.chance(60) {
        Run::Finish
    } else {
        Run::Start
    };
    if run == Run::Start {
        let job = job_name(plan, disk, &backup);
        plan.disks[disk].jobs.push(job);
    }
    plan.push(Action::Backup {
        backup: Box::new(backup),
        run,
    });
}

fn job_name(plan: &Plan, disk: usize, backup: &Backup) -> JobName {
    backup
        .job
        .clone()
        .unwrap_or_else(|| JobName::new(plan.disks[disk].name.as_str()))
}

fn options(backup: &mut Backup, choices: &mut Choices) {
    const POLICIES: [ErrorPolicy; 5] = [
        ErrorPolicy::Report,
        ErrorPolicy::Ignore,
        ErrorPolicy::Enospc,
        ErrorPolicy::Stop,
        ErrorPolicy::Auto,
    ];
    if choices.chance(30) {
        backup.on_source_error = *choices.pick(&POLICIES);
        backup.on_target_error = *choices.pick(&POLICIES);
    }
    backup.auto_finalize = !choices.chance(8);
    backup.auto_dismiss = !choices.chance(8);
    if choices.chance(10) {
        backup.speed = *choices.pick(&[1, 65_536, 1 << 20, 1 << 30]);
    }
}

/// Does something to a job of the disk, or starts one that stays running.
pub(super) fn work(plan: &mut Plan, disk: usize, choices: &mut Choices) {
    let open = plan.disks[disk].jobs.clone();
    let Some(job) = choices.maybe_pick(&open).cloned() else {
        return incremental(plan, disk, choices);
    };
    let verb = match choices.below(20) {
        0..=6 => {
            let units = Units(choices.between(1, 12));
            return plan.push(Action::Advance {
                work: Work::Job(job),
                units,
            });
        }
        7..=12 => return finish(plan, disk, job),
        13 => JobVerb::Pause,
        14 => JobVerb::Resume,
        15 => JobVerb::Finalize,
        16 => JobVerb::Dismiss,
        17 => JobVerb::SetSpeed(*choices.pick(&[0, 0, 65_536, 1 << 20])),
        18 => return plan.push(Action::Tick(Millis(choices.between(1, 300)))),
        _ => {
            plan.disks[disk].jobs.retain(|kept| *kept != job);
            JobVerb::Cancel {
                force: choices.chance(50),
            }
        }
    };
    plan.push(Action::Job { job, verb });
}

fn finish(plan: &mut Plan, disk: usize, job: JobName) {
    plan.disks[disk].jobs.retain(|kept| *kept != job);
    plan.push(Action::Finish { job });
}

/// Several actions at one moment: a backup of each disk, with bitmap commands before some of them.
pub(super) fn transaction(plan: &mut Plan, choices: &mut Choices) {
    let mut actions = Vec::new();
    let mut jobs = Vec::new();
    let grouped = choices.chance(50);
    for disk in 0..plan.disks.len() {
        if choices.chance(20) && plan.disks.len() > 1 {
            continue;
        }
        let known = plan.disks[disk].bitmaps.clone();
        let mut backup = match choices.maybe_pick(&known) {
            Some(tracked) => {
                let (backup, advances) = of_bitmap(plan, disk, tracked, choices);
                if advances {
                    rebase_plan(plan, disk, &tracked.name, backup.target.clone());
                }
                backup
            }
            None => {
                let target = ImageName::new(&plan.fresh("full"));
                let name = BitmapName::new(&plan.fresh("b"));
                if !grouped {
                    actions.push(anchor(plan, disk, &name, choices));
                    let base = Some(target.clone());
                    plan.disks[disk].bitmaps.push(Tracked { name, base });
                }
                Backup::new(plan.disks[disk].name.clone(), Sync::Full, target)
            }
        };
        options(&mut backup, choices);
        let job = job_name(plan, disk, &backup);
        jobs.push((disk, job));
        actions.push(TransactionAction::Backup(Box::new(backup)));
    }
    if choices.chance(8) {
        actions.push(TransactionAction::Abort);
    }
    let mode = if grouped {
        CompletionMode::Grouped
    } else {
        CompletionMode::Individual
    };
    plan.push(Action::Transaction { actions, mode });
    for (disk, job) in jobs {
        plan.disks[disk].jobs.push(job);
    }
}
