//! Backups: their targets, their options, and how far they are run at once.

use blkproof_spec::step::{Action, Backup, BitmapMode, Create, Run, Sync, TargetMode};
use blkproof_spec::{At, Format, Geometry, Length};

use super::options::{self, Draft};
use super::{jobs, transactions};
use crate::generate::Choices;
use crate::generate::account::{Account, Bitmap, Image};
use crate::generate::label::Label;

/// Adds a backup of everything, of the top image, or of what the guest overwrites.
pub(super) fn full(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if account.is_source(disk) && !choices.chance(12) {
        return jobs::command(account, disk, choices);
    }
    let draft = full_draft(account, disk, choices);
    submit(account, draft, choices);
}

/// Makes up a backup that needs no bitmap.
pub(super) fn full_draft(account: &mut Account, disk: usize, choices: &mut Choices<'_>) -> Draft {
    let is_backed = account.disks[disk].backing.is_some();
    let sync = match choices.below(12) {
        // What has nothing below it is copied whole in either mode.
        9 | 10 => Sync::None,
        11 => Sync::Top,
        5..=8 if is_backed => Sync::Top,
        _ => Sync::Full,
    };
    of_all(account, disk, sync, choices)
}

/// Makes up a backup of this kind, which needs no bitmap.
pub(super) fn of_all(
    account: &mut Account,
    disk: usize,
    sync: Sync,
    choices: &mut Choices<'_>,
) -> Draft {
    let target = account.fresh_target("full");
    let mut draft = options::draft(account, disk, sync, target);
    draft.backup.mode = if choices.chance(30) {
        existing(account, &mut draft, None, choices)
    } else {
        created(account, disk, sync, target, choices)
    };
    if sync == Sync::Full {
        account.disks[disk].last_full = Some(draft.job.target);
    }
    // Also a full backup may start a bitmap anew.
    if sync != Sync::None
        && choices.chance(8)
        && let Some(bitmap) = super::bitmaps::known(account, disk, choices)
    {
        draft.backup.bitmap = Some(bitmap.name.bitmap());
        draft.backup.bitmap_mode = Some(choices.pick(&[BitmapMode::OnSuccess, BitmapMode::Always]));
        draft.job.bitmap = Some(bitmap.name);
        draft.job.moves_base = true;
    }
    draft
}

/// Has the job make its target.
fn created(
    account: &mut Account,
    disk: usize,
    sync: Sync,
    target: Label,
    choices: &mut Choices<'_>,
) -> TargetMode {
    let known = &account.disks[disk];
    // What stands on a backing file cannot be raw.
    let stands = sync == Sync::None || (sync == Sync::Top && known.backing.is_some());
    let format = match choices.below(5) {
        0 if !stands => Some(Format::Raw),
        1 => Some(Format::Qcow2),
        _ if stands => Some(Format::Qcow2),
        _ => None,
    };
    let geometry = Geometry {
        format: format.unwrap_or(known.geometry.format),
        cluster: Geometry::DEFAULT_CLUSTER,
        ..known.geometry
    };
    account.images.push(Image {
        name: target,
        geometry,
        has_backing: stands,
    });
    TargetMode::Create { format }
}

/// Adds a backup of what a bitmap says, onto the chain that the bitmap counts from.
pub(super) fn incremental(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let Some(bitmap) = super::bitmaps::known(account, disk, choices) else {
        if account.is_source(disk) {
            return jobs::command(account, disk, choices);
        }
        return transactions::anchor(account, disk, choices);
    };
    if account.is_source(disk) && !choices.chance(15) {
        return jobs::command(account, disk, choices);
    }
    let draft = of_bitmap(account, disk, bitmap, choices);
    submit(account, draft, choices);
}

/// Makes up a backup by bitmap.
pub(super) fn of_bitmap(
    account: &mut Account,
    disk: usize,
    bitmap: Bitmap,
    choices: &mut Choices<'_>,
) -> Draft {
    let (sync, mode) = match choices.below(8) {
        0..=3 => (Sync::Incremental, None),
        4 => (Sync::Incremental, Some(BitmapMode::OnSuccess)),
        5 => (Sync::Bitmap, Some(BitmapMode::OnSuccess)),
        6 => (Sync::Bitmap, Some(BitmapMode::Never)),
        _ => (Sync::Bitmap, Some(BitmapMode::Always)),
    };
    let target = account.fresh_target("inc");
    let mut draft = options::draft(account, disk, sync, target);
    draft.backup.bitmap = Some(bitmap.name.bitmap());
    draft.backup.bitmap_mode = mode;
    draft.backup.mode = if choices.chance(8) {
        created(account, disk, sync, target, choices)
    } else {
        existing(account, &mut draft, bitmap.base, choices)
    };
    draft.job.bitmap = Some(bitmap.name);
    draft.job.moves_base = mode != Some(BitmapMode::Never);
    draft
}

/// Has the target be there beforehand: made for it, or now and then one that was written before.
fn existing(
    account: &mut Account,
    draft: &mut Draft,
    backing: Option<Label>,
    choices: &mut Choices<'_>,
) -> TargetMode {
    let mode = if choices.chance(25) {
        TargetMode::Node
    } else {
        TargetMode::Existing
    };
    if choices.chance(10) && reuse(account, draft, choices) {
        return mode;
    }
    let disk = &account.disks[draft.job.disk];
    // Without its base below it, an increment can be put on top of it later.
    let backing = backing.filter(|_| !choices.chance(12));
    let raw = backing.is_none() && choices.chance(15);
    let cluster = match choices.below(8) {
        _ if raw => Geometry::DEFAULT_CLUSTER,
        0 => Length(choices.pick(&[512, 4 << 10, 128 << 10, 256 << 10, 2 << 20])),
        1 | 2 => disk.geometry.cluster,
        3 => Length((disk.geometry.cluster.0 * 2).min(2 << 20)),
        _ => Geometry::DEFAULT_CLUSTER,
    };
    let geometry = Geometry {
        format: if raw { Format::Raw } else { Format::Qcow2 },
        cluster,
        ..disk.geometry
    };
    let name = draft.job.target;
    account.images.push(Image {
        name,
        geometry,
        has_backing: backing.is_some(),
    });
    account.push(Action::Create(Create {
        image: name.image(),
        size: Some(geometry.size),
        format: geometry.format,
        cluster,
        backing: backing.map(Label::image),
    }));
    mode
}

/// Takes an image of the right size that nobody uses as the target. That is meant: it is named as
/// one that exists.
fn reuse(account: &Account, draft: &mut Draft, choices: &mut Choices<'_>) -> bool {
    let count = account.images.len();
    if count == 0 {
        return false;
    }
    let image = account.images[choices.index(count)];
    let size = account.disks[draft.job.disk].geometry.size;
    if image.geometry.size != size || account.is_open(image.name) {
        return false;
    }
    draft.job.target = image.name;
    draft.backup.target = image.name.image();
    true
}

/// Starts the backup, with options, and most often runs it to its end at once.
pub(super) fn submit(account: &mut Account, mut draft: Draft, choices: &mut Choices<'_>) {
    options::choose(account, &mut draft, choices);
    nest(account, &mut draft);
    let Draft { backup, job } = draft;
    let plain = !job.finalize && !job.endless;
    // Run to its end, what has none by itself is left where it waits for a command.
    let run = if choices.chance(if plain { 55 } else { 8 }) {
        Run::Finish
    } else {
        Run::Start
    };
    let slow = backup.speed != 0 && backup.speed <= 65_536;
    account.push(Action::Backup {
        backup: Box::new(backup),
        run,
    });
    account.jobs.push(job);
    if run == Run::Finish && job.finalize {
        let last = account.jobs.len() - 1;
        account.jobs[last].worked = true;
    } else if run == Run::Finish && !slow && plain {
        account.ended(account.jobs.len() - 1, true);
    }
}

/// Addresses a disk that is being backed up already below its filter, which makes filters nest.
fn nest(account: &Account, draft: &mut Draft) {
    let Draft { backup, job }: &mut Draft = draft;
    if account.is_source(job.disk) {
        backup.at = At::Node(account.disks[job.disk].name.image());
    }
}

/// Makes a backup step that names no job but its device's.
pub(super) fn plain(account: &Account, disk: usize, sync: Sync, target: Label) -> Backup {
    Backup::new(account.disks[disk].name.image(), sync, target.image())
}
