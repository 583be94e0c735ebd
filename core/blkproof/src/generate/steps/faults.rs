//! Made-up fault rules.

use blkproof_spec::fault::{Effect, Event, Extended, InjectError, IoTypes, Kept, Rule, When};
use blkproof_spec::step::Action;
use blkproof_spec::{Errno, FaultRule, ImageName, IoType, Layer, Place, RuleName};

use crate::generate::Choices;
use crate::generate::plan::Plan;

/// Installs a rule, or lifts one or all.
pub(super) fn fault(plan: &mut Plan, disk: usize, choices: &mut Choices) {
    if !plan.rules.is_empty() && choices.chance(35) {
        if choices.chance(50) {
            plan.rules.clear();
            return plan.push(Action::LiftAll);
        }
        let name = choices.pick(&plan.rules).clone();
        plan.rules.retain(|kept| *kept != name);
        return plan.push(Action::Lift(name));
    }
    let name = RuleName::new(&plan.fresh("f"));
    let place = Place {
        image: image(plan, disk, choices),
        layer: Layer::File,
    };
    let rule = if choices.chance(50) {
        blkdebug(choices)
    } else {
        extended(choices)
    };
    plan.rules.push(name.clone());
    plan.push(Action::Install(FaultRule {
        name: Some(name),
        place,
        rule,
    }));
}

/// The disk itself, or the image that its next backup probably writes.
fn image(plan: &Plan, disk: usize, choices: &mut Choices) -> ImageName {
    let target = plan.disks[disk]
        .bitmaps
        .iter()
        .rev()
        .find_map(|tracked| tracked.base.clone());
    match target {
        Some(target) if choices.chance(30) => target,
        _ => plan.disks[disk].name.clone(),
    }
}

fn blkdebug(choices: &mut Choices) -> Rule {
    let event = *choices.pick(&[
        Event::ReadAio,
        Event::ReadAio,
        Event::WriteAio,
        Event::L2Update,
        Event::ClusterAlloc,
        Event::FlushToDisk,
    ]);
    Rule::InjectError(InjectError {
        errno: Some(errno(choices)),
        once: choices.chance(75),
        ..InjectError::new(event)
    })
}

fn extended(choices: &mut Choices) -> Rule {
    let kind = *choices.pick(&[IoType::Read, IoType::Write, IoType::Write, IoType::Flush]);
    let errno = errno(choices);
    let effect = match (kind, choices.below(4)) {
        (IoType::Write, 0) => {
            let kept = *choices.pick(&[Kept::Left, Kept::Right, Kept::Middle, Kept::Some(1)]);
            Effect::Torn { kept, errno }
        }
        (IoType::Write, 1) => Effect::Partial {
            bytes: choices.below(8) * 512,
            errno,
        },
        (IoType::Write, 2) => Effect::AppliedButFailed(errno),
        _ => Effect::Error(errno),
    };
    let n = choices.between(1, 6);
    let when = *choices.pick(&[
        When::Nth(n),
        When::Nth(n),
        When::Every(n + 1),
        When::From(n),
    ]);
    Rule::Extended(Extended {
        iotypes: IoTypes::only(kind),
        range: None,
        when,
        effect,
    })
}

fn errno(choices: &mut Choices) -> Errno {
    if choices.chance(25) {
        Errno::ENOSPC
    } else {
        Errno::EIO
    }
}
