//! `blkdebug`: rules that events activate.
//!
//! An event walks its rules in the order in which they were defined; all of them compare with the
//! state before the event. The first error rule of the walk that matches empties the list of active
//! rules, each one joins it; the first set-state rule that matches decides the state after the
//! walk. A request is failed by the first active rule that matches it. An active rule stays active,
//! whatever happens next, until another walk empties the list.

use blkproof_spec::fault::{Event, InjectError, Rule};
use blkproof_spec::{ByteRange, SECTOR, Tag};

use super::entry::Entry;
use super::matcher::Matcher;
use super::request::Request;

/// The state of one `blkdebug` node. Rules are known by their index among the layer's entries.
#[derive(Clone)]
pub(crate) struct Blkdebug {
    state: u32,
    by_event: [Option<Box<Listeners>>; Event::ALL.len()],
    /// The event whose error rules are active.
    active: Option<Event>,
}

/// The rules of one event.
#[derive(Clone, Default)]
struct Listeners {
    /// The error rules. Those are armed that the last walk activated.
    errors: Matcher,
    /// The others.
    others: Vec<usize>,
}

/// What an event brought about.
#[derive(Default)]
pub(crate) struct Raised {
    /// The tags of the breakpoints that it ran into.
    pub(crate) tags: Vec<Tag>,
    /// Whether other rules are active than before.
    pub(crate) changes: bool,
}

impl Default for Blkdebug {
    fn default() -> Self {
        Self {
            state: 1,
            by_event: [const { None }; Event::ALL.len()],
            active: None,
        }
    }
}

impl Blkdebug {
    /// Adds the rule of an entry, which must be one of `blkdebug`'s.
    pub(crate) fn install(&mut self, event: Event, entry: usize, rule: &Rule) {
        let listeners = self.by_event[event as usize].get_or_insert_default();
        match rule {
            Rule::InjectError(inject) => {
                let errors = &mut listeners.errors;
                errors.add(entry, inject.iotypes, sector(inject));
            }
            _ => listeners.others.push(entry),
        }
    }

    /// Forgets the rule of an entry.
    pub(crate) fn forget(&mut self, event: Event, entry: usize) {
        if let Some(listeners) = &mut self.by_event[event as usize] {
            listeners.others.retain(|rule| *rule != entry);
            listeners.errors.remove(entry);
        }
    }

    /// Returns the events that have rules, as bits.
    pub(crate) fn events(&self) -> u64 {
        let armed = |event: &&Event| self.watches(**event);
        let bit = |event: &Event| 1 << *event as u64;
        Event::ALL.iter().filter(armed).map(bit).sum()
    }

    /// Tells whether an event has rules.
    pub(crate) fn watches(&self, event: Event) -> bool {
        let listeners = self.by_event[event as usize].as_ref();
        listeners.is_some_and(|listeners| !listeners.is_empty())
    }

    /// Walks the rules of an event.
    pub(crate) fn raise(&mut self, event: Event, entries: &mut [Entry]) -> Raised {
        let mut raised = Raised::default();
        if let Some(listeners) = &mut self.by_event[event as usize] {
            // All rules see the state before the event, so that error rules can be walked first.
            if let Some(changes) = listeners.activate(self.state, entries) {
                raised.changes = changes || self.active != Some(event);
                self.active = Some(event);
            }
            self.state = listeners.walk_others(self.state, entries, &mut raised.tags);
        }
        raised
    }

    /// Returns the entry of the active rule that acts on a request, if any does.
    pub(crate) fn acting(&self, request: &Request) -> Option<usize> {
        let (entry, _) = self.active()?.next(0, request)?;
        Some(entry)
    }

    /// Returns the list of active rules: those of the event that last activated any.
    pub(crate) fn active(&self) -> Option<&Matcher> {
        let listeners = self.by_event[self.active? as usize].as_ref()?;
        Some(&listeners.errors)
    }
}

impl Listeners {
    fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.others.is_empty()
    }

    /// Activates the error rules that match, and tells whether that changes which are active;
    /// `None` if none matches.
    fn activate(&mut self, state: u32, entries: &mut [Entry]) -> Option<bool> {
        self.errors.arm_only(|index| {
            let entry = &mut entries[index];
            let matches = matches!(&entry.rule.rule, Rule::InjectError(inject)
                if inject.state == 0 || inject.state == state);
            entry.matched += u64::from(matches);
            matches
        })
    }

    /// Walks the rules that are no error rules. Returns the state after the event, and adds the
    /// tags of the breakpoints that it ran into to `tags`.
    fn walk_others(&mut self, state: u32, entries: &mut [Entry], tags: &mut Vec<Tag>) -> u32 {
        let mut next = None;
        for &index in &self.others {
            let entry = &mut entries[index];
            match &entry.rule.rule {
                Rule::SetState {
                    state: in_state,
                    new_state,
                    ..
                } if *in_state == 0 || *in_state == state => {
                    entry.matched += 1;
                    if next.is_none() {
                        next = Some(*new_state);
                        entry.fired += 1;
                    }
                }
                Rule::Break { tag, .. } => {
                    entry.matched += 1;
                    entry.fired += 1;
                    entry.live = false;
                    tags.push(tag.clone());
                }
                _ => {}
            }
        }
        if !tags.is_empty() {
            self.others.retain(|index| entries[*index].live);
        }
        next.unwrap_or(state)
    }
}

/// Returns the bytes that a request has to touch for an error rule; `None` is any.
///
/// The first byte of its sector is one: a request that begins behind it does not count, and a
/// sector behind the last byte that can be addressed is one that no request touches.
fn sector(inject: &InjectError) -> Option<ByteRange> {
    let start = inject.sector?.0.saturating_mul(SECTOR);
    Some(ByteRange::between(start, start.saturating_add(1)))
}
