//! One made-up step, or a few that belong together.

mod backups;

mod bitmaps;

mod faults;

mod flight;

mod guest;

mod hold;

mod illegal;

mod images;

mod jobs;

mod meet;

mod options;

mod outlive;

mod power;

mod scenes;

mod survive;

mod transactions;

pub(super) use faults::at_open;
pub(super) use power::cache;

use blkproof_spec::Millis;
use blkproof_spec::step::Action;

use super::account::Account;
use super::kind::Kind;
use super::{Choices, Profile};

/// Adds at least one step to the account.
pub(super) fn next(account: &mut Account, choices: &mut Choices<'_>, profile: &Profile) {
    let disk = choices.index(account.disks.len());
    let kind = Kind::ALL[choices.weighted(&account.weights, account.sum)];
    match kind {
        Kind::Write | Kind::Zeroes | Kind::Discard | Kind::Read | Kind::Flush => {
            guest::request(account, disk, kind, choices);
        }
        Kind::Resize => resize(account, disk, choices),
        Kind::Bitmap => bitmaps::command(account, disk, choices),
        Kind::Full => backups::full(account, disk, choices),
        Kind::Incremental => backups::incremental(account, disk, choices),
        Kind::Job => jobs::command(account, disk, choices),
        Kind::Advance => jobs::advance(account, disk, choices),
        Kind::Transaction => transactions::transaction(account, disk, choices),
        Kind::Fault => faults::install(account, disk, choices, profile),
        Kind::Lift => faults::lift(account, choices),
        Kind::InFlight => flight::step(account, disk, choices),
        Kind::Breakpoint => flight::suspend(account, disk, choices),
        Kind::Time => account.push(Action::Tick(Millis(choices.between(1, 300)))),
        Kind::Image => images::step(account, disk, choices),
        Kind::Restart => any_restart(account, choices),
        Kind::Illegal => illegal::step(account, disk, choices),
        Kind::Recover => scenes::recover(account, disk, choices),
        Kind::Throttle => scenes::throttle(account, disk, choices),
        Kind::Collect => scenes::collect(account, disk, choices),
        Kind::Strike => scenes::strike(account, disk, choices),
        Kind::Meet => meet::meet(account, disk, choices),
        Kind::Hold => hold::hold(account, disk, choices),
        Kind::Outlive => outlive::outlive(account, disk, choices, profile),
        Kind::Kill => power::kill(account, choices),
        Kind::PowerCut => power::strike(account, disk, choices),
    }
}

/// Resizes the disk; one that is being backed up only now and then, since that is refused.
fn resize(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let is_source = account.is_source(disk);
    if is_source && !choices.chance(10) {
        return guest::request(account, disk, Kind::Write, choices);
    }
    let known = &mut account.disks[disk];
    let size = known.resized(choices);
    let at = guest::addressed(known, choices);
    known.largest = known.largest.max(size.0);
    if !is_source {
        known.geometry.size = size;
        release(account);
    }
    account.push(Action::Resize { at, size });
}

/// Lets go what is held, and lifts what would hold what a command itself asks of the image: nobody
/// could let that go on.
fn release(account: &mut Account) {
    if account.holds {
        faults::lift_all(account);
    }
}

/// Restarts, now and then while something is held, which keeps the disks from being closed.
fn any_restart(account: &mut Account, choices: &mut Choices<'_>) {
    let mut bitmaps = account.disks.iter().flat_map(|disk| disk.bitmaps.iter());
    if choices.chance(15) && !bitmaps.any(|bitmap| bitmap.persistent) {
        return account.push(Action::Restart);
    }
    restart(account);
}

/// Restarts without letting go what is held.
fn restart_held(account: &mut Account) {
    forget_open(account);
    account.push(Action::Restart);
}

fn restart(account: &mut Account) {
    release(account);
    forget_open(account);
    account.push(Action::Restart);
}

/// Takes in that whatever was open is gone.
fn forget_open(account: &mut Account) {
    for disk in &mut account.disks {
        disk.bitmaps.retain(|bitmap| bitmap.persistent);
    }
    account.jobs.clear();
    account.requests.clear();
    account.tags.clear();
}
