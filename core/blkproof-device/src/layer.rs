//! The fault layer of one place: the rules, what they remember, and how they act on requests.
//!
//! A request first raises the write path's own event, then `blkdebug`'s rules decide, then the
//! extended rules in the order of installation; at most one acts. An extended rule counts each
//! request that it matches, also one that another rule acts on, so that rules do not move each
//! other. What a rule spoils is kept beside the bytes (rot, stale contents) or is the write's own
//! doing (torn, misdirected): lifting a rule leaves no trace but what was written.
//!
//! A request that has to wait is remembered by its kind and range. When it is made again after the
//! wait, it goes on where it stopped and meets no rule twice. Two requests of the same kind and
//! range that are in flight together cannot be told apart: the first to come back takes the first's
//! turn.

mod before;
mod blkdebug;
pub(crate) mod chance;
mod effect;
mod entry;
mod matcher;
mod request;

#[cfg(test)]
mod tests;

use blkproof_spec::fault::{Effect, Event, Firing, IoTypes, Rule};
use blkproof_spec::{ByteRange, Errno, FaultRule, IoType, Place, RuleName, Tag};

use crate::block_device::{BlockDevice, IoError, IoResult, Wait};
use crate::desk::Desk;
use crate::trace::{TraceEntry, Traced};
use before::Before;
use blkdebug::Blkdebug;
use entry::Entry;
use matcher::{Matcher, Span};

pub(crate) use effect::keeps;
pub(crate) use request::{Call, Io, Request};

/// The fault layer of one place.
#[derive(Clone)]
pub(crate) struct Layer {
    place: Place,
    tracing: bool,
    /// There is a volatile cache below, which every change and every flush has to pass.
    cached: bool,
    entries: Vec<Entry>,
    blkdebug: Blkdebug,
    /// The extended rules.
    extended: Matcher,
    held: Vec<Held>,
    before: Option<Before>,
    /// The bit rot rules, which have to be told of every write.
    rots: Vec<usize>,
    /// The kinds of which every request has to be looked at, whatever the rules match.
    attentive: IoTypes,
    /// For each kind, bytes of which it is known that requests there are ignored.
    calm: [Span; IoType::ALL.len()],
}

/// A request that waits.
#[derive(Clone)]
struct Held {
    request: Request,
    wait: Wait,
    stage: Stage,
}

/// Where a request that was made again goes on.
#[derive(Clone)]
enum Stage {
    /// At the start: it did not wait.
    Start,
    /// Behind the event of its start.
    Raised,
    /// Behind the rule that delayed it.
    Delayed,
    /// Behind everything: it was carried out.
    Done,
    /// Behind everything: it failed, because of what stands in the ledger.
    Failed(Errno, Vec<Firing>),
}

/// What a rule account says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleCount {
    /// The rule.
    pub rule: FaultRule,
    /// How many requests or events it matched: for an error rule of `blkdebug` how often it was
    /// activated.
    pub matched: u64,
    /// How often it acted.
    pub fired: u64,
    /// Whether it is still there, neither used up nor lifted.
    pub live: bool,
    pub(crate) sequence: u64,
}

impl Layer {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            tracing: false,
            cached: false,
            entries: Vec::new(),
            blkdebug: Blkdebug::default(),
            extended: Matcher::default(),
            held: Vec::new(),
            before: None,
            rots: Vec::new(),
            attentive: IoTypes::NONE,
            calm: [Span::NOWHERE; IoType::ALL.len()],
        }
    }

    /// Returns the events that have to come here, as bits.
    pub(crate) fn events(&self) -> u64 {
        if self.tracing {
            u64::MAX
        } else {
            self.blkdebug.events()
        }
    }

    pub(crate) fn set_tracing(&mut self, tracing: bool) {
        self.tracing = tracing;
        self.attend();
    }

    pub(crate) fn set_cached(&mut self, cached: bool) {
        self.cached = cached;
        self.attend();
    }

    /// Forgets the requests that wait: nobody makes them again.
    pub(crate) fn forget_held(&mut self) {
        self.held.clear();
        self.attend();
    }

    /// Tells whether a request is known to be carried out as it is, without coming here.
    #[inline]
    pub(crate) fn is_calm(&self, kind: IoType, range: ByteRange) -> bool {
        self.calm[kind as usize].holds(range)
    }

    /// Tells whether a request has to come here. If not, notes which around it need not either.
    pub(crate) fn meets(&mut self, kind: IoType, range: ByteRange) -> bool {
        let mut calm = Span::EVERYWHERE;
        if self.attentive.contains(kind)
            || self.extended.meets(kind, range, &mut calm)
            || (self.blkdebug.active()).is_some_and(|errors| errors.meets(kind, range, &mut calm))
        {
            return true;
        }
        self.calm[kind as usize] = calm;
        false
    }

    /// Notes which kinds of request have to be looked at. Called after every change of what decides
    /// it.
    fn attend(&mut self) {
        self.calm = [Span::NOWHERE; IoType::ALL.len()];
        let overlays = !self.rots.is_empty() || self.before.is_some();
        let always = self.tracing || !self.held.is_empty();
        self.attentive = IoTypes::NONE;
        for kind in IoType::ALL.iter().copied() {
            let (start, done) = own_events(kind);
            let mut events = start.into_iter().chain(done);
            let raises = events.any(|event| self.blkdebug.watches(event));
            let cached = self.cached && (changes(kind) || kind == IoType::Flush);
            if always || raises || cached || overlays && changes(kind) {
                self.attentive = self.attentive.with(kind);
            }
        }
    }

    /// Adds a rule behind those that are there.
    pub(crate) fn install(&mut self, rule: &FaultRule, sequence: u64) {
        let index = self.entries.len();
        match &rule.rule {
            Rule::Extended(extended) => {
                let kinds = entry::looked_at(extended);
                self.extended.add(index, kinds, extended.range);
                self.extended.arm_all();
                match extended.effect {
                    Effect::BitRot { .. } => self.rots.push(index),
                    Effect::StaleRead => {
                        self.before.get_or_insert_with(Before::new);
                    }
                    _ => {}
                }
            }
            other => {
                let event = event_of(other).expect("only extended rules have no event");
                self.blkdebug.install(event, index, other);
            }
        }
        self.entries.push(Entry::new(rule, sequence));
        self.attend();
    }

    /// Removes the rules of this name, or all, and tells whether there were any. What they hold
    /// goes on.
    pub(crate) fn lift(&mut self, name: Option<&RuleName>, desk: &Desk) -> bool {
        let mut found = false;
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            if name.is_some() && entry.rule.name.as_ref() != name {
                continue;
            }
            let (live, sequence) = (entry.live, entry.sequence);
            let tag = match &entry.rule.rule {
                Rule::Break { tag, .. } => Some(tag.clone()),
                _ => None,
            };
            if live {
                found = true;
                self.forget(index);
            }
            let mut files = desk.lock();
            files.end_delays(sequence);
            if let Some(tag) = tag {
                found |= files.resume(&tag);
            }
        }
        self.drop_overlays();
        self.attend();
        found
    }

    /// Takes a rule out of the indices.
    fn forget(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        entry.live = false;
        match event_of(&entry.rule.rule) {
            Some(event) => self.blkdebug.forget(event, index),
            None => self.extended.remove(index),
        }
    }

    /// Gives up what no rule needs any more.
    fn drop_overlays(&mut self) {
        self.rots.retain(|index| self.entries[*index].live);
        let live = self.entries.iter().filter(|entry| entry.live);
        let mut extended = live.filter_map(Entry::extended);
        if extended.all(|rule| rule.effect != Effect::StaleRead) {
            self.before = None;
        }
    }

    /// Adds the account of every rule that was ever here.
    pub(crate) fn counts(&self, counts: &mut Vec<RuleCount>) {
        counts.extend(self.entries.iter().map(|entry| RuleCount {
            rule: entry.rule.clone(),
            matched: entry.matched,
            fired: entry.fired,
            live: entry.live,
            sequence: entry.sequence,
        }));
    }

    /// Raises the event of an opening. There is no request that a breakpoint could suspend then:
    /// one is used up without effect.
    pub(crate) fn opened(&mut self, desk: &Desk) {
        self.raise(Event::None);
        self.trace(Traced::Event(Event::None), &Ok(()), desk);
    }

    /// Has `blkdebug`'s rules act on an event, and returns the tags of the breakpoints that it ran
    /// into.
    fn raise(&mut self, event: Event) -> Vec<Tag> {
        let raised = self.blkdebug.raise(event, &mut self.entries);
        if raised.changes {
            self.calm = [Span::NOWHERE; IoType::ALL.len()];
        }
        raised.tags
    }

    /// Raises an event.
    pub(crate) fn event(&mut self, event: Event, desk: &Desk) -> IoResult<()> {
        let tags = self.raise(event);
        let result = if tags.is_empty() {
            Ok(())
        } else {
            Err(IoError::Wait(desk.lock().suspend(tags)))
        };
        self.trace(Traced::Event(event), &result, desk);
        result
    }

    /// Notes a change of size, which no rule acts on.
    pub(crate) fn resized(&mut self, traced: Traced, result: &IoResult<()>, desk: &Desk) {
        self.trace(traced, result, desk);
    }

    /// Carries out a request as the rules will have it.
    pub(crate) fn request<D: BlockDevice + ?Sized>(
        &mut self,
        disk: &mut D,
        range: ByteRange,
        io: Io<'_>,
        desk: &Desk,
    ) -> IoResult<()> {
        let request = Request::new(io.kind(), range);
        let result = self.pass(&mut Call {
            disk,
            request,
            io,
            desk,
        });
        self.trace(Traced::Request(request.kind, range), &result, desk);
        result
    }

    /// Takes a request through its stages, from the one where it stopped.
    fn pass<D: BlockDevice + ?Sized>(&mut self, call: &mut Call<'_, '_, D>) -> IoResult<()> {
        let (request, desk) = (call.request, call.desk);
        let (start, done) = own_events(request.kind);
        let stage = self.stage(request, desk)?;
        let known = desk.lock().ledger.len();
        if let (Stage::Start, Some(event)) = (&stage, start) {
            self.own_event(event, request, Stage::Raised, desk)?;
        }
        let result = match stage {
            Stage::Start | Stage::Raised => self.decide(call),
            Stage::Delayed => self.change(call),
            // Who asks again may be someone else, in a later step: the error comes with its faults.
            Stage::Failed(errno, firings) => {
                desk.lock().ledger.extend(firings);
                return Err(IoError::Failed(errno));
            }
            // Meanwhile the caller unwound, and may have given up what it wrote, or brings other
            // data: the request is carried out again, behind whatever came between.
            Stage::Done => return self.change(call),
        };
        let ended = match &result {
            Ok(()) => Stage::Done,
            Err(IoError::Failed(errno)) => Stage::Failed(*errno, desk.lock().fired_since(known)),
            // The request comes back, and its end is raised then.
            Err(IoError::Wait(_)) => return result,
        };
        if let Some(event) = done {
            self.own_event(event, request, ended, desk)?;
        }
        result
    }

    /// Raises an event of the write path, and remembers the request if a breakpoint holds it there.
    fn own_event(
        &mut self,
        event: Event,
        request: Request,
        stage: Stage,
        desk: &Desk,
    ) -> IoResult<()> {
        let result = self.event(event, desk);
        if let Err(IoError::Wait(wait)) = &result {
            self.hold(request, wait.clone(), stage);
        }
        result
    }

    fn hold(&mut self, request: Request, wait: Wait, stage: Stage) {
        self.held.push(Held {
            request,
            wait,
            stage,
        });
        self.attend();
    }

    /// Returns where a request goes on: at the start unless it waited here before.
    fn stage(&mut self, request: Request, desk: &Desk) -> IoResult<Stage> {
        let Some(index) = self.held.iter().position(|held| held.request == request) else {
            return Ok(Stage::Start);
        };
        let wait = &self.held[index].wait;
        if !desk.lock().is_over(wait) {
            return Err(IoError::Wait(wait.clone()));
        }
        let held = self.held.remove(index);
        self.attend();
        Ok(held.stage)
    }

    /// Has the rules decide on a request, and carries it out accordingly.
    fn decide<D: BlockDevice + ?Sized>(&mut self, call: &mut Call<'_, '_, D>) -> IoResult<()> {
        let mut outcome = None;
        if let Some(index) = self.blkdebug.acting(&call.request) {
            outcome = Some(match self.inject(index, &call.request, call.desk) {
                Some(errno) => Err(IoError::Failed(errno)),
                None => self.change(call),
            });
        }
        outcome = self.extended(call, outcome);
        outcome.unwrap_or_else(|| self.change(call))
    }

    /// Has an error rule of `blkdebug` act, and returns its error.
    fn inject(&mut self, index: usize, request: &Request, desk: &Desk) -> Option<Errno> {
        let Rule::InjectError(inject) = self.entries[index].rule.rule else {
            return None;
        };
        self.fire(index, request, inject.errno, desk);
        if inject.once {
            self.forget(index);
            self.attend();
        }
        inject.errno
    }

    /// Shows a request to the extended rules; the first that acts, if nothing did before, decides.
    fn extended<D: BlockDevice + ?Sized>(
        &mut self,
        call: &mut Call<'_, '_, D>,
        mut outcome: Option<IoResult<()>>,
    ) -> Option<IoResult<()>> {
        let mut from = 0;
        while let Some((index, next)) = self.extended.next(from, &call.request) {
            from = next;
            let entry = &mut self.entries[index];
            let extended = *entry
                .extended()
                .expect("only extended rules watch requests");
            let whose = call.desk.whose();
            if entry.selects(extended.when, &call.request, whose) && outcome.is_none() {
                outcome = self.act(call, index, extended.effect);
            }
        }
        outcome
    }

    /// Enters in the ledger that a rule acted.
    fn fire(&mut self, index: usize, request: &Request, errno: Option<Errno>, desk: &Desk) {
        let entry = &mut self.entries[index];
        entry.fired += 1;
        desk.meter().renew();
        desk.lock().ledger.push(Firing {
            place: self.place.clone(),
            name: entry.rule.name.clone(),
            kind: request.kind,
            range: request.range,
            errno,
            verdict: entry.rule.rule.verdict(),
        });
    }

    fn trace(&mut self, what: Traced, result: &IoResult<()>, desk: &Desk) {
        if self.tracing {
            desk.lock().trace.push(TraceEntry {
                place: self.place.clone(),
                what,
                result: result.clone(),
            });
        }
    }
}

/// Returns the event of a rule of `blkdebug`.
fn event_of(rule: &Rule) -> Option<Event> {
    match rule {
        Rule::SetState { event, .. } | Rule::Break { event, .. } => Some(*event),
        Rule::InjectError(inject) => Some(inject.event),
        Rule::Extended(_) => None,
    }
}

/// Tells whether requests of this kind change what a device holds.
fn changes(kind: IoType) -> bool {
    matches!(kind, IoType::Write | IoType::WriteZeroes | IoType::Discard)
}

/// Returns the events that the write path raises before and after a request of this kind.
fn own_events(kind: IoType) -> (Option<Event>, Option<Event>) {
    match kind {
        IoType::Write => (Some(Event::Pwritev), Some(Event::PwritevDone)),
        IoType::WriteZeroes => (Some(Event::PwritevZero), Some(Event::PwritevDone)),
        _ => (None, None),
    }
}
