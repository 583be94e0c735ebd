//! A bitmap that outlives a restart: written to before and after it, stored well or not.

use blkproof_spec::fault::{Effect, Extended, IoTypes, Rule, When};
use blkproof_spec::step::{Action, BitmapCommand, BitmapStep, Run};
use blkproof_spec::{At, Errno, IoType, Layer, Place};

use super::{backups, bitmaps, faults, guest, power, scenes};
use crate::generate::account::{Account, Bitmap};
use crate::generate::kind::Kind;
use crate::generate::label::Label;
use crate::generate::{Choices, Profile};

/// Has a persistent bitmap record, restarts, and goes on with what came back of it.
pub(super) fn outlive(
    account: &mut Account,
    disk: usize,
    choices: &mut Choices<'_>,
    profile: &Profile,
) {
    if !account.disks[disk].is_qcow2() || account.is_source(disk) {
        return super::restart(account);
    }
    let bitmap = persistent(account, disk, choices);
    scenes::scatter(account, disk, choices);
    let stored = choices.chance(40);
    if stored {
        // From now on the file has it.
        super::restart(account);
        guest::request(account, disk, Kind::Write, choices);
    }
    if stored && choices.chance(15) {
        remove(account, disk, bitmap);
    } else if choices.chance(25) {
        let step = bitmaps::change(account, disk, bitmap, choices);
        account.push(Action::Bitmap(step));
    }
    let mut known = account.disks[disk].bitmaps.iter();
    if known.any(|known| known.name == bitmap.name) && choices.chance(30) {
        hold(account, disk, bitmap, choices);
    }
    let faults = profile.weight(Kind::Fault) > 0;
    let struck = faults && choices.chance(if stored { 60 } else { 25 });
    let rule = struck.then(|| strike(account, disk, choices));
    let power = profile.weight(Kind::Kill) > 0 && profile.weight(Kind::PowerCut) > 0;
    if power && choices.chance(60) {
        // It strikes at once, or in the midst of the restart, or behind it.
        if choices.chance(50) {
            power::kill(account, choices);
        } else {
            power::cut(account, choices);
        }
    }
    super::restart(account);
    if let Some(rule) = rule {
        faults::lift_rule(account, rule);
    }
    if choices.chance(50) {
        guest::request(account, disk, Kind::Write, choices);
    }
    let mut known = account.disks[disk].bitmaps.iter();
    let kept = known.rfind(|known| known.persistent).copied();
    if let Some(kept) = kept.filter(|_| choices.chance(60)) {
        let draft = backups::of_bitmap(account, disk, kept, choices);
        backups::submit(account, draft, choices);
    }
}

/// Returns a persistent bitmap of the disk, a new one where there is none.
fn persistent(account: &mut Account, disk: usize, choices: &mut Choices<'_>) -> Bitmap {
    let mut known = account.disks[disk].bitmaps.iter();
    if let Some(bitmap) = known.rfind(|known| known.persistent) {
        return *bitmap;
    }
    let mut step = bitmaps::add(account, disk, None, choices);
    let bitmap = bitmaps::persist(account, disk, &mut step);
    account.push(Action::Bitmap(step));
    bitmap
}

/// Takes the bitmap out of the file.
fn remove(account: &mut Account, disk: usize, bitmap: Bitmap) {
    let known = &mut account.disks[disk];
    known.bitmaps.retain(|known| known.name != bitmap.name);
    account.push(Action::Bitmap(BitmapStep {
        at: At::Node(account.disks[disk].name.image()),
        name: bitmap.name.bitmap(),
        command: BitmapCommand::Remove,
    }));
}

/// Has a job hold the bitmap while the guest writes on.
fn hold(account: &mut Account, disk: usize, bitmap: Bitmap, choices: &mut Choices<'_>) {
    let mut draft = backups::of_bitmap(account, disk, bitmap, choices);
    draft.backup.speed = 1;
    account.push(Action::Backup {
        backup: Box::new(draft.backup),
        run: Run::Start,
    });
    account.jobs.push(draft.job);
    guest::request(account, disk, Kind::Write, choices);
}

/// Has one of the next requests to the disk's file fail.
fn strike(account: &mut Account, disk: usize, choices: &mut Choices<'_>) -> Label {
    let kind = choices.pick(&[IoType::Write, IoType::Write, IoType::Flush]);
    let most = if kind == IoType::Write { 16 } else { 6 };
    let rule = Rule::Extended(Extended {
        iotypes: IoTypes::only(kind),
        range: None,
        when: When::Nth(choices.between(1, most)),
        effect: Effect::Error(Errno::EIO),
    });
    let place = Place {
        image: account.disks[disk].name.image(),
        layer: Layer::File,
    };
    faults::add(account, "once", place, rule)
}

#[cfg(test)]
mod tests {
    use blkproof_spec::Step;
    use blkproof_spec::step::{Action, BitmapCommand};

    use crate::generate::{Kind, Profile, case};

    fn is_persistent(action: &Action) -> bool {
        matches!(
            action,
            Action::Bitmap(step) if matches!(
                step.command,
                BitmapCommand::Add { persistent: true, .. }
            )
        )
    }

    fn restarts(steps: &[Step]) -> impl Iterator<Item = usize> + '_ {
        let steps = steps.iter().enumerate();
        steps.filter_map(|(at, step)| (step.action == Action::Restart).then_some(at))
    }

    #[test]
    fn persistent_bitmaps_meet_restarts_that_are_struck_and_that_are_not() {
        let others: String = Kind::ALL
            .iter()
            .filter(|kind| ![Kind::Outlive, Kind::Fault].contains(kind))
            .map(|kind| format!("{} = 0\n", kind.name()))
            .collect();
        let text = format!("kinds = 100\nraw = 0\n{others}outlive = 9\nfault = 1\n");
        let profile = Profile::parse("outlive", &text).unwrap();
        let (mut plain, mut struck) = (0, 0);
        for number in 0..200 {
            let steps = case(5, number, &profile).steps;
            let added = steps.iter().position(|step| is_persistent(&step.action));
            for restart in restarts(&steps).filter(|at| added.is_some_and(|added| added < *at)) {
                match steps[restart - 1].action {
                    Action::Install(_) => struck += 1,
                    _ => plain += 1,
                }
            }
        }
        assert!(plain > 100 && struck > 100, "{plain} {struck}");
    }
}
