//! Several actions at one moment.

use blkproof_spec::step::{Action, CompletionMode, Sync, TransactionAction};

use super::options::{self, Draft};
use super::{backups, bitmaps, jobs};
use crate::generate::Choices;
use crate::generate::account::{Account, Image, Job};
use crate::generate::few::Few;

/// Adds a transaction of bitmap commands, or of backups with or without bitmap commands.
pub(super) fn transaction(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if choices.chance(30) {
        return of_bitmaps(account, disk, choices);
    }
    let grouped = choices.chance(50);
    let mut actions = Vec::with_capacity(4);
    let mut started: Few<Job, 4> = Few::default();
    for disk in 0..account.disks.len() {
        let left_out = account.disks.len() > 1 && choices.chance(20);
        if left_out || (account.is_source(disk) && !choices.chance(10)) {
            continue;
        }
        if !grouped && choices.chance(25) {
            actions.push(bitmap_action(account, disk, choices));
        }
        let mut draft = backup(account, disk, grouped, &mut actions, choices);
        options::choose(account, &mut draft, choices);
        started.push(draft.job);
        actions.push(TransactionAction::Backup(Box::new(draft.backup)));
    }
    let aborts = choices.chance(8);
    if aborts {
        actions.push(TransactionAction::Abort);
    }
    if actions.is_empty() {
        return jobs::command(account, disk, choices);
    }
    let mode = if grouped {
        CompletionMode::Grouped
    } else {
        CompletionMode::Individual
    };
    account.push(Action::Transaction { actions, mode });
    if !aborts {
        started.iter().for_each(|job| account.jobs.push(*job));
    }
    run(account, started, choices);
}

/// Runs the jobs of a transaction, most often, in any order.
fn run(account: &mut Account, mut started: Few<Job, 4>, choices: &mut Choices<'_>) {
    if !choices.chance(50) {
        return;
    }
    while !started.is_empty() {
        let job = started.remove(choices.index(started.len()));
        let known = |other: &Job| other.name == job.name;
        if let Some(index) = account.jobs.iter().position(known) {
            jobs::finish(account, index);
        }
    }
}

fn backup(
    account: &mut Account,
    disk: usize,
    grouped: bool,
    actions: &mut Vec<TransactionAction>,
    choices: &mut Choices<'_>,
) -> Draft {
    match bitmaps::known(account, disk, choices) {
        Some(bitmap) if !choices.chance(20) => backups::of_bitmap(account, disk, bitmap, choices),
        _ if !grouped && choices.chance(50) => {
            let draft = anchoring(account, disk, choices);
            actions.push(draft.0);
            draft.1
        }
        _ => backups::full_draft(account, disk, choices),
    }
}

/// Adds the classic start of a chain: a new bitmap and a full backup, at one moment.
pub(super) fn anchor(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let (add, mut draft) = anchoring(account, disk, choices);
    if account.disks[disk].is_node || choices.chance(20) {
        options::choose(account, &mut draft, choices);
    } else if account.jobs.iter().any(|job| job.name == draft.job.name) {
        draft.job.name = account.fresh("j");
        draft.backup.job = Some(draft.job.name.job());
    }
    let backup = TransactionAction::Backup(Box::new(draft.backup));
    account.push(Action::Transaction {
        actions: vec![add, backup],
        mode: CompletionMode::Individual,
    });
    account.jobs.push(draft.job);
    if choices.chance(75) && !draft.job.endless {
        jobs::finish(account, account.jobs.len() - 1);
    }
}

fn anchoring(
    account: &mut Account,
    disk: usize,
    choices: &mut Choices<'_>,
) -> (TransactionAction, Draft) {
    let target = account.fresh_target("full");
    let add = bitmaps::add(account, disk, Some(target), choices);
    let mut draft = options::draft(account, disk, Sync::Full, target);
    draft.backup = backups::plain(account, disk, Sync::Full, target);
    let known = &mut account.disks[disk];
    known.last_full = Some(target);
    account.images.push(Image {
        name: target,
        geometry: blkproof_spec::Geometry {
            cluster: blkproof_spec::Geometry::DEFAULT_CLUSTER,
            ..known.geometry
        },
        has_backing: false,
    });
    (TransactionAction::Bitmap(add), draft)
}

/// Several bitmap commands at one moment, taken back as often as not.
fn of_bitmaps(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let count = choices.between(1, 4);
    let aborts = choices.chance(50);
    let before = account.disks[disk];
    // What is done to one bitmap twice has to be taken back in reverse order.
    let same = bitmaps::known(account, disk, choices);
    let mut actions: Vec<_> = (0..count)
        .map(|_| match same {
            Some(bitmap) if choices.chance(50) => {
                TransactionAction::Bitmap(bitmaps::change(account, disk, bitmap, choices))
            }
            _ => bitmap_action(account, disk, choices),
        })
        .collect();
    if aborts {
        actions.push(TransactionAction::Abort);
        account.disks[disk] = before;
    }
    let mode = CompletionMode::Individual;
    account.push(Action::Transaction { actions, mode });
}

fn bitmap_action(
    account: &mut Account,
    disk: usize,
    choices: &mut Choices<'_>,
) -> TransactionAction {
    let step = match bitmaps::known(account, disk, choices) {
        Some(bitmap) if !choices.chance(30) => bitmaps::change(account, disk, bitmap, choices),
        _ => bitmaps::add(account, disk, None, choices),
    };
    TransactionAction::Bitmap(step)
}
