//! Made-up fault rules.
//!
//! The name of a rule tells what may be asked of a subject under it: `once` for errors that strike
//! a number of times that is known, `lasting` for those that strike until they are lifted, `wait`
//! for delays, `silent` for what reports nothing. Chance within a rule comes from a seed that
//! stands in the rule, so that no step that is left out moves the faults of others.

use blkproof_spec::fault::{Effect, Event, Extended, InjectError, IoTypes, Kept, Rule, When};
use blkproof_spec::step::Action;
use blkproof_spec::{
    ByteRange, Errno, FaultRule, IoType, Layer, Millis, Place, SECTOR, SectorNumber,
};

use crate::generate::account::{self, Account};
use crate::generate::label::Label;
use crate::generate::{Choices, Profile};

/// The kinds of faults that report something, or only take time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Inject,
    Program,
    Error,
    Partial,
    Torn,
    AppliedButFailed,
    Capacity,
    Delay,
}

const FAULTS: [Fault; 8] = [
    Fault::Inject,
    Fault::Program,
    Fault::Error,
    Fault::Partial,
    Fault::Torn,
    Fault::AppliedButFailed,
    Fault::Capacity,
    Fault::Delay,
];

/// The events that most requests to qcow2 images raise.
const FREQUENT: [Event; 10] = [
    Event::WriteAio,
    Event::ReadAio,
    Event::WriteAio,
    Event::ReadAio,
    Event::PwritevDone,
    Event::ClusterAlloc,
    Event::L2Update,
    Event::FlushToOs,
    Event::FlushToDisk,
    Event::L2Load,
];

/// Events of all kinds of requests, also rare ones.
const EVENTS: [Event; 34] = [
    Event::Pwritev,
    Event::PwritevZero,
    Event::L2AllocWrite,
    Event::L2AllocCowRead,
    Event::L2UpdateCompressed,
    Event::L1Update,
    Event::L1GrowAllocTable,
    Event::L1GrowWriteTable,
    Event::L1GrowActivateTable,
    Event::L1ShrinkWriteTable,
    Event::L1ShrinkFreeL2Clusters,
    Event::ClusterAllocBytes,
    Event::ClusterAllocSpace,
    Event::ClusterFree,
    Event::CowRead,
    Event::CowWrite,
    Event::ReadBackingAio,
    Event::ReadCompressed,
    Event::WriteCompressed,
    Event::RefblockLoad,
    Event::RefblockUpdatePart,
    Event::RefblockAlloc,
    Event::RefblockAllocHookup,
    Event::RefblockAllocWrite,
    Event::RefblockAllocWriteBlocks,
    Event::RefblockAllocWriteTable,
    Event::RefblockAllocSwitchTable,
    Event::ReftableUpdate,
    Event::None,
    Event::PwritevRmwHead,
    Event::PwritevRmwTail,
    Event::ReftableLoad,
    Event::ReftableGrow,
    Event::EmptyImagePrepare,
];

fn event(choices: &mut Choices<'_>) -> Event {
    if choices.chance(30) {
        choices.pick(&EVENTS)
    } else {
        choices.pick(&FREQUENT)
    }
}

/// Installs a rule, or a program of several.
pub(super) fn install(
    account: &mut Account,
    disk: usize,
    choices: &mut Choices<'_>,
    profile: &Profile,
) {
    let place = place(account, disk, choices);
    if choices.chance(profile.silent) {
        let rule = silent(account, disk, choices);
        add(account, "silent", place, rule);
    } else {
        loud(account, disk, place, choices, profile);
    }
}

/// Installs a rule whose fault is reported, or only takes time.
fn loud(
    account: &mut Account,
    disk: usize,
    place: Place,
    choices: &mut Choices<'_>,
    profile: &Profile,
) {
    let fault = drawn(account, choices);
    let lasting = choices.chance(profile.lasting);
    let stem = match fault {
        Fault::Delay => "wait",
        _ if lasting => "lasting",
        _ => "once",
    };
    // Above a format, nobody counts what is stored.
    let layer = match fault {
        Fault::Capacity => Layer::File,
        _ => place.layer,
    };
    let place = Place { layer, ..place };
    let rule = match fault {
        Fault::Inject => inject(lasting, 0, choices),
        Fault::Program => return program(account, &place, stem, lasting, choices),
        other => extended(account, disk, other, lasting, choices),
    };
    add(account, stem, place, rule);
}

/// Returns a kind of fault that this scenario draws from.
fn drawn(account: &Account, choices: &mut Choices<'_>) -> Fault {
    let first = choices.index(FAULTS.len());
    (0..FAULTS.len())
        .map(|step| (first + step) % FAULTS.len())
        .find(|index| account.faults >> index & 1 == 1)
        .map_or(FAULTS[first], |index| FAULTS[index])
}

/// Installs a rule, and returns its name.
pub(super) fn add(account: &mut Account, stem: &'static str, place: Place, rule: Rule) -> Label {
    let name = account.fresh(stem);
    account.faulted = true;
    account.holds |= rule_holds(&rule);
    account.rules.push(account::Rule { name });
    account.push(Action::Install(FaultRule {
        name: Some(name.rule()),
        place,
        rule,
    }));
    name
}

/// Tells whether a rule makes requests wait.
fn rule_holds(rule: &Rule) -> bool {
    match rule {
        Rule::Extended(extended) => matches!(extended.effect, Effect::Delay(_)),
        _ => false,
    }
}

/// Returns rules that are in place when the disks are opened.
pub(in crate::generate) fn at_open(
    account: &mut Account,
    choices: &mut Choices<'_>,
) -> Vec<FaultRule> {
    let disk = choices.index(account.disks.len());
    let place = Place {
        image: account.disks[disk].name.image(),
        layer: Layer::File,
    };
    // Errors wait for a later state, so that most often the disks can be opened.
    let rules = [
        set_state(choices.pick(&[Event::FlushToDisk, Event::WriteAio]), 1, 2),
        inject(choices.chance(50), 2, choices),
    ];
    let named = |rule: Rule| {
        let name = account.fresh("open");
        account.rules.push(account::Rule { name });
        FaultRule {
            name: Some(name.rule()),
            place: place.clone(),
            rule,
        }
    };
    rules.map(named).into()
}

/// The disk itself, what it stands on, the target of a job, an image of a chain, or the target that
/// comes next.
fn place(account: &mut Account, disk: usize, choices: &mut Choices<'_>) -> Place {
    let image = match choices.below(10) {
        3 | 4 => account.disks[disk]
            .backing
            .unwrap_or(account.disks[disk].name),
        0..=2 => account.disks[disk].name,
        5 | 6 => match account.jobs.last() {
            Some(job) => job.target,
            None => awaited(account, choices),
        },
        7 => match account.images.len() {
            0 => awaited(account, choices),
            count => account.images[choices.index(count)].name,
        },
        _ => awaited(account, choices),
    };
    let layer = if choices.chance(20) {
        Layer::Format
    } else {
        Layer::File
    };
    Place {
        image: image.image(),
        layer,
    }
}

/// Names the target that comes next.
pub(super) fn awaited(account: &mut Account, choices: &mut Choices<'_>) -> Label {
    if let Some(awaited) = account.awaited {
        return awaited;
    }
    let awaited = account.fresh(choices.pick(&["inc", "full"]));
    account.awaited = Some(awaited);
    awaited
}

fn set_state(event: Event, state: u32, new_state: u32) -> Rule {
    Rule::SetState {
        event,
        state,
        new_state,
    }
}

fn inject(lasting: bool, state: u32, choices: &mut Choices<'_>) -> Rule {
    let iotypes = match choices.below(6) {
        0 => IoTypes::only(IoType::Read),
        1 => IoTypes::only(IoType::Write).with(IoType::WriteZeroes),
        _ => IoTypes::ALL_BUT_BLOCK_STATUS,
    };
    let sector = choices.chance(6).then(|| SectorNumber(choices.below(2048)));
    Rule::InjectError(InjectError {
        errno: (!choices.chance(2)).then(|| errno(choices)),
        state,
        iotypes,
        sector,
        once: !lasting,
        immediately: choices.chance(20),
        ..InjectError::new(event(choices))
    })
}

/// Installs a program of `blkdebug` rules: a chain of states, and an error in the last one.
fn program(
    account: &mut Account,
    place: &Place,
    stem: &'static str,
    lasting: bool,
    choices: &mut Choices<'_>,
) {
    let last = choices.between(2, 4);
    let last = u32::try_from(last).unwrap_or(2);
    for state in 1..last {
        let event = event(choices);
        add(
            account,
            stem,
            place.clone(),
            set_state(event, state, state + 1),
        );
    }
    let rule = inject(lasting, last, choices);
    add(account, stem, place.clone(), rule);
    if choices.chance(25) {
        // Back to the start, so that the chain is walked again.
        let event = event(choices);
        add(account, stem, place.clone(), set_state(event, last, 1));
    }
}

fn extended(
    account: &Account,
    disk: usize,
    fault: Fault,
    lasting: bool,
    choices: &mut Choices<'_>,
) -> Rule {
    let errno = errno(choices);
    let (effect, kinds): (_, &[IoType]) = match fault {
        Fault::Partial => {
            let bytes = choices.below(8) * SECTOR;
            (Effect::Partial { bytes, errno }, &CHANGES)
        }
        Fault::Torn => {
            let kept = kept(choices);
            (Effect::Torn { kept, errno }, &CHANGES)
        }
        Fault::AppliedButFailed => (Effect::AppliedButFailed(errno), &ANY),
        Fault::Capacity => {
            let bytes = choices.between(1, 64) << 15;
            return always(Effect::Capacity { bytes }, &[IoType::Write]);
        }
        Fault::Delay => (Effect::Delay(Millis(choices.between(1, 200))), &ANY),
        _ => (Effect::Error(errno), &ANY),
    };
    let kind = choices.pick(kinds);
    let iotypes = if choices.chance(20) {
        IoTypes::ALL_BUT_BLOCK_STATUS
    } else {
        IoTypes::only(kind)
    };
    Rule::Extended(Extended {
        iotypes,
        range: range(account, disk, choices),
        when: when(lasting, choices),
        effect,
    })
}

const ANY: [IoType; 9] = [
    IoType::Read,
    IoType::Read,
    IoType::Write,
    IoType::Write,
    IoType::Write,
    IoType::WriteZeroes,
    IoType::Flush,
    IoType::Discard,
    IoType::BlockStatus,
];

const CHANGES: [IoType; 5] = [
    IoType::Write,
    IoType::Write,
    IoType::Write,
    IoType::WriteZeroes,
    IoType::Discard,
];

fn always(effect: Effect, kinds: &[IoType]) -> Rule {
    let iotypes = kinds.iter().copied().fold(IoTypes::NONE, IoTypes::with);
    Rule::Extended(Extended {
        iotypes,
        range: None,
        when: When::Always,
        effect,
    })
}

fn kept(choices: &mut Choices<'_>) -> Kept {
    match choices.below(4) {
        0 => Kept::Left,
        1 => Kept::Right,
        2 => Kept::Middle,
        _ => Kept::Some(choices.below(1 << 16)),
    }
}

/// Most often anywhere; now and then only where the guest wrote.
fn range(account: &Account, disk: usize, choices: &mut Choices<'_>) -> Option<ByteRange> {
    let touched = &account.disks[disk].touched;
    let narrow = choices.chance(15);
    touched
        .last()
        .copied()
        .filter(|range| narrow && !range.is_empty())
}

fn when(lasting: bool, choices: &mut Choices<'_>) -> When {
    let n = choices.pick(&[1, 1, 1, 2, 2, 3, 4, 6]);
    let chance = |choices: &mut Choices<'_>, per_million| When::Chance {
        seed: choices.below(1 << 16),
        per_million,
    };
    match (lasting, choices.below(5)) {
        (false, 0) => chance(choices, 100_000),
        (false, _) => When::Nth(n),
        (true, 0) => When::Always,
        (true, 1) => chance(choices, 500_000),
        (true, 2) => When::Every(n + 1),
        (true, _) => When::From(n),
    }
}

/// What reports nothing.
fn silent(account: &Account, disk: usize, choices: &mut Choices<'_>) -> Rule {
    let seed = choices.below(1 << 16);
    let (effect, kind) = match choices.below(5) {
        0 => (Effect::Phantom, IoType::Write),
        1 => {
            let by = choices.pick(&[512, -512, 65_536, -65_536]);
            (Effect::Misdirected { by }, IoType::Write)
        }
        2 => (Effect::LyingFlush, IoType::Flush),
        3 => (Effect::BitRot { seed }, IoType::Read),
        _ => (Effect::StaleRead, IoType::Read),
    };
    Rule::Extended(Extended {
        iotypes: IoTypes::only(kind),
        range: range(account, disk, choices),
        when: when(choices.chance(50), choices),
        effect,
    })
}

fn errno(choices: &mut Choices<'_>) -> Errno {
    choices.pick(&[Errno::EIO, Errno::EIO, Errno::EIO, Errno::ENOSPC])
}

/// Lifts all rules, and lets go all that they hold.
pub(super) fn lift_all(account: &mut Account) {
    account.rules.clear();
    account.tags.clear();
    account.holds = false;
    for request in account.requests.iter_mut() {
        request.tag = None;
    }
    account.push(Action::LiftAll);
}

/// Lifts this rule, unless it is lifted already.
pub(super) fn lift_rule(account: &mut Account, name: Label) {
    let count = account.rules.len();
    account.rules.retain(|rule| rule.name != name);
    if account.rules.len() < count {
        account.push(Action::Lift(name.rule()));
    }
}

/// Lifts a rule, or all.
pub(super) fn lift(account: &mut Account, choices: &mut Choices<'_>) {
    let count = account.rules.len();
    if count == 0 || choices.chance(50) {
        return lift_all(account);
    }
    let rule = account.rules.remove(choices.index(count));
    account.push(Action::Lift(rule.name.rule()));
}
