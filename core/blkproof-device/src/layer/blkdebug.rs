//! `blkdebug`: rules that events activate.
//!
//! An event walks its rules in the order in which they were defined; all of them compare with the
//! state before the event. The first error rule of the walk that matches empties the list of active
//! rules, each one joins it; the first set-state rule that matches decides the state after the
//! walk. A request is failed by the first active rule that matches it. An active rule stays active,
//! whatever happens next, until another walk empties the list.

use blkproof_spec::fault::{Event, InjectError, IoTypes, Rule};
use blkproof_spec::{ByteRange, SECTOR, SectorNumber, Tag};

use super::entry::Entry;
use super::request::Request;

/// The state of one `blkdebug` node. Rules are known by their index among the layer's entries.
#[derive(Clone)]
pub(crate) struct Blkdebug {
    state: u32,
    by_event: [Vec<usize>; Event::ALL.len()],
    active: Vec<Active>,
}

/// An active error rule: only what is needed to match it.
#[derive(Clone, Copy)]
struct Active {
    iotypes: IoTypes,
    /// Whether it matches whatever a request touches, and not only what touches `position`.
    any: bool,
    position: u64,
    entry: usize,
}

impl Default for Blkdebug {
    fn default() -> Self {
        Self {
            state: 1,
            by_event: [const { Vec::new() }; Event::ALL.len()],
            active: Vec::new(),
        }
    }
}

impl Blkdebug {
    /// Adds the rule of an entry, which must be one of `blkdebug`'s.
    pub(crate) fn install(&mut self, event: Event, entry: usize) {
        self.by_event[event as usize].push(entry);
    }

    /// Forgets the rule of an entry.
    pub(crate) fn forget(&mut self, event: Event, entry: usize) {
        self.by_event[event as usize].retain(|rule| *rule != entry);
        self.active.retain(|active| active.entry != entry);
    }

    /// Returns the events that have rules, as bits.
    pub(crate) fn events(&self) -> u64 {
        let armed = |event: &&Event| self.watches(**event);
        let bit = |event: &Event| 1 << *event as u64;
        Event::ALL.iter().filter(armed).map(bit).sum()
    }

    /// Tells whether an event has rules.
    pub(crate) fn watches(&self, event: Event) -> bool {
        !self.by_event[event as usize].is_empty()
    }

    /// Walks the rules of an event and returns the tags of the breakpoints that it ran into.
    pub(crate) fn raise(&mut self, event: Event, entries: &mut [Entry]) -> Vec<Tag> {
        let mut next = None;
        let mut emptied = false;
        let mut tags = Vec::new();
        for &index in &self.by_event[event as usize] {
            let entry = &mut entries[index];
            let applies = |state| state == 0 || state == self.state;
            match &entry.rule.rule {
                Rule::SetState {
                    state, new_state, ..
                } if applies(*state) => {
                    entry.matched += 1;
                    if next.is_none() {
                        next = Some(*new_state);
                        entry.fired += 1;
                    }
                }
                Rule::InjectError(inject) if applies(inject.state) => {
                    entry.matched += 1;
                    if !emptied {
                        self.active.clear();
                        emptied = true;
                    }
                    self.active.push(Active::new(inject, index));
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
        self.state = next.unwrap_or(self.state);
        if !tags.is_empty() {
            self.by_event[event as usize].retain(|index| entries[*index].live);
        }
        tags
    }

    /// Returns the entry of the active rule that acts on a request, if any does.
    #[inline]
    pub(crate) fn acting(&self, request: &Request) -> Option<usize> {
        self.active
            .iter()
            .find(|active| active.matches(request))
            .map(|active| active.entry)
    }
}

impl Active {
    fn new(inject: &InjectError, entry: usize) -> Self {
        // A sector behind the last byte that can be addressed is one that no request touches.
        let position = |sector: SectorNumber| sector.0.saturating_mul(SECTOR);
        Self {
            iotypes: inject.iotypes,
            any: inject.sector.is_none(),
            position: inject.sector.map_or(0, position),
            entry,
        }
    }

    #[inline]
    fn matches(&self, request: &Request) -> bool {
        // Everything is compared at once: most rules fail something, and no branch can tell what.
        let ByteRange { start, len } = request.range;
        let touched = self.any | (self.position.wrapping_sub(start) < len);
        touched & self.iotypes.contains(request.kind)
    }
}
