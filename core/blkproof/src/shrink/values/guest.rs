//! Guest requests: plain writes of one sector at the start of the disk.

use blkproof_spec::step::GuestOp;
use blkproof_spec::{Content, SECTOR};

use super::Grade;
use crate::shrink::edit::{Change, range_mut};

type Simpler = fn(&mut GuestOp, u64);

const SIMPLEST: &[Simpler] = &[plain, stamped, at_the_start, one_sector];
const FINER: &[Simpler] = &[aligned, one_cluster, half_as_far, half_as_long];

pub(super) fn changes(cluster: u64, fails: bool, grade: Grade) -> Vec<Change> {
    let table = match grade {
        Grade::Simplest => SIMPLEST,
        Grade::Finer => FINER,
    };
    let written = (grade == Grade::Simplest && !fails).then_some(written as Simpler);
    let all = written.into_iter().chain(table.iter().copied());
    all.map(|simpler| Change::Op(simpler, cluster)).collect()
}

/// Whatever changes data is a write.
fn written(op: &mut GuestOp, _: u64) {
    if let GuestOp::WriteZeroes { range, .. } | GuestOp::Discard { range } = op {
        *op = GuestOp::Write {
            range: *range,
            content: Content::Stamp,
            fua: false,
            compressed: false,
        };
    }
}

fn plain(op: &mut GuestOp, _: u64) {
    match op {
        GuestOp::Write {
            fua, compressed, ..
        } => (*fua, *compressed) = (false, false),
        GuestOp::WriteZeroes { unmap, .. } => *unmap = false,
        _ => {}
    }
}

/// A stamp says where it comes from, so it is simpler to understand than a fill.
fn stamped(op: &mut GuestOp, _: u64) {
    if let GuestOp::Write { content, .. } = op {
        *content = Content::Stamp;
    }
}

fn at_the_start(op: &mut GuestOp, _: u64) {
    if let Some(range) = range_mut(op) {
        range.start = 0;
    }
}

fn one_sector(op: &mut GuestOp, _: u64) {
    if let Some(range) = range_mut(op) {
        range.len = range.len.min(SECTOR);
    }
}

fn aligned(op: &mut GuestOp, cluster: u64) {
    if let Some(range) = range_mut(op) {
        range.start -= range.start % cluster;
    }
}

fn one_cluster(op: &mut GuestOp, cluster: u64) {
    if let Some(range) = range_mut(op) {
        range.len = range.len.min(cluster);
    }
}

fn half_as_far(op: &mut GuestOp, _: u64) {
    if let Some(range) = range_mut(op) {
        range.start = half(range.start);
    }
}

fn half_as_long(op: &mut GuestOp, _: u64) {
    if let Some(range) = range_mut(op) {
        range.len = half(range.len).max(range.len.min(SECTOR));
    }
}

/// Halves a position or length to whole sectors.
fn half(bytes: u64) -> u64 {
    bytes / 2 / SECTOR * SECTOR
}
