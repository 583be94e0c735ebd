//! Losses of power: now, or in the midst of a later step.

use blkproof_spec::fault::Kept;
use blkproof_spec::power::{Cache, Lost, Moment, PowerCut, Rest, Torn, TornUnit};
use blkproof_spec::step::Action;
use blkproof_spec::{ByteRange, Length};

use super::{faults, survive};
use crate::generate::Choices;
use crate::generate::account::Account;

/// How far ahead a loss of power strikes at most, in operations.
const AHEAD: u64 = 48;

/// How often in a hundred times a loss of power comes where it has something to show.
const SCENES: u64 = 30;

pub(super) fn kill(account: &mut Account, choices: &mut Choices<'_>) {
    let at = moment(account, choices);
    account.push(Action::Kill { at });
}

/// Cuts the power now, in the midst of a later step, or around something that has to survive it.
pub(super) fn strike(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if choices.chance(SCENES) {
        survive::scene(account, disk, choices);
    } else {
        cut(account, choices);
    }
}

/// Cuts the power now.
pub(super) fn cut_now(account: &mut Account, choices: &mut Choices<'_>) {
    if account.holds {
        faults::lift_all(account);
    }
    super::forget_open(account);
    push(account, None, choices);
}

/// Cuts the power soon, in the midst of what comes next.
pub(super) fn cut_soon(account: &mut Account, most: u64, choices: &mut Choices<'_>) {
    account.lossy = true;
    let at = Moment(choices.between(1, most));
    push(account, Some(at), choices);
}

pub(super) fn cut(account: &mut Account, choices: &mut Choices<'_>) {
    let at = moment(account, choices);
    push(account, at, choices);
}

fn push(account: &mut Account, at: Option<Moment>, choices: &mut Choices<'_>) {
    let lost = lost(account, choices);
    let border = matches!(lost, Lost::From(_) | Lost::Only(_) | Lost::Worst);
    let torn = (border && choices.chance(50)).then(|| torn(choices));
    account.push(Action::PowerCut(PowerCut { lost, torn, at }));
}

/// Kills the process or cuts the power in the midst of what comes next.
pub(super) fn soon(account: &mut Account, choices: &mut Choices<'_>) {
    if choices.chance(30) {
        account.lossy = true;
        let at = Some(Moment(choices.between(1, 4)));
        return account.push(Action::Kill { at });
    }
    cut_soon(account, 4, choices);
}

/// Returns when a loss of power strikes; if it is now, takes in what is gone then.
fn moment(account: &mut Account, choices: &mut Choices<'_>) -> Option<Moment> {
    if choices.chance(65) {
        account.lossy = true;
        let near = choices.chance(50);
        let most = if near { 6 } else { AHEAD };
        return Some(Moment(choices.between(1, most)));
    }
    if account.holds {
        faults::lift_all(account);
    }
    super::forget_open(account);
    None
}

fn lost(account: &Account, choices: &mut Choices<'_>) -> Lost {
    match choices.index(8) {
        0 => Lost::All,
        1 => Lost::None,
        2 => Lost::Worst,
        3 => Lost::Reordered,
        4 => Lost::From(choices.between(1, 12)),
        5 => Lost::Only(choices.between(1, 12)),
        6 => Lost::Some(choices.between(0, u64::from(u32::MAX))),
        _ => {
            let disk = &account.disks[choices.index(account.disks.len())];
            let sectors = (disk.geometry.size.0 / 512).max(1);
            let start = choices.between(0, sectors.min(2048) - 1) * 512;
            let range = ByteRange::new(start, choices.pick(&[512, 4096, 65_536]));
            Lost::These(vec![(disk.name.image(), range)])
        }
    }
}

fn torn(choices: &mut Choices<'_>) -> Torn {
    let kept = match choices.index(4) {
        0 => Kept::Left,
        1 => Kept::Right,
        2 => Kept::Middle,
        _ => Kept::Some(choices.between(0, u64::from(u32::MAX))),
    };
    let unit = choices.pick(&[TornUnit::Sector, TornUnit::Page]);
    Torn {
        kept,
        unit,
        rest: Rest::Old,
    }
}

/// Makes up what the devices promise about a loss of power.
pub(in crate::generate) fn cache(choices: &mut Choices<'_>) -> Cache {
    if !choices.chance(20) {
        return Cache::default();
    }
    Cache {
        ordered: choices.chance(50),
        atomic: Length(choices.pick(&[512, 4096])),
    }
}
