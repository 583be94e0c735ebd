//! A rule in a layer: what it says, what it did, and what it remembers.

use std::collections::BTreeMap;

use blkproof_spec::fault::{Effect, Extended, IoTypes, Rule, When};
use blkproof_spec::{FaultRule, IoType};

use super::chance;
use super::request::Request;
use crate::desk::Whose;
use crate::range_set::RangeSet;

/// A rule that was installed. It stays here when it is used up or lifted, for the final account.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) rule: FaultRule,
    /// Its number among all rules that the store was ever given.
    pub(crate) sequence: u64,
    /// Whether it is still there.
    pub(crate) live: bool,
    pub(crate) matched: u64,
    pub(crate) fired: u64,
    /// The sectors written since a bit rot rule is there: they are sound.
    pub(crate) sound: RangeSet,
    /// How often chance was asked about each request.
    seen: BTreeMap<chance::Identity, u64>,
    identity: u64,
}

impl Entry {
    pub(crate) fn new(rule: &FaultRule, sequence: u64) -> Self {
        let identity = match &rule.rule {
            Rule::Extended(extended) => chance::rule_identity(rule, extended),
            _ => 0,
        };
        Self {
            rule: rule.clone(),
            sequence,
            live: true,
            matched: 0,
            fired: 0,
            sound: RangeSet::default(),
            seen: BTreeMap::new(),
            identity,
        }
    }

    /// Returns the extended rule that this is.
    pub(crate) fn extended(&self) -> Option<&Extended> {
        match &self.rule.rule {
            Rule::Extended(extended) => Some(extended),
            _ => None,
        }
    }

    /// Counts a request that the rule matches and tells whether it is one to act on.
    pub(crate) fn selects(&mut self, when: When, request: &Request, whose: Whose) -> bool {
        self.matched += 1;
        match when {
            When::Always => true,
            When::Nth(n) => self.matched == n,
            When::From(n) => self.matched >= n,
            When::Every(n) => self.matched.checked_rem(n) == Some(0),
            When::Chance { seed, per_million } => {
                let who = chance::Identity::of(request, whose, self.rule.place.layer);
                let times = self.seen.entry(who).or_insert(0);
                let chosen = chance::selects(seed, per_million, self.identity, who, *times);
                *times += 1;
                chosen
            }
        }
    }
}

/// Returns the kinds of request that an extended rule looks at. It does not match those for which
/// its effect has no meaning.
pub(crate) fn looked_at(extended: &Extended) -> IoTypes {
    let kinds = extended.iotypes.iter();
    let kinds = kinds.filter(|kind| concerns(extended.effect, *kind));
    kinds.fold(IoTypes::NONE, IoTypes::with)
}

fn concerns(effect: Effect, kind: IoType) -> bool {
    use IoType::{Discard, Flush, Read, Write, WriteZeroes};
    match effect {
        Effect::Error(_) | Effect::Delay(_) => true,
        Effect::Partial { .. } => matches!(kind, Read | Write | WriteZeroes | Discard),
        Effect::Torn { .. } => matches!(kind, Write | WriteZeroes | Discard),
        Effect::AppliedButFailed(_) | Effect::Phantom => {
            matches!(kind, Write | WriteZeroes | Discard | Flush)
        }
        Effect::Misdirected { .. } => matches!(kind, Write | WriteZeroes),
        Effect::LyingFlush => kind == Flush,
        Effect::BitRot { .. } | Effect::StaleRead => kind == Read,
        Effect::Capacity { .. } => kind == Write,
    }
}
