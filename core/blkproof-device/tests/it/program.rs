//! Programs of `blkdebug` rules, made up for comparisons.

use blkproof_spec::fault::{Event, InjectError, IoType, IoTypes, Rule};
use blkproof_spec::{ByteRange, Errno, FaultRule, ImageName, Layer, Place, SectorNumber};
use proptest::prelude::*;

/// The events that the comparisons raise.
pub(crate) const EVENTS: [Event; 8] = [
    Event::ReadAio,
    Event::WriteAio,
    Event::Pwritev,
    Event::PwritevZero,
    Event::PwritevDone,
    Event::FlushToOs,
    Event::FlushToDisk,
    Event::None,
];

/// Puts a rule below the format of image `d`.
pub(crate) fn at_file(rule: Rule) -> FaultRule {
    FaultRule {
        name: None,
        place: Place {
            image: ImageName::new("d"),
            layer: Layer::File,
        },
        rule,
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop::sample::select(&EVENTS)
}

/// Makes up kinds of request.
pub(crate) fn iotypes() -> impl Strategy<Value = IoTypes> {
    prop_oneof![
        2 => Just(IoTypes::ALL_BUT_BLOCK_STATUS),
        3 => prop::sample::select(IoType::ALL).prop_map(IoTypes::only),
    ]
}

fn inject() -> impl Strategy<Value = Rule> {
    let errno = prop::sample::select(&[None, Some(Errno::EIO), Some(Errno::ENOSPC)]);
    let sector = prop::option::weighted(0.3, (0..24_u64).prop_map(SectorNumber));
    (
        event(),
        0..4_u32,
        iotypes(),
        errno,
        sector,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(event, state, iotypes, errno, sector, once, immediately)| {
                Rule::InjectError(InjectError {
                    event,
                    state,
                    iotypes,
                    errno,
                    sector,
                    once,
                    immediately,
                })
            },
        )
}

fn set_state() -> impl Strategy<Value = Rule> {
    (event(), 0..4_u32, 0..4_u32).prop_map(|(event, state, new_state)| Rule::SetState {
        event,
        state,
        new_state,
    })
}

/// Makes up a rule that a configuration file can say.
pub(crate) fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![inject(), set_state()]
}

/// Makes up a request as `qemu-io` could make it.
pub(crate) fn request() -> impl Strategy<Value = (IoType, ByteRange)> {
    let range =
        (0..16_u64, 1..8_u64).prop_map(|(start, len)| ByteRange::new(start * 512, len * 512));
    (prop::sample::select(IoType::ALL), range).prop_map(|(kind, range)| match kind {
        IoType::Flush => (kind, ByteRange::default()),
        IoType::BlockStatus => (kind, ByteRange::new(range.start, 512)),
        _ => (kind, range),
    })
}
