//! A second interpreter of `blkdebug`'s rules, as slow and as plain as can be, and its judgement of
//! the first.

use blkproof_device::{IoError, MemStore, Pool, Store};
use blkproof_spec::fault::{Event, InjectError, IoType, Rule};
use blkproof_spec::{ByteRange, Errno, ImageName, Length};
use proptest::prelude::*;

use crate::{program, raw};

/// All that a node remembers: its state, its rules (`None` once deleted), and which are active.
struct Naive {
    state: u32,
    rules: Vec<Option<Rule>>,
    active: Vec<usize>,
}

impl Naive {
    fn new(rules: &[Rule]) -> Self {
        let rules = rules.iter().cloned().map(Some).collect();
        let mut node = Self {
            state: 1,
            rules,
            active: Vec::new(),
        };
        node.event(Event::None);
        node
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
                }
            }
            if let Some(Rule::SetState {
                event,
                state,
                new_state,
            }) = rule
            {
                let in_state = *state == 0 || *state == old_state;
                if *event == raised && in_state && !found_set_state {
                    found_set_state = true;
                    self.state = *new_state;
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
        let result = self.rule_check(kind, range);
        if before.is_some() {
            self.event(Event::PwritevDone);
        }
        result
    }

    fn rule_check(&mut self, kind: IoType, range: ByteRange) -> Result<(), Errno> {
        let hit = self.active.iter().copied().find(|number| {
            let Some(Rule::InjectError(inject)) = &self.rules[*number] else {
                return false;
            };
            inject.iotypes.contains(kind) && touches(inject, range)
        });
        let Some(number) = hit else {
            return Ok(());
        };
        let Some(Rule::InjectError(inject)) = self.rules[number].clone() else {
            return Ok(());
        };
        if inject.once {
            self.rules[number] = None;
            self.active.retain(|active| *active != number);
        }
        match inject.errno {
            Some(errno) => Err(errno),
            None => Ok(()),
        }
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

#[derive(Clone, Debug)]
enum Deed {
    Raise(Event),
    Request(IoType, ByteRange),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        prop::sample::select(&program::EVENTS).prop_map(Deed::Raise),
        program::request().prop_map(|(kind, range)| Deed::Request(kind, range)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn both_interpreters_agree(
        rules in prop::collection::vec(program::rule(), 0..12),
        deeds in prop::collection::vec(deed(), 0..40),
    ) {
        let mut store = MemStore::new(&Pool::new());
        for rule in &rules {
            store.install(&program::at_file(rule.clone()));
        }
        let mut device = store.create(&ImageName::new("d"), Length(1 << 20)).unwrap();
        let mut naive = Naive::new(&rules);
        let mut failures = 0;
        for deed in deeds {
            match deed {
                Deed::Raise(event) => {
                    device.event(event).unwrap();
                    naive.event(event);
                }
                Deed::Request(kind, range) => {
                    let expected = naive.request(kind, range);
                    let real = raw::request(&mut *device, kind, range);
                    failures += u64::from(expected.is_err());
                    prop_assert_eq!(real, expected.map_err(IoError::Failed));
                }
            }
        }
        let mut ledger = Vec::new();
        store.drain_ledger(&mut ledger);
        let reported = ledger.iter().filter(|firing| firing.errno.is_some()).count();
        prop_assert_eq!(reported as u64, failures, "the ledger holds every failure");
    }
}
