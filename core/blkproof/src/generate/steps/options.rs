//! The options of made-up backups.

use blkproof_spec::step::{Backup, ErrorPolicy, Sync, TargetMode};
use blkproof_spec::{At, Format, Length};

use crate::generate::Choices;
use crate::generate::account::{Account, Job};
use crate::generate::label::Label;

const POLICIES: [ErrorPolicy; 5] = [
    ErrorPolicy::Report,
    ErrorPolicy::Ignore,
    ErrorPolicy::Enospc,
    ErrorPolicy::Stop,
    ErrorPolicy::Auto,
];

/// A backup in the making, with what is to be kept account of.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) backup: Backup,
    pub(super) job: Job,
}

/// Returns a draft of a backup of the disk to `target`.
pub(super) fn draft(account: &Account, disk: usize, sync: Sync, target: Label) -> Draft {
    let name = account.disks[disk].name;
    let touched = account.disks[disk].touched.len() as u64;
    Draft {
        backup: Backup::new(name.image(), sync, target.image()),
        job: Job {
            name,
            disk,
            target,
            endless: sync == Sync::None,
            // A pass has a chunk for each run of clusters, and a chunk is four units of work.
            units: if touched == 0 { 1 } else { 3 },
            ..Job::default()
        },
    }
}

/// Draws the options of a backup.
pub(super) fn choose(account: &mut Account, draft: &mut Draft, choices: &mut Choices<'_>) {
    let Draft { backup, job } = draft;
    if choices.chance(30) {
        backup.on_source_error = choices.pick(&POLICIES);
        backup.on_target_error = choices.pick(&POLICIES);
    }
    job.finalize = choices.chance(8);
    job.dismiss = choices.chance(8);
    backup.auto_finalize = !job.finalize;
    backup.auto_dismiss = !job.dismiss;
    if choices.chance(10) {
        backup.speed = choices.pick(&[1, 65_536, 1 << 20, 1 << 30]);
    }
    if choices.chance(6) {
        backup.min_cluster = Some(Length(64 << 10 << choices.below(5)));
    }
    let disk = &account.disks[job.disk];
    let format = match backup.mode {
        TargetMode::Create { format } => format.unwrap_or(disk.geometry.format),
        _ => account
            .image(job.target)
            .map_or(Format::Raw, |image| image.geometry.format),
    };
    backup.compress = format == Format::Qcow2 && choices.chance(10);
    if disk.is_node || choices.chance(15) {
        backup.at = At::Node(disk.name.image());
    }
    let taken = account.jobs.iter().any(|other| other.name == job.name);
    if disk.is_node || taken || choices.chance(40) {
        job.name = account.fresh("j");
        backup.job = Some(job.name.job());
    }
}
