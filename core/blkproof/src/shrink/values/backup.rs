//! Backups: QEMU's defaults, and the plainer of two modes.

use blkproof_spec::step::{Backup, BitmapMode, ErrorPolicy, Sync, TargetMode};

use super::Grade;
use crate::shrink::edit::{Change, as_device};

type Simpler = fn(&mut Backup);

const SIMPLEST: &[Simpler] = &[
    by_device,
    unlimited,
    reporting,
    automatic,
    uncompressed,
    of_default_clusters,
    onto_existing,
    of_same_format,
];
const FINER: &[Simpler] = &[
    incremental,
    full,
    automatically_finalized,
    automatically_dismissed,
    reporting_source_errors,
    reporting_target_errors,
];

pub(super) fn changes(used: bool, grade: Grade) -> Vec<Change> {
    let table = match grade {
        Grade::Simplest => SIMPLEST,
        Grade::Finer => FINER,
    };
    let unnamed = (grade == Grade::Simplest && !used).then_some(unnamed as Simpler);
    let all = unnamed.into_iter().chain(table.iter().copied());
    all.map(Change::Backup).collect()
}

fn unnamed(backup: &mut Backup) {
    backup.job = None;
}

fn by_device(backup: &mut Backup) {
    as_device(&mut backup.at);
}

fn unlimited(backup: &mut Backup) {
    backup.speed = 0;
}

fn reporting(backup: &mut Backup) {
    reporting_source_errors(backup);
    reporting_target_errors(backup);
}

fn reporting_source_errors(backup: &mut Backup) {
    backup.on_source_error = ErrorPolicy::Report;
}

fn reporting_target_errors(backup: &mut Backup) {
    backup.on_target_error = ErrorPolicy::Report;
}

fn automatic(backup: &mut Backup) {
    automatically_finalized(backup);
    automatically_dismissed(backup);
}

fn automatically_finalized(backup: &mut Backup) {
    backup.auto_finalize = true;
}

fn automatically_dismissed(backup: &mut Backup) {
    backup.auto_dismiss = true;
}

fn uncompressed(backup: &mut Backup) {
    backup.compress = false;
}

fn of_default_clusters(backup: &mut Backup) {
    backup.min_cluster = None;
}

fn onto_existing(backup: &mut Backup) {
    if backup.mode == TargetMode::Node {
        backup.mode = TargetMode::Existing;
    }
}

fn of_same_format(backup: &mut Backup) {
    if let TargetMode::Create { format } = &mut backup.mode {
        *format = None;
    }
}

/// What is the same by another name.
fn incremental(backup: &mut Backup) {
    if backup.sync == Sync::Bitmap && backup.bitmap_mode == Some(BitmapMode::OnSuccess) {
        backup.sync = Sync::Incremental;
        backup.bitmap_mode = None;
    }
}

fn full(backup: &mut Backup) {
    backup.sync = Sync::Full;
    backup.bitmap = None;
    backup.bitmap_mode = None;
}
