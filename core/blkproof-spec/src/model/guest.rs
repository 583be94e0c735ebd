//! Guest requests: what they change, how they may be answered, and those that stay in flight.

use super::Model;
use super::bitmaps::Owner;
use super::blame::Reach;
use super::images::{CellId, Choice, Contents, ImageId, Source, Value};
use super::judgement::{About, Fact, Judgement, Observation, Violation};
use super::names::Refusals;
use super::ranges::RangeSet;
use crate::content::{Bytes, DiskId, WriteNumber};
use crate::errno::Errno;
use crate::fault::Firing;
use crate::geometry::{DiscardMode, Format};
use crate::name::RequestId;
use crate::property::{
    Property, answers_exact, errors_caused, fault_surfaces, guest_reads_writes, guest_unharmed,
    no_crash, refusal_harmless,
};
use crate::reply::{Refusal, Reply};
use crate::step::{At, GuestOp, StepNumber, Sync};
use crate::units::ByteRange;

/// The longest request that the block layer takes, in bytes.
const REQUEST_MAX: u64 = 2_147_483_136;

/// What a request changes if it succeeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect {
    /// Where contents change.
    range: ByteRange,
    /// What stands there then.
    value: Value,
    /// What becomes dirty.
    dirty: ByteRange,
}

/// A request in flight, or one whose end was not told yet.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    /// `None` for a plain step that was left pending: nobody settles it.
    pub(super) id: Option<RequestId>,
    pub(super) disk: ImageId,
    pub(super) op: GuestOp,
    effect: Option<Effect>,
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
    /// It was carried out to its end.
    pub(super) done: bool,
    /// A job's filter may have refused it.
    filtered: bool,
}

impl GuestOp {
    /// Tells whether it changes what the disk holds.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Write { .. } | Self::WriteZeroes { .. } | Self::Discard { .. }
        )
    }
}

impl Model {
    /// Judges a guest request that is carried out at once.
    pub(super) fn guest(
        &mut self,
        number: StepNumber,
        at: &At,
        op: &GuestOp,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        let (disk, by_node) = match self.admit(at, op) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                let why = Refusals::from(refusal);
                return refusal_harmless::check(&why, seen.reply, out);
            }
        };
        if let Some(errno) = self.rejects(disk, op) {
            let expected = Fact::Reply(Reply::Failed(errno));
            return answers_exact::check(
                About::Disk(self.name_of(disk)),
                "reply",
                expected,
                Fact::Reply(seen.reply),
                out,
            );
        }
        let mut errors = Vec::new();
        self.reach_of(disk, op, seen.fired, &mut errors);
        match seen.reply {
            Reply::Done => {
                if self.jobs_on(disk).next().is_none() || !op.is_write() {
                    let met = |firing: &Firing| self.reach(disk, op, firing).is_some();
                    fault_surfaces::guest(&self.name_of(disk), seen.fired, met, out);
                }
                if let GuestOp::Read { range } = op {
                    self.judge_read(disk, *range, seen.data, out);
                }
                self.apply(number, disk, by_node, op);
            }
            Reply::Failed(errno) => {
                self.judge_failure(disk, op, errno, &errors, out);
                self.apply_failed(number, disk, by_node, op, &errors);
            }
            Reply::Pending => {
                if !self.may_wait(seen) {
                    no_crash::hang(About::Disk(self.name_of(disk)), out);
                }
                let flight = self.launch(number, None, disk, by_node, op);
                let flight = Flight { errors, ..flight };
                self.flights.push(flight);
            }
            Reply::Refused(_) => {
                let about = About::Disk(self.name_of(disk));
                answers_exact::reply(about, Fact::Reply(Reply::Done), seen.reply, out);
            }
        }
    }

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
        let mut errors = Vec::new();
        self.reach_of(disk, op, seen.fired, &mut errors);
        let about = About::Request(id.clone());
        match seen.reply {
            Reply::Done | Reply::Pending => {
                let flight = self.launch(number, Some(id.clone()), disk, by_node, op);
                let flight = Flight { errors, ..flight };
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
                self.land(&flight, Some(true));
            }
            (Reply::Failed(errno), None) => {
                self.judge_failure(flight.disk, &flight.op, errno, &flight.errors, out);
                self.land(&flight, Some(false));
            }
            (reply, None) => {
                answers_exact::reply(about, Fact::Reply(Reply::Done), reply, out);
            }
        }
    }

    /// Resolves a guest's request to its disk, and tells whether it came by the node's name.
    fn admit(&self, at: &At, op: &GuestOp) -> Result<(ImageId, bool), Refusal> {
        let found = self.resolve(at).ok_or(Refusal::NoSuchDevice)?;
        let busy = self.jobs_on(found.disk).next().is_some();
        if found.by_node && op.is_write() && busy {
            return Err(Refusal::PermissionConflict);
        }
        Ok((found.disk, found.by_node))
    }

    /// Returns the error that a request fails with whatever the disk does.
    fn rejects(&self, disk: ImageId, op: &GuestOp) -> Option<Errno> {
        let image = self.images.get(disk);
        let range = op.range();
        if range.len > REQUEST_MAX || range.end() > image.size() {
            return Some(Errno::EIO);
        }
        if let GuestOp::Write {
            compressed: true, ..
        } = op
            && range.len > 0
        {
            let cluster = image.cluster();
            let whole = range.len.is_multiple_of(cluster) || range.end() == image.size();
            return match image.geometry.format {
                Format::Raw => Some(Errno::ENOTSUP),
                Format::Qcow2 if range.start.is_multiple_of(cluster) && whole => None,
                Format::Qcow2 => Some(Errno::EINVAL),
            };
        }
        None
    }

    fn effect(&self, number: StepNumber, disk: ImageId, op: &GuestOp) -> Option<Effect> {
        let image = self.images.get(disk);
        let effect = match op {
            GuestOp::Write { range, content, .. } => Effect {
                range: *range,
                value: Value::Bytes(Bytes::of(*content, DiskId(disk.0), WriteNumber(number.0))),
                dirty: *range,
            },
            GuestOp::WriteZeroes { range, .. } => Effect {
                range: *range,
                value: Value::ZERO,
                dirty: *range,
            },
            GuestOp::Discard { range } if image.geometry.discard == DiscardMode::Unmap => Effect {
                range: image.discarded(*range),
                value: Value::ZERO,
                dirty: *range,
            },
            GuestOp::Discard { .. } | GuestOp::Read { .. } | GuestOp::Flush => return None,
        };
        (!effect.dirty.is_empty()).then_some(effect)
    }

    /// Takes in a request that succeeded.
    fn apply(&mut self, number: StepNumber, disk: ImageId, by_node: bool, op: &GuestOp) {
        let Some(effect) = self.effect(number, disk, op) else {
            return;
        };
        let moment = self.change(disk, effect.range);
        self.images
            .get_mut(disk)
            .layer
            .set(effect.range, effect.value);
        self.contest(disk, effect.range, moment);
        self.mark(disk, effect.dirty, by_node, true);
    }

    /// Takes in a request that failed: each sector is old or new, unless a job's filter refused it.
    fn apply_failed(
        &mut self,
        number: StepNumber,
        disk: ImageId,
        by_node: bool,
        op: &GuestOp,
        errors: &[(Errno, Reach)],
    ) {
        let Some(effect) = self.effect(number, disk, op) else {
            return;
        };
        let refused = !errors.is_empty() && errors.iter().all(|(_, reach)| *reach == Reach::Target);
        if refused {
            return self.mark_filters(disk, effect.dirty);
        }
        let certain = !self.jobs_on(disk).any(|job| job.may_copy(effect.dirty));
        let moment = self.change(disk, effect.range);
        self.blur(disk, &effect, moment);
        self.contest(disk, effect.range, moment);
        self.mark(disk, effect.dirty, by_node, certain);
    }

    /// Counts a change of the disk, and returns the moment after it.
    fn change(&mut self, disk: ImageId, range: ByteRange) -> u64 {
        let image = self.images.get(disk);
        let (size, clusters) = (image.size(), range.outward(image.cluster()));
        for job in &mut self.jobs {
            if job.source == disk && job.is_active() {
                job.touched.insert(range);
                if job.sync == Sync::Top {
                    // The job may find allocated what was not so at its point in time.
                    let found = RangeSet::of(clusters).outward(size, job.cluster);
                    for range in found.iter() {
                        job.extra.extend(job.must.gaps(range));
                    }
                }
            }
        }
        let image = self.images.get_mut(disk);
        image.moment += 1;
        image.moment
    }

    fn blur(&mut self, disk: ImageId, effect: &Effect, moment: u64) -> Option<CellId> {
        if effect.range.is_empty() {
            return None;
        }
        let mut new = Contents::default();
        new.set(effect.range, effect.value);
        Some(
            self.images
                .blur(disk, effect.range, new, Some((disk, moment))),
        )
    }

    /// The same for a write that is still under way.
    fn blur_open(&mut self, disk: ImageId, effect: &Effect, moment: u64) -> Option<CellId> {
        let cell = self.blur(disk, effect, moment)?;
        self.images.cell_mut(cell).open = true;
        Some(cell)
    }

    /// Leaves open which comes last where a request in flight changes what another one just did.
    fn contest(&mut self, disk: ImageId, range: ByteRange, moment: u64) {
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

    /// Makes bits dirty for certain, or as far as is known.
    fn mark(&mut self, disk: ImageId, range: ByteRange, by_node: bool, certain: bool) {
        let jobs = &self.jobs;
        for bitmap in &mut self.bitmaps {
            let hit = match &bitmap.owner {
                Owner::Disk(owner) => *owner == disk,
                Owner::Filter(name) => {
                    !by_node
                        && jobs
                            .iter()
                            .any(|job| job.name == *name && job.source == disk)
                }
            };
            if !hit {
                continue;
            }
            let granules = bitmap.granules(range);
            let track = bitmap.active();
            match (track.recording, certain) {
                (true, true) => track.dirty(granules),
                (true, false) => track.doubt(granules),
                (false, _) => track.gapless = false,
            }
        }
    }

    /// Makes dirty, as far as is known, what a job's filter saw and refused.
    fn mark_filters(&mut self, disk: ImageId, range: ByteRange) {
        let jobs = &self.jobs;
        for bitmap in &mut self.bitmaps {
            let Owner::Filter(name) = &bitmap.owner else {
                continue;
            };
            if jobs
                .iter()
                .any(|job| job.name == *name && job.source == disk)
            {
                let granules = bitmap.granules(range);
                let track = bitmap.active();
                if track.recording {
                    track.doubt(granules);
                }
            }
        }
    }

    /// Takes in that a request is on its way: what it changes is old or new from now on.
    fn launch(
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
            errors: Vec::new(),
            done: false,
            filtered: self.jobs_on(disk).next().is_some(),
        };
        if let GuestOp::Read { .. } = op {
            flight.snapshot = Some(self.images.flatten(disk));
        }
        if let Some(effect) = effect {
            let moment = self.change(disk, effect.range);
            flight.moment = moment;
            // Older requests in flight may still land on top of this one, and this one on top of them.
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

    /// Takes in that a request is over: well, badly, or nobody knows how.
    fn land(&mut self, flight: &Flight, outcome: Option<bool>) {
        for cell in &flight.cells {
            self.images.cell_mut(*cell).open = false;
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

    /// Makes certain that these bytes changed at this moment of the disk, where a bitmap knows that
    /// they may have.
    pub(super) fn confirm_since(&mut self, disk: ImageId, moment: u64, range: ByteRange) {
        for bitmap in &mut self.bitmaps {
            if bitmap.owner != Owner::Disk(disk) {
                continue;
            }
            let granules = bitmap.granules(range);
            match &mut bitmap.successor {
                Some(successor) if moment > successor.since => successor.confirm(granules),
                _ if moment > bitmap.track.since => bitmap.track.confirm(granules),
                _ => {}
            }
        }
    }

    /// Takes in that the disk was drained: what was in flight is over.
    pub(super) fn drained(&mut self, disk: ImageId) {
        let mut flights = std::mem::take(&mut self.flights);
        for flight in &mut flights {
            if flight.disk == disk && !flight.done {
                flight.done = true;
                let well = flight.errors.is_empty() && flight.doomed.is_none();
                self.land(flight, well.then_some(true));
            }
        }
        flights.retain(|flight| flight.id.is_some() || !flight.done);
        self.flights = flights;
    }

    /// Takes in that nobody will ever tell how the requests in flight ended.
    pub(super) fn abandon(&mut self) {
        for flight in std::mem::take(&mut self.flights) {
            self.land(&flight, None);
        }
    }

    fn judge_read(&mut self, disk: ImageId, range: ByteRange, data: &[u8], out: &mut Judgement) {
        let about = About::Disk(self.name_of(disk));
        if data.len() as u64 != range.len {
            out.violations.push(Violation::new(
                Property::GuestReadsWrites,
                about,
                "length",
                Fact::Bytes(range.len.into()),
                Fact::Bytes((data.len() as u64).into()),
            ));
            return;
        }
        let found = self.images.compare(
            Source::Chain(disk),
            range.start,
            data,
            Violation::MISMATCHES_MAX,
        );
        self.learn(&found.pins);
        guest_reads_writes::check(about, found.mismatches, self.faulted, out);
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
            guest_reads_writes::check(about.clone(), found.mismatches, self.faulted, out);
        }
    }

    fn judge_failure(
        &self,
        disk: ImageId,
        op: &GuestOp,
        errno: Errno,
        errors: &[(Errno, Reach)],
        out: &mut Judgement,
    ) {
        if let GuestOp::Write {
            compressed: true, ..
        } = op
            && errno == Errno::EIO
        {
            // Over a cluster that is allocated already; what is and what is not is the format's business.
            return;
        }
        let about = About::Disk(self.name_of(disk));
        let known: Vec<_> = errors.iter().map(|(errno, _)| *errno).collect();
        errors_caused::check(about.clone(), "reply", errno, &known, out);
        let by_target = errors
            .iter()
            .filter(|(known, _)| *known == errno)
            .all(|(_, reach)| *reach == Reach::Target);
        let copying = self.jobs_on(disk).any(|job| job.may_copy(op.range()));
        if !known.is_empty() && by_target {
            guest_unharmed::failed(about, op, copying, errno, out);
        }
    }
}
