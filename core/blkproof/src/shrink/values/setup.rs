//! Disks, images and bitmaps: the defaults.

use blkproof_spec::power::Cache;
use blkproof_spec::scenario::Role;
use blkproof_spec::step::{BitmapCommand, BitmapStep, Create};
use blkproof_spec::{DiscardMode, DiskSetup, Format, Geometry, Setup};

use super::Grade;
use crate::shrink::edit::{Change, as_device};

const DISK: &[fn(&mut DiskSetup)] = &[of_default_clusters, unmapping, as_drive, empty, alone];
const DISK_FINER: &[fn(&mut DiskSetup)] = &[in_qcow2, with_less];
const BITMAP: &[fn(&mut BitmapStep)] = &[of_default_granularity, unsaved, recording, by_device];
const CREATE: &[fn(&mut Create)] = &[made_of_default_clusters, as_backing];
const CREATE_FINER: &[fn(&mut Create)] = &[made_in_qcow2];

pub(super) fn disk(grade: Grade) -> Vec<Change> {
    let table = match grade {
        Grade::Simplest => DISK,
        Grade::Finer => DISK_FINER,
    };
    let changes = table.iter().copied().map(Change::Disk);
    match grade {
        Grade::Simplest => changes.chain([Change::Setup(usual_cache)]).collect(),
        Grade::Finer => changes.collect(),
    }
}

pub(super) fn bitmap(grade: Grade) -> Vec<Change> {
    let table = match grade {
        Grade::Simplest => BITMAP,
        Grade::Finer => &[],
    };
    table.iter().copied().map(Change::Bitmap).collect()
}

pub(super) fn create(grade: Grade) -> Vec<Change> {
    let table = match grade {
        Grade::Simplest => CREATE,
        Grade::Finer => CREATE_FINER,
    };
    table.iter().copied().map(Change::Create).collect()
}

fn usual_cache(setup: &mut Setup) {
    setup.cache = Cache::default();
}

fn of_default_clusters(disk: &mut DiskSetup) {
    disk.geometry.cluster = Geometry::DEFAULT_CLUSTER;
}

fn unmapping(disk: &mut DiskSetup) {
    disk.geometry.discard = DiscardMode::Unmap;
}

fn as_drive(disk: &mut DiskSetup) {
    if disk.role == Role::Node {
        disk.role = Role::Device;
    }
}

fn empty(disk: &mut DiskSetup) {
    disk.contents.clear();
}

fn with_less(disk: &mut DiskSetup) {
    disk.contents.pop();
}

fn alone(disk: &mut DiskSetup) {
    disk.backing = None;
}

fn in_qcow2(disk: &mut DiskSetup) {
    disk.geometry.format = Format::Qcow2;
}

fn of_default_granularity(bitmap: &mut BitmapStep) {
    if let BitmapCommand::Add { granularity, .. } = &mut bitmap.command {
        *granularity = None;
    }
}

fn unsaved(bitmap: &mut BitmapStep) {
    if let BitmapCommand::Add { persistent, .. } = &mut bitmap.command {
        *persistent = false;
    }
}

fn recording(bitmap: &mut BitmapStep) {
    if let BitmapCommand::Add { disabled, .. } = &mut bitmap.command {
        *disabled = false;
    }
}

fn by_device(bitmap: &mut BitmapStep) {
    as_device(&mut bitmap.at);
}

fn made_of_default_clusters(create: &mut Create) {
    create.cluster = Geometry::DEFAULT_CLUSTER;
}

/// With a backing file, the size need not be said.
fn as_backing(create: &mut Create) {
    if create.backing.is_some() {
        create.size = None;
    }
}

fn made_in_qcow2(create: &mut Create) {
    create.format = Format::Qcow2;
}
