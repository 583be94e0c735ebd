//! A second interpreter of the rules, as slow and as plain as can be, and its judgement of the
//! first.

use blkproof_device::{IoError, MemStore, Pool, RuleCount, Store};
use blkproof_spec::fault::{Effect, Event, Extended, InjectError, IoType, Rule, When};
use blkproof_spec::{ByteRange, Errno, FaultRule, ImageName, Length, RuleName};
use proptest::prelude::*;

use crate::cases::cases;
use crate::{program, raw};

/// All that a node remembers: its state, its rules (`None` once deleted) with how often they
/// matched, and which are active.
struct Naive {
    state: u32,
    rules: Vec<Option<Rule>>,
    matched: Vec<u64>,
    active: Vec<usize>,
}

impl Naive {
    fn new() -> Self {
        Self {
            state: 1,
            rules: Vec::new(),
            matched: Vec::new(),
            active: Vec::new(),
        }
    }

    fn install(&mut self, rule: &Rule) {
        self.rules.push(Some(rule.clone()));
        self.matched.push(0);
    }

    fn delete(&mut self, number: usize) {
        self.rules[number] = None;
        self.active.retain(|active| *active != number);
    }

    fn event(&mut self, raised: Event) {
        let old_state = self.state;
        let mut found_inject = false;
        let mut found_set_state = false;
        for (number, rule) in self.rules.iter().enumerate() {
            if let Some(Rule::InjectError(inject)) = rule {
                let in_state = inject.state == 0 || inject.state == old_state;
                if inject.event == raised && in_state {
                    if !found_inject {
                        self.active = Vec::new();
                    }
                    found_inject = true;
                    self.active.push(number);
                    self.matched[number] += 1;
                }
            }
            if let Some(Rule::SetState {
                event,
                state,
                new_state,
            }) = rule
            {
                let in_state = *state == 0 || *state == old_state;
                if *event == raised && in_state {
                    self.matched[number] += 1;
                    if !found_set_state {
                        self.state = *new_state;
                    }
                    found_set_state = true;
                }
            }
        }
    }

    fn request(&mut self, kind: IoType, range: ByteRange) -> Result<(), Errno> {
        let before = match kind {
            IoType::Write => Some(Event::Pwritev),
            IoType::WriteZeroes => Some(Event::PwritevZero),
            _ => None,
        };
        if let Some(event) = before {
            self.event(event);
        }
        let decided = self.rule_check(kind, range);
        let decided = self.extended_check(kind, range, decided);
        if before.is_some() {
            self.event(Event::PwritevDone);
        }
        decided.unwrap_or(Ok(()))
    }

    fn rule_check(&mut self, kind: IoType, range: ByteRange) -> Option<Result<(), Errno>> {
        let number = self.active.iter().copied().find(|number| {
            let Some(Rule::InjectError(inject)) = &self.rules[*number] else {
                return false;
            };
            inject.iotypes.contains(kind) && touches(inject, range)
        })?;
        let Some(Rule::InjectError(inject)) = self.rules[number].clone() else {
            return None;
        };
        if inject.once {
            self.delete(number);
        }
        match inject.errno {
            Some(errno) => Some(Err(errno)),
            None => Some(Ok(())),
        }
    }

    fn extended_check(
        &mut self,
        kind: IoType,
        range: ByteRange,
        mut decided: Option<Result<(), Errno>>,
    ) -> Option<Result<(), Errno>> {
        for (number, rule) in self.rules.iter().enumerate() {
            let Some(Rule::Extended(extended)) = rule else {
                continue;
            };
            let touched = extended.range.is_none_or(|own| own.overlaps(range));
            if !extended.iotypes.contains(kind) || !touched {
                continue;
            }
            self.matched[number] += 1;
            let count = self.matched[number];
            let acts = match extended.when {
                When::Always => true,
                When::Nth(n) => count == n,
                When::From(n) => count >= n,
                When::Every(n) => count.is_multiple_of(n),
                When::Chance { .. } => panic!("chance is not made up here"),
            };
            if let Effect::Error(errno) = extended.effect
                && acts
                && decided.is_none()
            {
                decided = Some(Err(errno));
            }
        }
        decided
    }
}

fn touches(inject: &InjectError, range: ByteRange) -> bool {
    match inject.sector {
        None => true,
        Some(sector) => {
            let position = sector.0 * 512;
            position >= range.start && position < range.start + range.len
        }
    }
}

/// An extended rule that fails requests.
fn extended() -> impl Strategy<Value = Rule> {
    let when = prop_oneof![
        Just(When::Always),
        (1..5_u64).prop_map(When::Nth),
        (1..5_u64).prop_map(When::From),
        (1..5_u64).prop_map(When::Every),
    ];
    // Ranges need not consist of whole sectors.
    let range = (0..24_u64, 0..1200_u64).prop_map(|(start, len)| ByteRange::new(start * 300, len));
    let errno = prop::sample::select(&[Errno::EIO, Errno::ENOSPC]);
    (
        program::iotypes(),
        prop::option::weighted(0.7, range),
        when,
        errno,
    )
        .prop_map(|(iotypes, range, when, errno)| {
            Rule::Extended(Extended {
                iotypes,
                range,
                when,
                effect: Effect::Error(errno),
            })
        })
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![program::rule(), extended()]
}

#[derive(Clone, Debug)]
enum Deed {
    Raise(Event),
    Request(IoType, ByteRange),
    Install(Rule),
    /// Lifts the rule of this number, if there are so many.
    Lift(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => prop::sample::select(&program::EVENTS).prop_map(Deed::Raise),
        4 => program::request().prop_map(|(kind, range)| Deed::Request(kind, range)),
        1 => rule().prop_map(Deed::Install),
        1 => (0..100_usize).prop_map(Deed::Lift),
    ]
}

/// Both interpreters, and how many rules they have.
struct Pair {
    store: MemStore,
    naive: Naive,
}

impl Pair {
    fn install(&mut self, rule: &Rule) {
        let name = RuleName::new(&self.naive.rules.len().to_string());
        self.store.install(&FaultRule {
            name: Some(name),
            ..program::at_file(rule.clone())
        });
        self.naive.install(rule);
    }

    fn lift(&mut self, number: usize) {
        if number < self.naive.rules.len() {
            self.store.lift(&RuleName::new(&number.to_string()));
            self.naive.delete(number);
        }
    }
}

fn judge(rules: &[Rule], deeds: Vec<Deed>) -> Result<(), TestCaseError> {
    let mut pair = Pair {
        store: MemStore::new(&Pool::new()),
        naive: Naive::new(),
    };
    for rule in rules {
        pair.install(rule);
    }
    let mut device = pair
        .store
        .create(&ImageName::new("d"), Length(1 << 20))
        .unwrap();
    pair.naive.event(Event::None);
    let mut failures = 0;
    for deed in deeds {
        match deed {
            Deed::Raise(event) => {
                device.event(event).unwrap();
                pair.naive.event(event);
            }
            Deed::Request(kind, range) => {
                let expected = pair.naive.request(kind, range);
                let real = raw::request(&mut *device, kind, range);
                failures += u64::from(expected.is_err());
                prop_assert_eq!(real, expected.map_err(IoError::Failed));
            }
            Deed::Install(rule) => pair.install(&rule),
            Deed::Lift(number) => pair.lift(number),
        }
    }
    let mut ledger = Vec::new();
    pair.store.drain_ledger(&mut ledger);
    let reported = ledger
        .iter()
        .filter(|firing| firing.errno.is_some())
        .count();
    prop_assert_eq!(reported as u64, failures, "the ledger holds every failure");
    let counts = pair.store.rule_counts();
    let matched: Vec<_> = counts
        .iter()
        .map(|count: &RuleCount| count.matched)
        .collect();
    prop_assert_eq!(matched, pair.naive.matched);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(2000)))]

    #[test]
    fn both_interpreters_agree(
        rules in prop::collection::vec(rule(), 0..12),
        deeds in prop::collection::vec(deed(), 0..40),
    ) {
        judge(&rules, deeds)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(200)))]

    #[test]
    fn both_interpreters_agree_on_many_rules(
        rules in prop::collection::vec(rule(), 0..300),
        deeds in prop::collection::vec(deed(), 0..60),
    ) {
        judge(&rules, deeds)?;
    }
}
