//! Guest requests.

use blkproof_spec::step::{Action, GuestOp};
use blkproof_spec::{At, ByteRange, Content};

use crate::generate::Choices;
use crate::generate::account::{Account, Disk};
use crate::generate::kind::Kind;

/// Adds a guest request of this kind.
pub(super) fn request(account: &mut Account, disk: usize, kind: Kind, choices: &mut Choices<'_>) {
    let known = &mut account.disks[disk];
    let op = op(known, kind, choices);
    let is_write = !matches!(op, GuestOp::Read { .. } | GuestOp::Flush);
    // The source itself is not to be written while its filter protects it.
    let at = if is_write {
        known.name.device()
    } else {
        known.at(choices)
    };
    account.push(Action::Guest { at, op });
}

/// Makes up a request of any kind that the scenario draws from.
pub(super) fn any_op(account: &mut Account, disk: usize, choices: &mut Choices<'_>) -> GuestOp {
    let kind = choices.pick(&[
        Kind::Write,
        Kind::Write,
        Kind::Write,
        Kind::Zeroes,
        Kind::Discard,
        Kind::Read,
        Kind::Flush,
    ]);
    op(&mut account.disks[disk], kind, choices)
}

/// Adds a guest request of any kind, also one that fails by itself.
pub(super) fn any(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let op = if choices.chance(15) {
        super::illegal::beyond(&account.disks[disk], false, choices)
    } else {
        any_op_or_compressed(account, disk, choices)
    };
    let at = account.disks[disk].name.device();
    account.push(Action::Guest { at, op });
}

/// Makes up a request of any kind; compressed ones are not seldom, nor always in order.
pub(super) fn any_op_or_compressed(
    account: &mut Account,
    disk: usize,
    choices: &mut Choices<'_>,
) -> GuestOp {
    if !choices.chance(20) {
        return any_op(account, disk, choices);
    }
    GuestOp::Write {
        range: account.disks[disk].range(choices),
        content: Content::Stamp,
        fua: false,
        compressed: true,
    }
}

pub(super) fn op(disk: &mut Disk, kind: Kind, choices: &mut Choices<'_>) -> GuestOp {
    match kind {
        Kind::Flush => GuestOp::Flush,
        Kind::Zeroes => GuestOp::WriteZeroes {
            range: disk.range(choices),
            unmap: choices.chance(50),
        },
        Kind::Discard => GuestOp::Discard {
            range: disk.range(choices),
        },
        Kind::Read => GuestOp::Read {
            range: disk.range(choices),
        },
        _ => write(disk, choices),
    }
}

/// Makes up a write: of new data, or now and then of the same byte again, so that nothing changes.
fn write(disk: &mut Disk, choices: &mut Choices<'_>) -> GuestOp {
    let range = disk.range(choices);
    let content = if choices.chance(25) {
        Content::Fill(choices.pick(&[0x41, 0x41, 0, 0xff]))
    } else {
        Content::Stamp
    };
    let fua = choices.chance(5);
    let whole = range.outward(disk.geometry.cluster.0);
    let compressed = disk.is_qcow2() && choices.chance(3);
    let range = if compressed {
        compressible(disk, whole)
    } else {
        range
    };
    GuestOp::Write {
        range,
        content,
        fua,
        compressed,
    }
}

/// Returns the first cluster of `whole`, as far as it lies on the disk.
fn compressible(disk: &Disk, whole: ByteRange) -> ByteRange {
    let end = whole.start + disk.geometry.cluster.0;
    ByteRange::between(whole.start, end.min(disk.geometry.size.0))
}

/// Addresses a disk for a command that does not fall back from devices to nodes.
pub(super) fn addressed(disk: &Disk, choices: &mut Choices<'_>) -> At {
    if disk.is_node {
        At::Node(disk.name.image())
    } else {
        disk.at(choices)
    }
}
