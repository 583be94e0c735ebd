//! Steps that meet a fault for sure, or nearly so.
//!
//! A fault that is drawn by itself strikes what comes next, which is most often a guest's write.
//! What else asks something of an image comes seldom, and hardly ever under a fault that fits: a
//! read of what only the image below has, a backup of each kind, the removal of a stored bitmap.

mod requests;

pub(super) use requests::compressed;

use blkproof_spec::fault::{Effect, Extended, IoTypes, Rule, When};
use blkproof_spec::step::{
    Action, BitmapCommand, BitmapMode, BitmapStep, CompletionMode, ErrorPolicy, JobVerb, Run, Sync,
    TransactionAction,
};
use blkproof_spec::{At, Errno, IoType, Layer, Millis, Place};

use super::options::{self, Draft};
use super::{backups, bitmaps, faults, images, jobs, scenes};
use crate::generate::Choices;
use crate::generate::account::{Account, Disk};
use crate::generate::label::Label;

/// From this size on an image has tables that are not read whole.
const HUGE: u64 = 1 << 40;

const SYNCS: [Sync; 5] = [
    Sync::Full,
    Sync::Top,
    Sync::None,
    Sync::Incremental,
    Sync::Bitmap,
];

const POLICIES: [ErrorPolicy; 7] = [
    ErrorPolicy::Report,
    ErrorPolicy::Auto,
    ErrorPolicy::Enospc,
    ErrorPolicy::Ignore,
    ErrorPolicy::Ignore,
    ErrorPolicy::Stop,
    ErrorPolicy::Stop,
];

const MODES: [BitmapMode; 3] = [BitmapMode::OnSuccess, BitmapMode::Never, BitmapMode::Always];

/// Has a step meet a fault.
pub(super) fn meet(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let huge = |known: &Disk| known.geometry.size.0 >= HUGE && known.is_qcow2();
    let huge = account.disks.iter().position(huge);
    if let Some(disk) = huge.filter(|_| choices.chance(70)) {
        return requests::table(account, disk, choices);
    }
    match choices.below(14) {
        0..=2 => requests::below(account, disk, choices),
        3..=5 => requests::flying(account, disk, choices),
        6 if account.disks[disk].is_qcow2() => requests::freed(account, disk, choices),
        7 if account.disks[disk].is_qcow2() => removal(account, disk, choices),
        8 | 9 => requests::beside(account, disk, choices),
        10 => images::rebase_struck(account, disk, choices),
        _ => backup(account, disk, choices),
    }
}

pub(super) fn file(image: Label) -> Place {
    Place {
        image: image.image(),
        layer: Layer::File,
    }
}

/// A backup of any kind, alone or in a transaction, of which a request to either side fails, or
/// takes time.
fn backup(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let sync = choices.pick(&SYNCS);
    let busy = account.is_source(disk) && !choices.chance(15);
    let Some(mut draft) = draft(account, disk, sync, choices).filter(|_| !busy) else {
        return jobs::command(account, disk, choices);
    };
    options::choose(account, &mut draft, choices);
    draft.backup.speed = 0;
    draft.backup.on_source_error = choices.pick(&POLICIES);
    draft.backup.on_target_error = choices.pick(&POLICIES);
    if choices.chance(60) {
        scenes::scatter(account, disk, choices);
    }
    let rule = struck(account, &draft, choices);
    let job = draft.job;
    if choices.chance(25) {
        let backup = TransactionAction::Backup(Box::new(draft.backup));
        let mode = choices.pick(&[CompletionMode::Individual, CompletionMode::Grouped]);
        account.push(Action::Transaction {
            actions: vec![backup],
            mode,
        });
    } else {
        let run = choices.pick(&[Run::Finish, Run::Finish, Run::Start]);
        let backup = Box::new(draft.backup);
        account.push(Action::Backup { backup, run });
    }
    account.jobs.push(job);
    let index = account.jobs.len() - 1;
    account.jobs[index].doubtful = true;
    faults::lift_rule(account, rule);
    match choices.below(4) {
        0 => jobs::verb(account, job, JobVerb::Resume),
        1 => account.push(Action::Tick(Millis(200))),
        _ => {}
    }
    jobs::finish(account, index);
}

/// Makes up a backup of this kind; `None` where it would need a bitmap that cannot be.
fn draft(
    account: &mut Account,
    disk: usize,
    sync: Sync,
    choices: &mut Choices<'_>,
) -> Option<Draft> {
    if !matches!(sync, Sync::Incremental | Sync::Bitmap) {
        return Some(backups::of_all(account, disk, sync, choices));
    }
    bitmaps::ensure(account, disk, choices);
    let bitmap = bitmaps::known(account, disk, choices)?;
    let mut draft = backups::of_bitmap(account, disk, bitmap, choices);
    draft.backup.sync = sync;
    draft.backup.bitmap_mode = match sync {
        Sync::Bitmap => draft.backup.bitmap_mode.or(Some(choices.pick(&MODES))),
        _ => None,
    };
    Some(draft)
}

/// Installs a rule that a request of the backup meets.
fn struck(account: &mut Account, draft: &Draft, choices: &mut Choices<'_>) -> Label {
    let (image, kinds): (_, &[IoType]) = if choices.chance(50) {
        let source = account.disks[draft.job.disk].name;
        (source, &[IoType::Read, IoType::Read, IoType::BlockStatus])
    } else {
        let kinds = &[
            IoType::Write,
            IoType::Write,
            IoType::Write,
            IoType::Flush,
            IoType::Read,
            IoType::WriteZeroes,
            IoType::BlockStatus,
        ];
        (draft.job.target, kinds)
    };
    let when = choices.pick(&[
        When::Nth(1),
        When::Nth(1),
        When::Nth(2),
        When::Nth(4),
        When::Always,
    ]);
    let kind = choices.pick(kinds);
    let layer = match choices.below(3) {
        0 => Layer::Format,
        _ => Layer::File,
    };
    let place = Place {
        image: image.image(),
        layer,
    };
    if choices.chance(20) {
        return faults::add(account, "wait", place, delay(kind, when, choices));
    }
    let stem = if when == When::Always {
        "lasting"
    } else {
        "once"
    };
    let errno = choices.pick(&[Errno::EIO, Errno::EIO, Errno::ENOSPC]);
    faults::add(account, stem, place, scenes::error(kind, when, errno))
}

pub(super) fn delay(kind: IoType, when: When, choices: &mut Choices<'_>) -> Rule {
    Rule::Extended(Extended {
        iotypes: IoTypes::only(kind),
        range: None,
        when,
        effect: Effect::Delay(Millis(choices.between(20, 200))),
    })
}

/// A stored bitmap that cannot be taken out of its file, most often while a job is there.
fn removal(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let name = scenes::store(account, disk);
    if choices.chance(75) {
        let draft = scenes::draft(account, disk, choices);
        scenes::start(account, draft);
    }
    let kind = choices.pick(&[IoType::Write, IoType::Flush]);
    let when = choices.pick(&[When::Nth(1), When::Nth(2), When::Always]);
    let place = file(account.disks[disk].name);
    let rule = scenes::error(kind, when, Errno::EIO);
    let rule = faults::add(account, "lasting", place, rule);
    let step = BitmapStep {
        at: At::Node(account.disks[disk].name.image()),
        name: name.bitmap(),
        command: BitmapCommand::Remove,
    };
    let action = if choices.chance(30) {
        Action::Transaction {
            actions: vec![TransactionAction::Bitmap(step)],
            mode: CompletionMode::Individual,
        }
    } else {
        Action::Bitmap(step)
    };
    account.push(action);
    faults::lift_rule(account, rule);
}

#[cfg(test)]
mod tests {
    use blkproof_spec::fault::{Effect, Rule};
    use blkproof_spec::step::{Action, BitmapCommand, BitmapStep};
    use blkproof_spec::{IoType, Step};

    use crate::generate::{Kind, Profile, case};

    fn scenarios() -> impl Iterator<Item = blkproof_spec::Scenario> {
        let none: String = Kind::ALL
            .iter()
            .filter(|kind| **kind != Kind::Meet)
            .map(|kind| format!("{} = 0\n", kind.name()))
            .collect();
        let text = format!("kinds = 100\nbacked = 70\n{none}meet = 1\n");
        let profile = Profile::parse("meet", &text).unwrap();
        (0..300).map(move |number| case(5, number, &profile))
    }

    fn is_rule(step: &Step) -> bool {
        matches!(step.action, Action::Install(_))
    }

    /// Tells how many scenarios have a step like this between a rule and its end.
    fn under_a_rule(like: impl Fn(&Action) -> bool) -> usize {
        let met = scenarios().filter(|scenario| {
            let steps = &scenario.steps;
            let rules = (0..steps.len()).filter(|index| is_rule(&steps[*index]));
            let mut spans = rules.map(|index| {
                let rest = &steps[index + 1..];
                let end = rest
                    .iter()
                    .position(|step| matches!(step.action, Action::Lift(_)));
                &rest[..end.unwrap_or(rest.len())]
            });
            spans.any(|span| span.iter().any(|step| like(&step.action)))
        });
        met.count()
    }

    #[test]
    fn backups_of_each_kind_meet_faults() {
        for sync in super::SYNCS {
            let met = under_a_rule(
                |action| matches!(action, Action::Backup { backup, .. } if backup.sync == sync),
            );
            assert!(met > 20, "{sync:?}: {met}");
        }
    }

    #[test]
    fn what_is_settled_and_removed_and_rebased_meets_faults() {
        let settled = under_a_rule(|action| matches!(action, Action::Settle { .. }));
        let rebased = under_a_rule(|action| matches!(action, Action::Rebase { .. }));
        let removes = |step: &BitmapStep| step.command == BitmapCommand::Remove;
        let removed =
            under_a_rule(|action| matches!(action, Action::Bitmap(step) if removes(step)));
        assert!(
            settled > 50 && rebased > 30 && removed > 20,
            "{settled} {rebased} {removed}"
        );
    }

    #[test]
    fn images_below_a_disk_fail_too() {
        let below = scenarios().filter(|scenario| {
            let mut rules = scenario.steps.iter().filter_map(|step| match &step.action {
                Action::Install(rule) => Some(rule),
                _ => None,
            });
            rules.any(|rule| {
                let disks = &scenario.setup.disks;
                let image = Some(&rule.place.image);
                let is_below = disks.iter().any(|disk| disk.backing.as_ref() == image);
                let Rule::Extended(extended) = &rule.rule else {
                    return false;
                };
                let fails = matches!(extended.effect, Effect::Error(_));
                is_below && fails && extended.iotypes.contains(IoType::Read)
            })
        });
        assert!(below.count() > 50);
    }
}
