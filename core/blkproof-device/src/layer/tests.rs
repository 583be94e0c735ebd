//! What requests cost that no rule meets: one look, whatever the number of rules.

use blkproof_spec::fault::{Extended, InjectError, When};
use blkproof_spec::{ImageName, Layer as Side};

use super::*;

const EVERYTHING: ByteRange = ByteRange {
    start: 0,
    len: u64::MAX,
};

fn layer(rules: impl Iterator<Item = Rule>) -> Layer {
    let place = Place {
        image: ImageName::new("d"),
        layer: Side::File,
    };
    let mut layer = Layer::new(place.clone());
    for (sequence, rule) in (0..).zip(rules) {
        let (name, place) = (None, place.clone());
        layer.install(&FaultRule { name, place, rule }, sequence);
    }
    layer
}

fn fails(kind: IoType, range: ByteRange) -> Rule {
    Rule::Extended(Extended {
        iotypes: IoTypes::only(kind),
        range: Some(range),
        when: When::Always,
        effect: Effect::Error(Errno::EIO),
    })
}

#[test]
fn rules_on_other_events_and_kinds_are_not_looked_at() {
    let on_event = |_| Rule::InjectError(InjectError::new(Event::CorWrite));
    let on_writes = |page: u64| fails(IoType::Write, ByteRange::new(page * 4096, 4096));
    let mut layer = layer((0..64).map(on_event).chain((0..64).map(on_writes)));
    layer.event(Event::ReadAio, &Desk::default()).unwrap();
    for kind in [IoType::Read, IoType::Discard, IoType::Flush] {
        assert!(!layer.meets(kind, ByteRange::new(0, 512)));
        assert!(layer.is_calm(kind, EVERYTHING), "{kind} is free everywhere");
    }
    assert!(layer.meets(IoType::Write, ByteRange::new(0, 512)));
}

#[test]
fn one_look_is_enough_between_two_of_many_ranges() {
    let even = |page: u64| fails(IoType::Read, ByteRange::new(page * 8192, 4096));
    let mut layer = layer((0..64).map(even));
    assert!(!layer.meets(IoType::Read, ByteRange::new(12288, 512)));
    assert!(layer.is_calm(IoType::Read, ByteRange::new(12288, 4096)));
    assert!(!layer.is_calm(IoType::Read, ByteRange::new(12288, 4097)));
    layer.install(&layer.entries[0].rule.clone(), 64);
    assert!(
        !layer.is_calm(IoType::Read, ByteRange::new(12288, 512)),
        "rules have changed"
    );
}

#[test]
fn a_walk_that_activates_the_same_rules_leaves_what_was_found_out() {
    let active = |_| {
        Rule::InjectError(InjectError {
            iotypes: IoTypes::only(IoType::Write),
            ..InjectError::new(Event::ReadAio)
        })
    };
    let mut layer = layer((0..64).map(active));
    let desk = Desk::default();
    layer.event(Event::ReadAio, &desk).unwrap();
    assert!(!layer.meets(IoType::Read, ByteRange::new(0, 512)));
    layer.event(Event::ReadAio, &desk).unwrap();
    assert!(layer.is_calm(IoType::Read, EVERYTHING));
}
