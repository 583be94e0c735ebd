//! One made-up step, or a few that belong together.

mod faults;

mod jobs;

use blkproof_spec::step::{
    Action, BitmapCommand, BitmapStep, CompletionMode, GuestOp, TransactionAction, Work,
};
use blkproof_spec::{BitmapName, Content, Length, RequestId, Units};

use super::plan::{Plan, Tracked};
use super::{Choices, Profile};

/// Adds at least one step to the plan.
pub(super) fn next(plan: &mut Plan, choices: &mut Choices, profile: &Profile) {
    let disk = usize::try_from(choices.below(plan.disks.len() as u64)).unwrap_or(0);
    let weights = &profile.weights;
    match choices.weighted(&[
        weights.write + weights.zeroes + weights.discard + weights.read + weights.flush,
        weights.resize,
        weights.bitmap,
        weights.full,
        weights.incremental,
        weights.job,
        weights.transaction,
        weights.fault,
        weights.in_flight,
        weights.restart,
    ]) {
        0 => guest(plan, disk, choices, profile),
        1 => resize(plan, disk, choices),
        2 => bitmap(plan, disk, choices),
        3 => jobs::full(plan, disk, choices),
        4 => jobs::incremental(plan, disk, choices),
        5 => jobs::work(plan, disk, choices),
        6 if choices.chance(35) && !plan.disks[disk].bitmaps.is_empty() => {
            bitmap_transaction(plan, disk, choices);
        }
        6 => jobs::transaction(plan, choices),
        7 => faults::fault(plan, disk, choices),
        8 => in_flight(plan, disk, choices, profile),
        _ => restart(plan),
    }
}

fn op(plan: &mut Plan, disk: usize, choices: &mut Choices, profile: &Profile) -> GuestOp {
    let weights = &profile.weights;
    let kinds = [
        weights.write,
        weights.zeroes,
        weights.discard,
        weights.read,
        weights.flush,
    ];
    let kind = choices.weighted(&kinds);
    if kind == 4 {
        return GuestOp::Flush;
    }
    let range = plan.disks[disk].range(choices);
    match kind {
        0 => {
            let content = if choices.chance(80) {
                Content::Stamp
            } else {
                Content::Fill(fill(choices))
            };
            GuestOp::Write {
                range,
                content,
                fua: choices.chance(5),
                compressed: false,
            }
        }
        1 => GuestOp::WriteZeroes {
            range,
            unmap: choices.chance(50),
        },
        2 => GuestOp::Discard { range },
        _ => GuestOp::Read { range },
    }
}

fn fill(choices: &mut Choices) -> u8 {
    *choices.pick(&[0, 0x41, 0xab, 0xff])
}

fn guest(plan: &mut Plan, disk: usize, choices: &mut Choices, profile: &Profile) {
    let op = op(plan, disk, choices, profile);
    let at = blkproof_spec::At::Device(plan.disks[disk].name.clone());
    plan.push(Action::Guest { at, op });
}

fn resize(plan: &mut Plan, disk: usize, choices: &mut Choices) {
    let at = plan.disks[disk].at(choices);
    let size = plan.disks[disk].resized(choices);
    if plan.disks[disk].jobs.is_empty() {
        plan.disks[disk].geometry.size = size;
    }
    plan.push(Action::Resize { at, size });
}

fn bitmap(plan: &mut Plan, disk: usize, choices: &mut Choices) {
    if plan.disks[disk].bitmaps.is_empty() || choices.chance(10) {
        return add_bitmap(plan, disk, choices);
    }
    let step = bitmap_command(plan, disk, choices);
    if step.command == BitmapCommand::Remove {
        let bitmaps = &mut plan.disks[disk].bitmaps;
        bitmaps.retain(|kept| kept.name != step.name);
    }
    plan.push(Action::Bitmap(step));
}

/// Makes up a command to one of the disk's bitmaps; there is one.
fn bitmap_command(plan: &Plan, disk: usize, choices: &mut Choices) -> BitmapStep {
    let known = &plan.disks[disk].bitmaps;
    let name = choices.pick(known).name.clone();
    let command = match choices.below(9) {
        0 | 1 => BitmapCommand::Disable,
        2..=4 => BitmapCommand::Enable,
        5 => BitmapCommand::Clear,
        6 => BitmapCommand::Remove,
        _ => BitmapCommand::Merge {
            sources: vec![(None, choices.pick(known).name.clone())],
        },
    };
    BitmapStep {
        at: plan.disks[disk].at(choices),
        name,
        command,
    }
}

/// Several bitmap commands at one moment, taken back as often as not.
fn bitmap_transaction(plan: &mut Plan, disk: usize, choices: &mut Choices) {
    let count = choices.between(1, 4);
    let mut actions: Vec<_> = (0..count)
        .map(|_| TransactionAction::Bitmap(bitmap_command(plan, disk, choices)))
        .collect();
    if choices.chance(50) {
        actions.push(TransactionAction::Abort);
    }
    let mode = CompletionMode::Individual;
    plan.push(Action::Transaction { actions, mode });
}

fn add_bitmap(plan: &mut Plan, disk: usize, choices: &mut Choices) {
    let name = BitmapName::new(&plan.fresh("b"));
    let step = new_bitmap(plan, disk, &name, choices);
    let base = plan.disks[disk].last_full.clone();
    plan.disks[disk].bitmaps.push(Tracked { name, base });
    plan.push(Action::Bitmap(step));
}

fn new_bitmap(plan: &Plan, disk: usize, name: &BitmapName, choices: &mut Choices) -> BitmapStep {
    let granularity = match choices.below(4) {
        0 => Some(Length(512 << choices.below(12))),
        1 if choices.chance(10) => Some(Length(*choices.pick(&[0, 511, 64_000, 1 << 40]))),
        _ => None,
    };
    let disabled = choices.chance(5);
    BitmapStep {
        at: plan.disks[disk].at(choices),
        name: name.clone(),
        command: BitmapCommand::Add {
            granularity,
            persistent: false,
            disabled,
        },
    }
}

fn in_flight(plan: &mut Plan, disk: usize, choices: &mut Choices, profile: &Profile) {
    let open = plan.disks[disk].requests.clone();
    match choices.maybe_pick(&open).cloned() {
        Some(request) if choices.chance(60) => {
            if choices.chance(40) {
                let units = Units(choices.between(1, 4));
                plan.push(Action::Advance {
                    work: Work::Request(request),
                    units,
                });
            } else {
                plan.disks[disk].requests.retain(|kept| *kept != request);
                plan.push(Action::Settle { request });
            }
        }
        _ => {
            let request = RequestId::new(&plan.fresh("r"));
            let op = op(plan, disk, choices, profile);
            let at = blkproof_spec::At::Device(plan.disks[disk].name.clone());
            plan.disks[disk].requests.push(request.clone());
            plan.push(Action::Start { request, at, op });
        }
    }
}

fn restart(plan: &mut Plan) {
    for disk in &mut plan.disks {
        disk.bitmaps.clear();
        disk.jobs.clear();
        disk.requests.clear();
    }
    plan.push(Action::Restart);
}

/// Makes the classic anchor of a chain: a new bitmap and a full backup, at one moment.
fn anchor(plan: &Plan, disk: usize, name: &BitmapName, choices: &mut Choices) -> TransactionAction {
    TransactionAction::Bitmap(new_bitmap(plan, disk, name, choices))
}
