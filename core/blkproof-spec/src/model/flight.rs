//! Requests in flight: what they may have changed, until they are settled or drained.

use super::Model;
use super::blame::Reach;
use super::guest::Effect;
use super::images::{CellId, Choice, Contents, ImageId, Source};
use super::judgement::{About, Fact, Judgement, Observation, Violation};
use super::names::Refusals;
use super::ranges::RangeSet;
use crate::errno::Errno;
use crate::fault::Firing;
use crate::name::RequestId;
use crate::property::{Property, answers_exact, guest_reads_writes, no_crash, refusal_harmless};
use crate::reply::{Refusal, Reply};
use crate::step::{At, GuestOp, StepNumber};
use crate::units::ByteRange;

/// A request in flight, or one whose end was not told yet.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    /// `None` for a plain step that was left pending: nobody settles it.
    pub(super) id: Option<RequestId>,
    pub(super) disk: ImageId,
    pub(super) op: GuestOp,
    pub(super) effect: Option<Effect>,
    cells: Vec<CellId>,
    /// The disk's moment since which it is under way.
    moment: u64,
    /// Where other requests changed contents meanwhile, so that the order decides.
    contested: RangeSet,
    /// What a read may return.
    snapshot: Option<Contents>,
    /// An error that it must end with.
    doomed: Option<Errno>,
    /// The errors that faults caused on its behalf, by the side of the job that may have met them.
    pub(super) errors: Vec<(Errno, Reach)>,
    /// When they met it a job may still have had to copy what it overwrites.
    copying: bool,
    /// It was carried out to its end.
    pub(super) done: bool,
    /// A job's filter may have refused it.
    filtered: bool,
}

impl Model {
    /// Judges the submission of a request.
    pub(super) fn start(
        &mut self,
        number: StepNumber,
        id: &RequestId,
        at: &At,
        op: &GuestOp,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        let taken = self
            .flights
            .iter()
            .any(|flight| flight.id.as_ref() == Some(id));
        let admitted = self.admit(at, op);
        let mut why = Refusals::default();
        if taken {
            why.any_of.push(Refusal::BadRequest);
        }
        if let Err(refusal) = admitted {
            why.any_of.push(refusal);
        }
        let Ok((disk, by_node)) = admitted else {
            return refusal_harmless::check(&why, seen.reply, out);
        };
        if taken {
            return refusal_harmless::check(&why, seen.reply, out);
        }
        let doomed = self.rejects(disk, op);
        let about = About::Request(id.clone());
        match seen.reply {
            Reply::Done | Reply::Pending => {
                let mut flight = self.launch(number, Some(id.clone()), disk, by_node, op);
                self.meet(&mut flight, seen.fired);
                self.flights.push(flight);
            }
            Reply::Failed(errno) if doomed == Some(errno) => {}
            reply => answers_exact::reply(about, Fact::Reply(Reply::Done), reply, out),
        }
    }

    /// Judges the end of a request in flight.
    pub(super) fn settle(&mut self, id: &RequestId, seen: &Observation<'_>, out: &mut Judgement) {
        let found = self
            .flights
            .iter()
            .position(|flight| flight.id.as_ref() == Some(id));
        let Some(index) = found else {
            return refusal_harmless::check(&Refusal::BadRequest.into(), seen.reply, out);
        };
        let about = About::Request(id.clone());
        if seen.reply == Reply::Pending {
            if !self.may_wait(seen) {
                no_crash::hang(about, out);
            }
            return;
        }
        let flight = self.flights.remove(index);
        match (seen.reply, flight.doomed) {
            (Reply::Failed(errno), Some(doomed)) if errno == doomed => {}
            (reply, Some(doomed)) => {
                let expected = Fact::Reply(Reply::Failed(doomed));
                answers_exact::reply(about, expected, reply, out);
            }
            (Reply::Done, None) => {
                if let GuestOp::Read { range } = flight.op {
                    self.judge_flown_read(&flight, range, seen.data, out);
                }
                // Where a drain carried it out, its changes were taken in then.
                if let Some(effect) = flight.effect.filter(|_| !flight.done) {
                    self.saved(flight.disk, effect.range);
                }
                self.land(&flight, Some(true));
            }
            (Reply::Failed(errno), None) => {
                let (op, errors) = (&flight.op, &flight.errors);
                self.judge_failure(flight.disk, op, errno, errors, flight.copying, out);
                self.land(&flight, Some(false));
            }
            (reply, None) => {
                answers_exact::reply(about, Fact::Reply(Reply::Done), reply, out);
            }
        }
    }

    /// Takes in the faults that a request under way may have met.
    pub(super) fn meet(&self, flight: &mut Flight, fired: &[Firing]) {
        self.reach_of(flight.disk, &flight.op, fired, &mut flight.errors);
        flight.copying |= !flight.errors.is_empty() && self.may_copy(flight.disk, &flight.op);
    }

    /// Leaves open which comes last where a request in flight changes what another one just did.
    pub(super) fn contest(&mut self, disk: ImageId, range: ByteRange, moment: u64) {
        let mut flights = std::mem::take(&mut self.flights);
        for flight in &mut flights {
            if flight.disk != disk || flight.done {
                continue;
            }
            let Some(effect) = flight.effect else {
                flight.contested.insert(range.intersect(flight.op.range()));
                continue;
            };
            let overlap = effect.range.intersect(range);
            if overlap.is_empty() {
                continue;
            }
            flight.contested.insert(overlap);
            let effect = Effect {
                range: overlap,
                ..effect
            };
            flight.cells.extend(self.blur_open(disk, &effect, moment));
        }
        self.flights = flights;
    }

    /// Takes in what turned out to have landed: others that are in flight may land on top of it,
    /// also those that were submitted earlier.
    pub(super) fn seen_landed(&mut self, pins: &[(CellId, ByteRange, Choice)]) {
        let mut flights = std::mem::take(&mut self.flights);
        for flight in &mut flights {
            let Some(effect) = flight.effect.filter(|_| !flight.done) else {
                continue;
            };
            let mut below = RangeSet::default();
            for (cell, range, choice) in pins {
                let known = self.images.cell(*cell);
                let on_disk = known.written.is_some_and(|(disk, _)| disk == flight.disk);
                if *choice == Choice::New && on_disk && !flight.cells.contains(cell) {
                    below.insert(range.intersect(effect.range));
                }
            }
            let moment = self.images.get(flight.disk).moment;
            for range in below.iter() {
                flight.contested.insert(range);
                let effect = Effect { range, ..effect };
                flight
                    .cells
                    .extend(self.blur_open(flight.disk, &effect, moment));
            }
        }
        self.flights = flights;
    }

    /// Takes in that a request is on its way: what it changes is old or new from now on.
    pub(super) fn launch(
        &mut self,
        number: StepNumber,
        id: Option<RequestId>,
        disk: ImageId,
        by_node: bool,
        op: &GuestOp,
    ) -> Flight {
        let doomed = self.rejects(disk, op);
        let effect = match doomed {
            None => self.effect(number, disk, op),
            Some(_) => None,
        };
        let mut flight = Flight {
            id,
            disk,
            op: op.clone(),
            effect,
            cells: Vec::new(),
            moment: self.images.get(disk).moment,
            contested: RangeSet::default(),
            snapshot: None,
            doomed,
            errors: self.errors_held(disk),
            copying: false,
            done: false,
            filtered: self.jobs_on(disk).next().is_some(),
        };
        if let GuestOp::Read { range } = op {
            flight.snapshot = Some(self.images.flatten(disk));
            // It may overtake writes that are in flight already.
            let open = self
                .flights
                .iter()
                .filter(|other| other.disk == disk && !other.done);
            let changes = open.filter_map(|other| other.effect);
            flight
                .contested
                .extend(changes.map(|effect| effect.range.intersect(*range)));
        }
        if op.is_write() && doomed.is_none() {
            self.saving(disk, op.range());
        }
        if let Some(effect) = effect {
            let moment = self.change(disk, effect.range);
            flight.moment = moment;
            // Older requests in flight may still land on top of this one, and this one on top of
            // them.
            let overlaps: Vec<_> = self
                .flights
                .iter()
                .filter(|other| other.disk == disk && !other.done)
                .filter_map(|other| other.effect)
                .map(|other| other.range.intersect(effect.range))
                .collect();
            flight.contested.extend(overlaps);
            flight.cells.extend(self.blur_open(disk, &effect, moment));
            self.contest(disk, effect.range, moment);
            self.mark(disk, effect.dirty, by_node, false);
        }
        flight
    }

    /// Returns the errors that requests in flight to a disk have met and not told yet. One that is
    /// held behind its failing is known by what it asks for: another that asks for the same may
    /// be told in its place.
    fn errors_held(&self, disk: ImageId) -> Vec<(Errno, Reach)> {
        let held = self.flights.iter();
        let held = held.filter(|flight| flight.disk == disk && !flight.done);
        held.flat_map(|flight| flight.errors.iter().copied())
            .collect()
    }

    /// Takes in that a request is over: well, badly, or nobody knows how.
    fn land(&mut self, flight: &Flight, outcome: Option<bool>) {
        for cell in &flight.cells {
            let cell = self.images.cell_mut(*cell);
            cell.open = false;
            let (written, seen) = (cell.written, cell.pinned(Choice::New));
            for range in seen {
                if let Some((disk, moment)) = written {
                    self.confirm_since(disk, moment, range);
                }
            }
        }
        let Some(effect) = flight.effect else { return };
        let untouched = !flight.errors.is_empty()
            && flight
                .errors
                .iter()
                .all(|(_, reach)| *reach == Reach::Target);
        let choice = match outcome {
            Some(true) => Choice::New,
            Some(false) if untouched => Choice::Old,
            Some(false) => {
                if !flight.filtered {
                    self.confirm(flight, effect.dirty);
                }
                return;
            }
            None => return,
        };
        let uncontested: Vec<_> = flight.contested.gaps(effect.range).collect();
        if let Some(cell) = flight.cells.first() {
            for range in uncontested {
                self.images.pin(*cell, range, choice);
            }
        }
        if choice == Choice::New {
            self.confirm(flight, effect.dirty);
        }
    }

    /// Makes certain what a request in flight has made dirty.
    fn confirm(&mut self, flight: &Flight, range: ByteRange) {
        self.confirm_since(flight.disk, flight.moment, range);
    }

    /// Takes in that the disk was drained: what was in flight is over.
    pub(super) fn drained(&mut self, disk: ImageId) {
        let mut flights = std::mem::take(&mut self.flights);
        for flight in &mut flights {
            if flight.disk == disk && !flight.done {
                flight.done = true;
                let well = flight.errors.is_empty() && flight.doomed.is_none();
                self.land(flight, well.then_some(true));
                if let Some(effect) = flight.effect.filter(|_| well) {
                    self.saved(disk, effect.range);
                }
            }
        }
        flights.retain(|flight| flight.id.is_some() || !flight.done);
        self.flights = flights;
    }

    /// Takes in that nobody will ever tell how the requests in flight ended. Of those that a drain
    /// carried out it is known; what their disk's bitmaps got since then is not of their doing.
    pub(super) fn abandon(&mut self) {
        for flight in std::mem::take(&mut self.flights) {
            if !flight.done {
                self.land(&flight, None);
            }
        }
    }

    /// Judges a read that was in flight, where nothing was written meanwhile.
    fn judge_flown_read(
        &mut self,
        flight: &Flight,
        range: ByteRange,
        data: &[u8],
        out: &mut Judgement,
    ) {
        let about = About::Disk(self.name_of(flight.disk));
        let Some(snapshot) = &flight.snapshot else {
            return;
        };
        let stable: Vec<_> = flight.contested.gaps(range).collect();
        for part in stable {
            let index = |position: u64| usize::try_from(position - range.start).ok();
            let bytes = index(part.start)
                .zip(index(part.end()))
                .and_then(|(start, end)| data.get(start..end));
            let Some(bytes) = bytes else {
                return answers_exact::check(
                    about,
                    "length",
                    Fact::Bytes(range.len.into()),
                    Fact::Bytes((data.len() as u64).into()),
                    out,
                );
            };
            let found = self.images.compare(
                Source::Frozen(snapshot),
                part.start,
                bytes,
                Violation::MISMATCHES_MAX,
            );
            self.learn(&found.pins);
            let property = Property::GuestReadsWrites;
            let violation = Violation::of_contents(property, about.clone(), found.mismatches);
            guest_reads_writes::check(violation, self.faulted, out);
        }
    }
}
