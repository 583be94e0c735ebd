//! Losses of power right behind, or in the midst of, what has to survive them.
//!
//! What is written twice and flushed once, a size, a group of jobs, another backing file, stored
//! bitmaps: by chance a cut would hardly ever come where these have just become durable, or are
//! about to.

use blkproof_spec::step::{Action, BitmapStep, CompletionMode, GuestOp, TransactionAction};
use blkproof_spec::{ByteRange, Content, Length};

use super::{backups, bitmaps, guest, images, jobs, power};
use crate::generate::Choices;
use crate::generate::account::{Account, Job};
use crate::generate::few::Few;
use crate::generate::kind::Kind;

/// How many operations it takes at most until the power is cut in the midst of something.
const SOON: u64 = 16;

/// How far a disk grows at most.
const OUTGROWN_MAX: u64 = 2 << 20;

/// Adds something that has to survive, and a loss of power.
pub(super) fn scene(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if account.is_source(disk) {
        return power::cut(account, choices);
    }
    match choices.index(5) {
        0 => overwritten(account, disk, choices),
        1 => resized(account, disk, choices),
        2 => grouped(account, disk, choices),
        3 => rebased(account, disk, choices),
        _ => stored(account, disk, choices),
    }
}

/// What was written over and read after a kill is durable once it was flushed.
fn overwritten(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let known = &account.disks[disk];
    let size = known.geometry.size.0;
    let len = known.geometry.cluster.0.min(size);
    let range = ByteRange::new(choices.below(size.div_ceil(len)) * len, len);
    let range = range.intersect(ByteRange::new(0, size));
    for op in [write(range), GuestOp::Flush, write(range)] {
        request(account, disk, op);
    }
    super::forget_open(account);
    account.push(Action::Kill { at: None });
    request(account, disk, GuestOp::Read { range });
    request(account, disk, GuestOp::Flush);
    power::cut_now(account, choices);
}

fn write(range: ByteRange) -> GuestOp {
    GuestOp::Write {
        range,
        content: Content::Stamp,
        fua: false,
        compressed: false,
    }
}

fn request(account: &mut Account, disk: usize, op: GuestOp) {
    let at = account.disks[disk].name.device();
    account.push(Action::Guest { at, op });
}

/// A size is durable when it is reported, and old or new before.
fn resized(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let soon = choices.chance(60);
    if soon {
        power::cut_soon(account, SOON, choices);
    }
    if choices.chance(40) {
        outgrow(account, disk, choices);
    } else {
        super::resize(account, disk, choices);
    }
    if !soon {
        power::cut_now(account, choices);
    }
}

/// Lets a disk grow so far that it takes another table, where that costs little.
fn outgrow(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let known = &mut account.disks[disk];
    let cluster = known.geometry.cluster.0;
    let span = (cluster * cluster / 8).min(OUTGROWN_MAX);
    let by = span * choices.between(1, 2);
    let size = Length(known.geometry.size.0 + by);
    known.largest = known.largest.max(size.0);
    known.geometry.size = size;
    let at = known.name.device();
    super::release(account);
    account.push(Action::Resize { at, size });
}

/// All targets of a group are durable when the group has succeeded.
fn grouped(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let mut actions = Vec::with_capacity(2);
    let mut started: Few<Job, 4> = Few::default();
    for disk in [disk, (disk + 1) % account.disks.len()] {
        if started.iter().all(|job| job.disk != disk) && !account.is_source(disk) {
            guest::request(account, disk, Kind::Write, choices);
            let draft = backups::full_draft(account, disk, choices);
            started.push(draft.job);
            actions.push(TransactionAction::Backup(Box::new(draft.backup)));
        }
    }
    let mode = CompletionMode::Grouped;
    account.push(Action::Transaction { actions, mode });
    started.iter().for_each(|job| account.jobs.push(*job));
    for job in started.iter() {
        let known = |other: &Job| other.name == job.name;
        if let Some(index) = account.jobs.iter().position(known) {
            jobs::finish(account, index);
        }
    }
    power::cut_now(account, choices);
}

/// An image stands on its new backing file when that is reported.
fn rebased(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if account.images.is_empty() {
        backups::full(account, disk, choices);
    }
    images::create(account, disk, choices);
    images::rebase_last(account, choices);
    power::cut_now(account, choices);
}

/// Stored bitmaps are what they were, or what they are to be, whatever of them was written.
fn stored(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if !account.disks[disk].is_qcow2() {
        return power::cut(account, choices);
    }
    for _ in 0..choices.between(1, 3) {
        let mut step = bitmaps::add(account, disk, None, choices);
        bitmaps::persist(account, disk, &mut step);
        account.push(Action::Bitmap(step));
    }
    guest::request(account, disk, Kind::Write, choices);
    if choices.chance(70) {
        super::restart(account);
        guest::request(account, disk, Kind::Write, choices);
    }
    if choices.chance(40) {
        drop_one(account, disk, choices);
    }
    power::cut_soon(account, 2 * SOON, choices);
    if choices.chance(30) {
        power::kill(account, choices);
    }
    super::restart(account);
}

/// Removes one of the disk's bitmaps, stored or not.
fn drop_one(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let known = &mut account.disks[disk];
    if known.bitmaps.is_empty() {
        return;
    }
    let bitmap = known.bitmaps.remove(choices.index(known.bitmaps.len()));
    let at = blkproof_spec::At::Node(known.name.image());
    let name = bitmap.name.bitmap();
    let command = blkproof_spec::step::BitmapCommand::Remove;
    account.push(Action::Bitmap(BitmapStep { at, name, command }));
}
