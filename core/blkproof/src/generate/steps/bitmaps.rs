//! Bitmap commands.

use blkproof_spec::step::{Action, BitmapCommand, BitmapStep};
use blkproof_spec::{At, Length};

use crate::generate::Choices;
use crate::generate::account::{Account, Bitmap};
use crate::generate::label::Label;

/// Adds a bitmap command.
pub(super) fn command(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let step = match known(account, disk, choices) {
        Some(bitmap) if !choices.chance(12) => change(account, disk, bitmap, choices),
        _ => add(account, disk, None, choices),
    };
    account.push(Action::Bitmap(step));
}

/// Returns one of the disk's bitmaps that no job holds; now and then one that a job holds.
pub(super) fn known(account: &Account, disk: usize, choices: &mut Choices<'_>) -> Option<Bitmap> {
    let bitmaps = &account.disks[disk].bitmaps;
    if bitmaps.is_empty() {
        return None;
    }
    let bitmap = bitmaps[choices.index(bitmaps.len())];
    let free = !account.is_busy(bitmap.name) || choices.chance(25);
    free.then_some(bitmap)
}

/// Has a bitmap that was just made up outlive a restart.
pub(super) fn persist(account: &mut Account, disk: usize, step: &mut BitmapStep) -> Bitmap {
    if let BitmapCommand::Add { persistent, .. } = &mut step.command {
        *persistent = true;
    }
    let bitmaps = &mut account.disks[disk].bitmaps;
    let last = bitmaps.len() - 1;
    bitmaps[last].persistent = true;
    bitmaps[last]
}

/// Makes up a new bitmap, which counts from `base`.
pub(super) fn add(
    account: &mut Account,
    disk: usize,
    base: Option<Label>,
    choices: &mut Choices<'_>,
) -> BitmapStep {
    let name = account.fresh("b");
    let is_large = account.disks[disk].geometry.size.0 > u64::from(u32::MAX);
    let granularity = choices.chance(30).then(|| granularity(is_large, choices));
    let disabled = choices.chance(8);
    let persistent = account.disks[disk].is_qcow2() && choices.chance(30);
    let known = &mut account.disks[disk];
    known.bitmaps.push(Bitmap {
        name,
        base: base.or(known.last_full),
        disabled,
        persistent,
    });
    let is_source = account.is_source(disk);
    let known = &account.disks[disk];
    // By device name, a bitmap added during a job would be the filter's and go with it, or be
    // refused if it is to be stored.
    let at = if is_source && !choices.chance(20) {
        At::Node(known.name.image())
    } else {
        known.at(choices)
    };
    BitmapStep {
        at,
        name: name.bitmap(),
        command: BitmapCommand::Add {
            granularity,
            persistent,
            disabled,
        },
    }
}

/// Adds a bitmap where the disk has none.
pub(super) fn ensure(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if account.disks[disk].bitmaps.is_empty() {
        let step = add(account, disk, None, choices);
        account.push(Action::Bitmap(step));
    }
}

/// Adds a command to a bitmap, each kind as often as any other: before any of them, requests in
/// flight have to be over.
pub(super) fn draining(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let Some(bitmap) = known(account, disk, choices) else {
        return command(account, disk, choices);
    };
    let name = bitmap.name.bitmap();
    let busy = account.is_busy(bitmap.name);
    let command = match choices.below(6) {
        0 => {
            let step = add(account, disk, None, choices);
            return account.push(Action::Bitmap(step));
        }
        1 => BitmapCommand::Clear,
        2 => BitmapCommand::Enable,
        3 => BitmapCommand::Disable,
        4 => BitmapCommand::Merge {
            sources: vec![(None, name.clone())],
        },
        _ => BitmapCommand::Remove,
    };
    let bitmaps = &mut account.disks[disk].bitmaps;
    match command {
        BitmapCommand::Remove if !busy => bitmaps.retain(|kept| kept.name != bitmap.name),
        BitmapCommand::Enable | BitmapCommand::Disable if !busy => {
            let disabled = command == BitmapCommand::Disable;
            let same = |kept: &&mut Bitmap| kept.name == bitmap.name;
            if let Some(kept) = bitmaps.iter_mut().find(same) {
                kept.disabled = disabled;
            }
        }
        _ => {}
    }
    let is_source = account.is_source(disk);
    account.push(Action::Bitmap(BitmapStep {
        at: at(account, disk, is_source, choices),
        name,
        command,
    }));
}

/// Makes up a granularity. Where a count may pass 32 bits, granules may be as large as can be.
fn granularity(is_large: bool, choices: &mut Choices<'_>) -> Length {
    let shift = if is_large {
        choices.pick(&[16, 9, 12, 20, 30, 31])
    } else {
        choices.between(9, 20)
    };
    Length(1 << shift)
}

/// Makes up a change of a bitmap.
pub(super) fn change(
    account: &mut Account,
    disk: usize,
    bitmap: Bitmap,
    choices: &mut Choices<'_>,
) -> BitmapStep {
    let is_source = account.is_source(disk);
    let busy = account.is_busy(bitmap.name);
    let known = &mut account.disks[disk];
    let index = known
        .bitmaps
        .iter()
        .position(|kept| kept.name == bitmap.name);
    let command = match choices.below(10) {
        0..=2 if bitmap.disabled => BitmapCommand::Enable,
        0 => BitmapCommand::Enable,
        1 | 2 => BitmapCommand::Disable,
        3 | 4 => BitmapCommand::Clear,
        5 => BitmapCommand::Remove,
        6 if account.disks.len() > 1 => return merge(account, disk, bitmap, true, choices),
        _ => return merge(account, disk, bitmap, false, choices),
    };
    if let Some(index) = index.filter(|_| !busy) {
        match command {
            BitmapCommand::Remove => {
                known.bitmaps.remove(index);
            }
            BitmapCommand::Enable => known.bitmaps[index].disabled = false,
            BitmapCommand::Disable => known.bitmaps[index].disabled = true,
            _ => {}
        }
    }
    BitmapStep {
        at: at(account, disk, is_source, choices),
        name: bitmap.name.bitmap(),
        command,
    }
}

/// Makes up a merge of one to three bitmaps, of this disk or of another one of the same size.
fn merge(
    account: &Account,
    disk: usize,
    bitmap: Bitmap,
    across: bool,
    choices: &mut Choices<'_>,
) -> BitmapStep {
    let size = account.disks[disk].geometry.size;
    let other = choices.index(account.disks.len());
    let same_size = account.disks[other].geometry.size == size || choices.chance(10);
    let from = if across && same_size { other } else { disk };
    let node = At::Node(account.disks[from].name.image());
    let at_source = (from != disk || account.is_source(from)).then_some(node);
    let sources = (0..choices.between(1, 3))
        .filter_map(|_| known(account, from, choices))
        .map(|source| (at_source.clone(), source.name.bitmap()))
        .collect();
    BitmapStep {
        at: at(account, disk, account.is_source(disk), choices),
        name: bitmap.name.bitmap(),
        command: BitmapCommand::Merge { sources },
    }
}

/// Addresses a disk so that its own bitmaps are found, also while a job's filter has its name.
fn at(account: &Account, disk: usize, is_source: bool, choices: &mut Choices<'_>) -> At {
    let known = &account.disks[disk];
    if is_source && !choices.chance(10) {
        At::Node(known.name.image())
    } else {
        known.at(choices)
    }
}
