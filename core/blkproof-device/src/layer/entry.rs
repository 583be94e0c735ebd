//! A rule in a layer: what it says, what it did, and what it remembers.

use std::collections::BTreeMap;

use blkproof_spec::fault::{Effect, Extended, IoTypes, Rule, When};
use blkproof_spec::{ByteRange, FaultRule, IoType};

use super::chance;
use super::request::Request;
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
    seen: BTreeMap<(u8, u64, u64), u64>,
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
    pub(crate) fn selects(&mut self, when: When, request: &Request) -> bool {
        self.matched += 1;
        match when {
            When::Always => true,
            When::Nth(n) => self.matched == n,
            When::From(n) => self.matched >= n,
            When::Every(n) => self.matched.checked_rem(n) == Some(0),
            When::Chance { seed, per_million } => {
                let ByteRange { start, len } = request.range;
                let times = self
                    .seen
                    .entry((request.kind as u8, start, len))
                    .or_insert(0);
                let chosen = chance::selects(seed, per_million, self.identity, request, *times);
                *times += 1;
                chosen
            }
        }
    }
}

/// Tells whether an effect has a meaning for a kind of request. A rule does not match the others.
pub(crate) fn concerns(effect: Effect, kind: IoType) -> bool {
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

/// The extended rules that look at one kind of request, in the order of installation.
#[derive(Clone, Default)]
pub(crate) struct Watch(Vec<Watcher>);

/// What is needed to match an extended rule: the bytes from `start` up to `end`, or any request.
#[derive(Clone, Copy)]
struct Watcher {
    start: u64,
    end: u64,
    any: bool,
    entry: usize,
}

impl Watch {
    /// Adds the rule of an entry if it looks at requests of `kind`.
    pub(crate) fn install(&mut self, kind: IoType, extended: &Extended, entry: usize) {
        let Extended {
            iotypes,
            range,
            effect,
            ..
        } = *extended;
        if looks_at(iotypes, effect, kind) {
            let bytes = match range {
                // Nothing touches an empty range: it is put where no request begins before its end.
                Some(range) if range.is_empty() => ByteRange::between(u64::MAX, u64::MAX),
                Some(range) => range,
                None => ByteRange::between(0, u64::MAX),
            };
            self.0.push(Watcher {
                start: bytes.start,
                end: bytes.end(),
                any: range.is_none(),
                entry,
            });
        }
    }

    /// Forgets the rule of an entry.
    pub(crate) fn forget(&mut self, entry: usize) {
        self.0.retain(|watcher| watcher.entry != entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the entry of the first rule from `from` on, a position in the list, that matches a
    /// request, and the position behind it.
    #[inline]
    pub(crate) fn next(&self, from: usize, request: &Request) -> Option<(usize, usize)> {
        let (start, end) = (request.range.start, request.range.end());
        let rest = &self.0[from..];
        let found = if start < end {
            // Both comparisons are made at once: most rules fail either, and no branch can tell
            // which.
            rest.iter()
                .position(|watcher| (start < watcher.end) & (watcher.start < end))
        } else {
            rest.iter().position(|watcher| watcher.any)
        };
        let found = found? + from;
        Some((self.0[found].entry, found + 1))
    }
}

fn looks_at(iotypes: IoTypes, effect: Effect, kind: IoType) -> bool {
    iotypes.contains(kind) && concerns(effect, kind)
}
