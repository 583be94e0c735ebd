//! Arbitrary fault rules.

use blkproof::spec::fault::{Effect, Event, Extended, InjectError, IoTypes, Kept, Rule, When};
use blkproof::spec::{FaultRule, IoType, Layer, Millis, Place, RuleName, SectorNumber, Tag};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{errno, image, name, number, range};

pub(super) fn rule() -> impl Strategy<Value = FaultRule> {
    let place = (image(), any::<bool>()).prop_map(|(image, is_file)| Place {
        image,
        layer: if is_file { Layer::File } else { Layer::Format },
    });
    let rule = prop_oneof![
        (event(), any::<u32>(), any::<u32>()).prop_map(|(event, state, new_state)| {
            Rule::SetState {
                event,
                state,
                new_state,
            }
        }),
        inject_error().prop_map(Rule::InjectError),
        (event(), name()).prop_map(|(event, tag)| Rule::Break {
            event,
            tag: Tag::new(&tag)
        }),
        extended().prop_map(Rule::Extended),
    ];
    (option::of(name()), place, rule).prop_map(|(name, place, rule)| FaultRule {
        name: name.map(|name| RuleName::new(&name)),
        place,
        rule,
    })
}

fn event() -> impl Strategy<Value = Event> {
    select(Event::ALL)
}

fn iotypes() -> impl Strategy<Value = IoTypes> {
    subsequence(IoType::ALL, 0..=IoType::ALL.len())
        .prop_map(|kinds| kinds.into_iter().fold(IoTypes::NONE, IoTypes::with))
}

fn inject_error() -> impl Strategy<Value = InjectError> {
    (
        event(),
        any::<u32>(),
        iotypes(),
        option::of(errno()),
        option::of(number()),
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(event, state, iotypes, errno, sector, (once, immediately))| InjectError {
                event,
                state,
                iotypes,
                errno,
                sector: sector.map(SectorNumber),
                once,
                immediately,
            },
        )
}

fn extended() -> impl Strategy<Value = Extended> {
    (iotypes(), option::of(range()), when(), effect()).prop_map(|(iotypes, range, when, effect)| {
        Extended {
            iotypes,
            range,
            when,
            effect,
        }
    })
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        Just(When::Always),
        any::<u64>().prop_map(When::Nth),
        any::<u64>().prop_map(When::From),
        any::<u64>().prop_map(When::Every),
        (any::<u64>(), any::<u32>())
            .prop_map(|(seed, per_million)| When::Chance { seed, per_million }),
    ]
}

pub(super) fn kept() -> impl Strategy<Value = Kept> {
    prop_oneof![
        Just(Kept::Left),
        Just(Kept::Right),
        Just(Kept::Middle),
        any::<u64>().prop_map(Kept::Some),
    ]
}

fn effect() -> impl Strategy<Value = Effect> {
    prop_oneof![
        errno().prop_map(Effect::Error),
        any::<u64>().prop_map(|time| Effect::Delay(Millis(time))),
        (number(), errno()).prop_map(|(bytes, errno)| Effect::Partial { bytes, errno }),
        (kept(), errno()).prop_map(|(kept, errno)| Effect::Torn { kept, errno }),
        errno().prop_map(Effect::AppliedButFailed),
        any::<i64>().prop_map(|by| Effect::Misdirected { by }),
        Just(Effect::Phantom),
        Just(Effect::LyingFlush),
        any::<u64>().prop_map(|seed| Effect::BitRot { seed }),
        Just(Effect::StaleRead),
        number().prop_map(|bytes| Effect::Capacity { bytes }),
    ]
}
