//! Steps that show something only together, in the order in which people meet them.
//!
//! Drawn one by one they would hardly ever follow each other: an error that lasts has to stop a job
//! with several chunks on their way, has to be lifted, and the job to be resumed exactly once. What
//! lies between is drawn, and each step also comes by itself elsewhere.

use blkproof_spec::fault::{Effect, Extended, IoTypes, Rule, When};
use blkproof_spec::step::{
    Action, BitmapCommand, BitmapMode, BitmapStep, CompletionMode, ErrorPolicy, GuestOp, JobVerb,
    Run, Sync, TransactionAction, Work,
};
use blkproof_spec::{At, ByteRange, Content, Errno, IoType, Layer, Millis, Place, Units};

use super::options::{self, Draft};
use super::{backups, bitmaps, faults, guest, images, jobs, transactions};
use crate::generate::Choices;
use crate::generate::account::{Account, Job};
use crate::generate::kind::Kind;
use crate::generate::label::Label;

/// Writes to clusters that do not touch each other, so that what copies them has several chunks.
pub(super) fn scatter(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let known = &account.disks[disk];
    let (size, cluster) = (known.geometry.size.0, known.geometry.cluster.0);
    let unit = cluster.max(64 << 10);
    let first = choices.below(2);
    for turn in 0..choices.between(2, 3) {
        let start = (first + 2 * turn) * unit;
        if start < size {
            let range = ByteRange::new(start, cluster.min(size - start));
            write(account, disk, range);
        }
    }
}

/// Writes up to the end of the disk.
fn write_last(account: &mut Account, disk: usize) {
    let known = &account.disks[disk];
    let size = known.geometry.size.0;
    let len = known.geometry.cluster.0.min(size);
    write(account, disk, ByteRange::new(size - len, len));
}

fn write(account: &mut Account, disk: usize, range: ByteRange) {
    account.push(Action::Guest {
        at: account.disks[disk].name.device(),
        op: GuestOp::Write {
            range,
            content: Content::Stamp,
            fua: false,
            compressed: false,
        },
    });
}

/// Makes up a backup by a bitmap, or of everything where there is none.
pub(super) fn draft(account: &mut Account, disk: usize, choices: &mut Choices<'_>) -> Draft {
    let mut draft = match bitmaps::known(account, disk, choices) {
        Some(bitmap) => backups::of_bitmap(account, disk, bitmap, choices),
        None => backups::full_draft(account, disk, choices),
    };
    options::choose(account, &mut draft, choices);
    draft.backup.speed = 0;
    draft
}

pub(super) fn start(account: &mut Account, draft: Draft) -> usize {
    account.push(Action::Backup {
        backup: Box::new(draft.backup),
        run: Run::Start,
    });
    account.jobs.push(draft.job);
    account.jobs.len() - 1
}

fn finish(account: &mut Account, job: &Job) {
    account.push(Action::Finish {
        job: job.name.job(),
    });
}

/// Has errors stop a job, lifts them, resumes the job once, and sees it to its end.
pub(super) fn recover(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if account.is_source(disk) {
        return jobs::command(account, disk, choices);
    }
    if choices.chance(75) {
        scatter(account, disk, choices);
    }
    let mut draft = draft(account, disk, choices);
    let (policy, errno) = choices.pick(&[
        (ErrorPolicy::Stop, Errno::EIO),
        (ErrorPolicy::Stop, Errno::EIO),
        (ErrorPolicy::Enospc, Errno::ENOSPC),
        (ErrorPolicy::Ignore, Errno::EIO),
    ]);
    draft.backup.on_source_error = policy;
    draft.backup.on_target_error = policy;
    let job = draft.job;
    let rule = failing(account, disk, job.target, errno, choices);
    let index = start(account, draft);
    if policy == ErrorPolicy::Ignore {
        let work = Work::Job(job.name.job());
        let units = Units(choices.between(1, 12));
        account.push(Action::Advance { work, units });
    } else {
        finish(account, &job);
    }
    if choices.chance(30) {
        guest::request(account, disk, Kind::Write, choices);
    }
    faults::lift_rule(account, rule);
    match choices.below(10) {
        0 => {
            account.ended(index, false);
            let force = choices.chance(70);
            return jobs::verb(account, job, JobVerb::Cancel { force });
        }
        1 => {
            jobs::verb(account, job, JobVerb::Pause);
            jobs::verb(account, job, JobVerb::Resume);
        }
        _ if policy == ErrorPolicy::Ignore => {}
        _ => jobs::verb(account, job, JobVerb::Resume),
    }
    jobs::finish(account, index);
}

/// Installs a rule by which all that a job reads, or all that it writes, fails.
fn failing(
    account: &mut Account,
    disk: usize,
    target: Label,
    errno: Errno,
    choices: &mut Choices<'_>,
) -> Label {
    let at_source = choices.chance(60);
    let (image, kind) = if at_source {
        (account.disks[disk].name, IoType::Read)
    } else {
        (target, IoType::Write)
    };
    let layer = choices.pick(&[Layer::File, Layer::Format]);
    let when = choices.pick(&[When::Always, When::Always, When::From(2), When::Every(2)]);
    let place = Place {
        image: image.image(),
        layer,
    };
    faults::add(account, "lasting", place, error(kind, when, errno))
}

/// Has a speed limit hold a job up, changes or lifts the limit, and sees the job to its end.
pub(super) fn throttle(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    if account.is_source(disk) {
        return jobs::command(account, disk, choices);
    }
    if choices.chance(75) {
        scatter(account, disk, choices);
    }
    let mut draft = draft(account, disk, choices);
    draft.backup.speed = choices.pick(&[1, 4096, 65_536, 1 << 20]);
    let job = draft.job;
    let index = start(account, draft);
    let work = Work::Job(job.name.job());
    let units = Units(choices.between(2, 40));
    account.push(Action::Advance { work, units });
    match choices.below(4) {
        0 => {
            let kind = choices.pick(&[Kind::Write, Kind::Zeroes, Kind::Discard]);
            guest::request(account, disk, kind, choices);
        }
        1 => account.push(Action::Tick(Millis(choices.between(1, 300)))),
        _ => {}
    }
    let speed = choices.pick(&[0, 0, 0, 65_536, 1 << 30]);
    jobs::verb(account, job, JobVerb::SetSpeed(speed));
    if choices.chance(85) {
        jobs::finish(account, index);
    }
}

/// Has new bitmaps take in what others have dirty, one after another, and backs up by the last.
pub(super) fn collect(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let Some(first) = bitmaps::known(account, disk, choices) else {
        return bitmaps::command(account, disk, choices);
    };
    let together = choices.chance(40);
    let mut commands = Vec::with_capacity(4);
    let mut source = first;
    for _ in 0..choices.between(1, 2) {
        let mut sources = vec![(None, source.name.bitmap())];
        let other = if choices.chance(25) {
            // A time in which nothing was written, between two others.
            commands.push(bitmaps::add(account, disk, source.base, choices));
            account.disks[disk].bitmaps.last().copied()
        } else {
            bitmaps::known(account, disk, choices).filter(|_| choices.chance(50))
        };
        if let Some(other) = other {
            let place = choices.index(2);
            sources.insert(place, (None, other.name.bitmap()));
        }
        commands.push(bitmaps::add(account, disk, source.base, choices));
        let added = account.disks[disk].bitmaps.len() - 1;
        let added = account.disks[disk].bitmaps[added];
        commands.push(BitmapStep {
            at: At::Node(account.disks[disk].name.image()),
            name: added.name.bitmap(),
            command: BitmapCommand::Merge { sources },
        });
        source = added;
    }
    if choices.chance(20) {
        let known = source;
        commands.push(bitmaps::change(account, disk, known, choices));
    }
    if together {
        let actions = commands
            .into_iter()
            .map(TransactionAction::Bitmap)
            .collect();
        let mode = CompletionMode::Individual;
        account.push(Action::Transaction { actions, mode });
    } else {
        let commands = commands.into_iter().map(Action::Bitmap);
        commands.for_each(|command| account.push(command));
    }
    if choices.chance(40) && !account.is_source(disk) {
        let mut draft = backups::of_bitmap(account, disk, source, choices);
        if choices.chance(50) {
            draft.backup.sync = Sync::Bitmap;
            draft.backup.bitmap_mode = Some(BitmapMode::OnSuccess);
        }
        backups::submit(account, draft, choices);
    }
}

/// Installs a fault, and gives a command that may well meet it.
pub(super) fn strike(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let command = choices.pick(&[
        Command::Resize,
        Command::Resize,
        Command::Transaction,
        Command::Transaction,
        Command::Image,
        Command::Stored,
        Command::Restart,
    ]);
    let kind = choices.pick(command.asks());
    let image = match command {
        Command::Image => faults::awaited(account, choices),
        _ => account.disks[disk].name,
    };
    if command == Command::Resize && choices.chance(50) {
        // What a failed resize may lose lies at the end.
        write_last(account, disk);
    }
    let stored = (command == Command::Stored).then(|| store(account, disk));
    let place = Place {
        image: image.image(),
        layer: Layer::File,
    };
    let when = choices.pick(&[When::Nth(1), When::Nth(1), When::Nth(2), When::Always]);
    let stem = if when == When::Always {
        "lasting"
    } else {
        "once"
    };
    let rule = error(kind, when, Errno::EIO);
    let rule = faults::add(account, stem, place, rule);
    match command {
        Command::Resize => super::resize(account, disk, choices),
        Command::Transaction => {
            transactions::transaction(account, disk, choices);
            if let Some(last) = account.jobs.len().checked_sub(1) {
                jobs::finish(account, last);
            }
        }
        Command::Image => images::create(account, disk, choices),
        Command::Stored => stored.into_iter().for_each(|name| {
            account.push(Action::Bitmap(BitmapStep {
                at: At::Node(image.image()),
                name: name.bitmap(),
                command: BitmapCommand::Remove,
            }));
        }),
        Command::Restart => super::restart(account),
    }
    if choices.chance(60) {
        faults::lift_rule(account, rule);
    }
}

/// Adds a bitmap that the disk's image is to store.
pub(super) fn store(account: &mut Account, disk: usize) -> Label {
    let name = account.fresh("stored");
    account.push(Action::Bitmap(BitmapStep {
        at: At::Node(account.disks[disk].name.image()),
        name: name.bitmap(),
        command: BitmapCommand::Add {
            granularity: None,
            persistent: true,
            disabled: false,
        },
    }));
    // Images store their bitmaps when they are closed.
    super::restart(account);
    name
}

/// A command that asks something of an image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Resize,
    Transaction,
    Image,
    Stored,
    Restart,
}

impl Command {
    /// Returns what it may ask of the image.
    fn asks(self) -> &'static [IoType] {
        match self {
            Self::Resize => &[IoType::Write, IoType::Write, IoType::Flush, IoType::Read],
            Self::Transaction => &[IoType::Read, IoType::Read, IoType::Write, IoType::Flush],
            Self::Image | Self::Stored => {
                &[IoType::Write, IoType::Write, IoType::Flush, IoType::Read]
            }
            Self::Restart => &[IoType::Flush, IoType::Write],
        }
    }
}

pub(super) fn error(kind: IoType, when: When, errno: Errno) -> Rule {
    Rule::Extended(Extended {
        iotypes: IoTypes::only(kind),
        range: None,
        when,
        effect: Effect::Error(errno),
    })
}

#[cfg(test)]
mod tests {
    use blkproof_spec::Step;
    use blkproof_spec::step::{Action, BitmapCommand, JobVerb};

    use crate::generate::{Kind, Profile, case};

    /// Makes up cases of nothing but `kind`, and what it needs to begin.
    fn cases(kind: Kind, with: &str) -> impl Iterator<Item = Vec<Step>> {
        let none: String = Kind::ALL
            .iter()
            .filter(|other| **other != kind && !with.starts_with(other.name()))
            .map(|kind| format!("{} = 0\n", kind.name()))
            .collect();
        let text = format!("kinds = 100\n{none}{with}\n{} = 10\n", kind.name());
        let profile = Profile::parse("scenes", &text).unwrap();
        (0..300).map(move |number| case(5, number, &profile).steps)
    }

    fn position(steps: &[Step], like: impl Fn(&Action) -> bool) -> Option<usize> {
        steps.iter().position(|step| like(&step.action))
    }

    fn is_resume(action: &Action) -> bool {
        matches!(
            action,
            Action::Job {
                verb: JobVerb::Resume,
                ..
            }
        )
    }

    #[test]
    fn what_an_error_stops_is_resumed_once_it_is_lifted() {
        let resumed = cases(Kind::Recover, "").filter(|steps| {
            let Some(fault) = position(steps, |action| matches!(action, Action::Install(_))) else {
                return false;
            };
            let rest = &steps[fault..];
            let lifted = position(rest, |action| matches!(action, Action::Lift(_)));
            let resumed = position(rest, is_resume);
            assert!(lifted.is_some(), "{rest:?}");
            resumed.is_some_and(|resumed| Some(resumed) > lifted)
        });
        assert!(resumed.count() > 150);
    }

    #[test]
    fn a_speed_limit_is_lifted_while_the_job_runs() {
        let lifted = cases(Kind::Throttle, "").filter(|steps| {
            let limited = position(
                steps,
                |action| matches!(action, Action::Backup { backup, .. } if backup.speed > 0),
            );
            let lifted = position(steps, |action| {
                matches!(
                    action,
                    Action::Job {
                        verb: JobVerb::SetSpeed(0),
                        ..
                    }
                )
            });
            limited.is_some() && lifted > limited
        });
        assert!(lifted.count() > 150);
    }

    #[test]
    fn what_bitmaps_took_in_is_taken_on() {
        let chained = cases(Kind::Collect, "bitmap = 1").filter(|steps| {
            let mut merged = Vec::new();
            steps.iter().any(|step| {
                let Action::Bitmap(step) = &step.action else {
                    return false;
                };
                let BitmapCommand::Merge { sources } = &step.command else {
                    return false;
                };
                let on = sources.iter().any(|(_, name)| merged.contains(name));
                merged.push(step.name.clone());
                on
            })
        });
        assert!(chained.count() > 100);
    }

    #[test]
    fn commands_are_given_right_under_faults() {
        let struck = cases(Kind::Strike, "").filter(|steps| {
            steps.windows(2).any(|pair| {
                let [fault, command] = pair else {
                    return false;
                };
                let command = &command.action;
                matches!(fault.action, Action::Install(_))
                    && matches!(command, Action::Resize { .. } | Action::Transaction { .. })
            })
        });
        assert!(struck.count() > 150);
    }
}
