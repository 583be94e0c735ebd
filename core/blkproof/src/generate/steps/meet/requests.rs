//! Requests of the guest that meet a fault, also in flight and beside a job.

use blkproof_spec::fault::{Event, InjectError, Rule, When};
use blkproof_spec::step::{Action, GuestOp, Run, Sync, Work};
use blkproof_spec::{At, ByteRange, Content, Errno, IoType, Layer, Millis, Place, SECTOR, Units};

use super::{POLICIES, SYNCS, backup, delay, draft, file};
use crate::generate::Choices;
use crate::generate::account::Account;
use crate::generate::kind::Kind;
use crate::generate::label::Label;
use crate::generate::steps::{
    bitmaps, faults, flight, guest, jobs, restart, restart_held, scenes, transactions,
};

/// Requests of the guest for which an image below the disk is asked, and fails.
pub(super) fn below(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let Some((disk, backing)) = backed(account, disk) else {
        return backup(account, disk, choices);
    };
    if choices.chance(40) && !account.is_source(disk) {
        let draft = scenes::draft(account, disk, choices);
        scenes::start(account, draft);
    }
    let kind = choices.pick(&[IoType::Read, IoType::Read, IoType::BlockStatus]);
    let when = choices.pick(&[When::Always, When::Always, When::Nth(1)]);
    let place = file(backing);
    let rule = faults::add(
        account,
        "lasting",
        place,
        scenes::error(kind, when, Errno::EIO),
    );
    for _ in 0..choices.between(1, 4) {
        match choices.below(8) {
            0..=2 => guest::request(account, disk, Kind::Read, choices),
            3 => guest::request(account, disk, Kind::Write, choices),
            4 => guest::request(account, disk, Kind::Zeroes, choices),
            5 => guest::request(account, disk, Kind::Discard, choices),
            6 if account.disks[disk].is_qcow2() => {
                compressed(account, disk, choices);
            }
            _ => flight::whole(account, disk, choices),
        }
    }
    faults::lift_rule(account, rule);
}

/// Returns this disk, or else another one, that stands on an image, and the image.
fn backed(account: &Account, disk: usize) -> Option<(usize, Label)> {
    let count = account.disks.len();
    let mut disks = (0..count).map(|step| (disk + step) % count);
    disks.find_map(|disk| account.disks[disk].backing.map(|backing| (disk, backing)))
}

/// Writes a cluster compressed, and returns where.
pub(in crate::generate::steps) fn compressed(
    account: &mut Account,
    disk: usize,
    choices: &mut Choices<'_>,
) -> ByteRange {
    let known = &mut account.disks[disk];
    let cluster = known.geometry.cluster.0;
    let start = known.range(choices).start / cluster * cluster;
    let end = (start + cluster).min(known.geometry.size.0);
    let range = ByteRange::between(start, end);
    let op = write(range, known.is_qcow2());
    let at = known.name.device();
    account.push(Action::Guest { at, op });
    range
}

fn write(range: ByteRange, compressed: bool) -> GuestOp {
    durable_write(range, compressed, false)
}

fn durable_write(range: ByteRange, compressed: bool, fua: bool) -> GuestOp {
    GuestOp::Write {
        range,
        content: Content::Stamp,
        fua,
        compressed,
    }
}

/// Requests in flight that fail, or have to wait, in the midst of a command that has to see them to
/// their end first.
pub(super) fn flying(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let backed = backed(account, disk).filter(|_| choices.chance(40));
    let (disk, below) = match backed {
        Some((disk, below)) => (disk, Some(below)),
        None => (disk, None),
    };
    bitmaps::ensure(account, disk, choices);
    for _ in 0..choices.between(1, 2) {
        let op = if below.is_some() && choices.chance(50) {
            guest::op(&mut account.disks[disk], Kind::Read, choices)
        } else {
            guest::any_op(account, disk, choices)
        };
        flight::start(account, disk, op, None, choices);
    }
    let request = account.requests[account.requests.len() - 1];
    let work = Work::Request(request.name.request());
    let units = Units(choices.between(1, 3));
    if choices.chance(50) {
        let work = work.clone();
        account.push(Action::Advance { work, units });
    }
    let (image, kind) = match below {
        Some(below) => (below, IoType::Read),
        None => {
            let kinds = [IoType::Write, IoType::Write, IoType::Read, IoType::Flush];
            (account.disks[disk].name, choices.pick(&kinds))
        }
    };
    let place = file(image);
    let waits = choices.chance(50);
    let rule = if waits {
        let rule = delay(kind, When::Always, choices);
        faults::add(account, "wait", place, rule)
    } else {
        let when = choices.pick(&[When::Nth(1), When::Always]);
        let rule = scenes::error(kind, when, Errno::EIO);
        faults::add(account, "lasting", place, rule)
    };
    if below.is_some() && choices.chance(40) && !account.is_source(disk) {
        drained_by_backup(account, disk, choices);
    } else {
        drains(account, disk, work, choices);
    }
    if waits && choices.chance(50) {
        account.push(Action::Tick(Millis(250)));
    }
    faults::lift_rule(account, rule);
    account.requests.retain(|known| known.name != request.name);
    account.push(Action::Settle {
        request: request.name.request(),
    });
}

/// A backup, before whose start what is in flight has to be over. The kind that is nothing but its
/// start comes more often.
fn drained_by_backup(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let sync = choices.pick(&SYNCS);
    let sync = if choices.chance(60) { Sync::None } else { sync };
    if let Some(draft) = draft(account, disk, sync, choices) {
        let run = choices.pick(&[Run::Start, Run::Finish]);
        let backup = Box::new(draft.backup);
        account.push(Action::Backup { backup, run });
        account.jobs.push(draft.job);
    }
}

/// A command for which what is in flight has to be over, or the request's own next step.
fn drains(account: &mut Account, disk: usize, work: Work, choices: &mut Choices<'_>) {
    match choices.below(10) {
        0 | 8 if !account.is_source(disk) => drained_by_backup(account, disk, choices),
        1 => transactions::transaction(account, disk, choices),
        2 => {
            let size = account.disks[disk].resized(choices);
            let at = At::Node(account.disks[disk].name.image());
            let known = &mut account.disks[disk];
            known.largest = known.largest.max(size.0);
            if !account.is_source(disk) {
                account.disks[disk].geometry.size = size;
            }
            account.push(Action::Resize { at, size });
        }
        3 | 4 => bitmaps::draining(account, disk, choices),
        5 => {
            let units = Units(choices.between(1, 8));
            account.push(Action::Advance { work, units });
        }
        6 => jobs::command(account, disk, choices),
        7 => restart_held(account),
        _ => {}
    }
}

/// Requests of the guest beside a job, where the job's own requests fail: what is on its way, and
/// the question where the source has data.
pub(super) fn beside(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if account.is_source(disk) {
        return flying(account, disk, choices);
    }
    scenes::scatter(account, disk, choices);
    let mut draft = scenes::draft(account, disk, choices);
    draft.backup.on_target_error = choices.pick(&POLICIES);
    draft.backup.on_source_error = choices.pick(&POLICIES);
    let job = draft.job;
    let index = scenes::start(account, draft);
    let asked = choices.chance(50);
    let rule = if asked {
        let layer = choices.pick(&[Layer::File, Layer::Format]);
        let place = Place {
            layer,
            ..file(account.disks[disk].name)
        };
        let rule = scenes::error(IoType::BlockStatus, When::Always, Errno::EIO);
        faults::add(account, "lasting", place, rule)
    } else {
        let when = choices.pick(&[When::Nth(1), When::Nth(1), When::Nth(2)]);
        let rule = scenes::error(IoType::Write, when, Errno::EIO);
        faults::add(account, "once", file(job.target), rule)
    };
    let units = Units(choices.between(1, 6));
    let work = Work::Job(job.name.job());
    account.push(Action::Advance { work, units });
    for _ in 0..choices.between(1, 3) {
        over(account, disk, choices);
    }
    faults::lift_rule(account, rule);
    account.jobs[index].doubtful = true;
    jobs::finish(account, index);
}

/// A change of the guest where the disk was written last, at once or in flight.
fn over(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let known = &account.disks[disk];
    let cluster = known.geometry.cluster.0;
    let start = choices.below(4) * cluster.max(64 << 10);
    let size = known.geometry.size.0;
    let start = if start < size { start } else { 0 };
    let range = ByteRange::between(start, (start + cluster).min(size));
    let op = match choices.below(6) {
        0 => GuestOp::WriteZeroes { range, unmap: true },
        1 | 2 => GuestOp::Discard { range },
        3 => write(range, known.is_qcow2()),
        _ => write(range, false),
    };
    if choices.chance(60) {
        let at = known.name.device();
        return account.push(Action::Guest { at, op });
    }
    settled(account, disk, op, choices);
}

/// Requests that give up clusters, while what was there cannot be counted as free, or not be given
/// back to the disk below, which nobody hears of.
pub(super) fn freed(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if choices.chance(30) && !account.is_source(disk) {
        let draft = scenes::draft(account, disk, choices);
        scenes::start(account, draft);
    }
    let range = compressed(account, disk, choices);
    let rule = if choices.chance(60) {
        scenes::error(IoType::Discard, When::Always, Errno::EIO)
    } else {
        let events = [
            Event::RefblockUpdatePart,
            Event::ClusterFree,
            Event::RefblockLoad,
        ];
        Rule::InjectError(InjectError {
            errno: Some(Errno::EIO),
            once: choices.chance(70),
            ..InjectError::new(choices.pick(&events))
        })
    };
    let place = file(account.disks[disk].name);
    let rule = faults::add(account, "lasting", place, rule);
    for _ in 0..choices.between(1, 3) {
        let part = ByteRange::new(range.start, range.len.min(SECTOR));
        let op = match choices.below(8) {
            0 | 1 => durable_write(range, true, choices.chance(50)),
            2 => write(part, false),
            3 => write(range, false),
            4 => GuestOp::WriteZeroes { range, unmap: true },
            5 => GuestOp::Discard { range },
            _ => GuestOp::Flush,
        };
        if choices.chance(40) {
            settled(account, disk, op, choices);
        } else {
            let at = account.disks[disk].name.device();
            account.push(Action::Guest { at, op });
        }
    }
    faults::lift_rule(account, rule);
}

/// Submits a request, and sees it to its end.
fn settled(account: &mut Account, disk: usize, op: GuestOp, choices: &mut Choices<'_>) {
    flight::start(account, disk, op, None, choices);
    let request = account.requests.remove(account.requests.len() - 1);
    let request = request.name.request();
    if choices.chance(40) {
        let work = Work::Request(request.clone());
        let units = Units(choices.between(1, 6));
        account.push(Action::Advance { work, units });
    }
    account.push(Action::Settle { request });
}

/// Requests for which tables are read that are too large to be read at once, where the disk cannot
/// tell which part of them is a hole: that costs time, and is no error.
pub(super) fn table(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    // Nothing is in memory yet.
    restart(account);
    if choices.chance(40) {
        let draft = scenes::draft(account, disk, choices);
        scenes::start(account, draft);
    }
    let known = &account.disks[disk];
    let image = known.backing.filter(|_| choices.chance(70));
    let place = file(image.unwrap_or(known.name));
    let rule = scenes::error(IoType::BlockStatus, When::Always, Errno::EIO);
    let rule = faults::add(account, "lasting", place, rule);
    for _ in 0..choices.between(2, 5) {
        let kind = choices.pick(&[
            Kind::Read,
            Kind::Write,
            Kind::Zeroes,
            Kind::Zeroes,
            Kind::Discard,
        ]);
        if choices.chance(60) {
            guest::request(account, disk, kind, choices);
        } else {
            let op = guest::op(&mut account.disks[disk], kind, choices);
            settled(account, disk, op, choices);
        }
    }
    faults::lift_rule(account, rule);
}
