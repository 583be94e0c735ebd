//! Guest requests: what they change, how they may be answered, and those that stay in flight.

use super::Model;
use super::bitmaps::Owner;
use super::blame::Reach;
use super::images::{CellId, ImageId, Source, Value};
use super::judgement::{About, Fact, Judgement, Observation, Violation};
use super::names::Refusals;
use super::power::filled;
use super::ranges::RangeSet;
use crate::content::{Bytes, DiskId, WriteNumber};
use crate::errno::Errno;
use crate::fault::{Firing, IoType, Layer, Verdict};
use crate::geometry::{DiscardMode, Format};
use crate::property::{
    Property, answers_exact, errors_caused, fault_surfaces, flushed_survives, guest_reads_writes,
    guest_unharmed, no_crash, refusal_harmless, refused_not_wrong,
};
use crate::reply::{Refusal, Reply};
use crate::step::{At, GuestOp, StepNumber, Sync};
use crate::units::ByteRange;

/// The longest request that the block layer takes, in bytes.
const REQUEST_MAX: u64 = 2_147_483_136;

fn is_compressed(op: &GuestOp) -> bool {
    matches!(
        op,
        GuestOp::Write {
            compressed: true,
            ..
        }
    )
}

/// What a request changes if it succeeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect {
    /// Where contents change.
    pub(super) range: ByteRange,
    /// What stands there then.
    pub(super) value: Value,
    /// What becomes dirty.
    pub(super) dirty: ByteRange,
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
        if op.is_write() {
            self.saving(disk, op.range());
        }
        let mut errors = Vec::new();
        self.reach_of(disk, op, seen.fired, &mut errors);
        match seen.reply {
            Reply::Done => {
                if self.jobs_on(disk).next().is_none() || !op.is_write() {
                    // A cluster that cannot be freed may be left behind.
                    let frees = self.frees(disk, op);
                    let met = |firing: &Firing| {
                        let spared = frees
                            && firing.kind == IoType::Read
                            && firing.place.layer == Layer::File;
                        !spared && self.reach(disk, op, firing).is_some()
                    };
                    fault_surfaces::guest(seen.fired, met, out);
                }
                if let GuestOp::Read { range } = op {
                    self.judge_read(disk, *range, seen.data, out);
                }
                self.apply(number, disk, by_node, op);
            }
            Reply::Failed(errno) => {
                let copying = self.may_copy(disk, op);
                self.judge_failure(disk, op, errno, &errors, copying, out);
                self.judge_slowness(disk, op, errno, seen.fired, out);
                self.apply_failed(number, disk, by_node, op, &errors);
            }
            Reply::Pending => {
                if !self.may_wait(seen) {
                    no_crash::hang(About::Disk(self.name_of(disk)), out);
                }
                let mut flight = self.launch(number, None, disk, by_node, op);
                self.meet(&mut flight, seen.fired);
                self.flights.push(flight);
            }
            Reply::Refused(_) | Reply::Cut => {
                let about = About::Disk(self.name_of(disk));
                answers_exact::reply(about, Fact::Reply(Reply::Done), seen.reply, out);
            }
        }
    }

    /// Resolves a guest's request to its disk, and tells whether it came by the node's name.
    pub(super) fn admit(&self, at: &At, op: &GuestOp) -> Result<(ImageId, bool), Refusal> {
        let found = self.resolve(at).ok_or(Refusal::NoSuchDevice)?;
        let busy = self.jobs_on(found.disk).next().is_some();
        if found.by_node && op.is_write() && busy {
            return Err(Refusal::PermissionConflict);
        }
        Ok((found.disk, found.by_node))
    }

    /// Returns the error that a request fails with whatever the disk does.
    pub(super) fn rejects(&self, disk: ImageId, op: &GuestOp) -> Option<Errno> {
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

    pub(super) fn effect(&self, number: StepNumber, disk: ImageId, op: &GuestOp) -> Option<Effect> {
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
        if *op == GuestOp::Flush {
            self.flushed(disk);
        }
        let Some(effect) = self.effect(number, disk, op) else {
            return;
        };
        self.saved(disk, effect.range);
        let moment = self.change(disk, effect.range);
        if let GuestOp::Write { fua: true, .. } = op {
            self.written_through(disk, effect.range, effect.value);
        } else {
            self.unflushed(disk, effect.range, || filled(effect.range, effect.value));
        }
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
    pub(super) fn change(&mut self, disk: ImageId, range: ByteRange) -> u64 {
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

    pub(super) fn blur(&mut self, disk: ImageId, effect: &Effect, moment: u64) -> Option<CellId> {
        if effect.range.is_empty() {
            return None;
        }
        let new = filled(effect.range, effect.value);
        self.unflushed(disk, effect.range, || new.clone());
        Some(
            self.images
                .blur(disk, effect.range, new, Some((disk, moment))),
        )
    }

    /// The same for a write that is still under way.
    pub(super) fn blur_open(
        &mut self,
        disk: ImageId,
        effect: &Effect,
        moment: u64,
    ) -> Option<CellId> {
        let cell = self.blur(disk, effect, moment)?;
        self.images.cell_mut(cell).open = true;
        Some(cell)
    }

    /// Makes bits dirty for certain, or as far as is known.
    pub(super) fn mark(&mut self, disk: ImageId, range: ByteRange, by_node: bool, certain: bool) {
        let (jobs, volatile) = (&self.jobs, self.expects_power_losses());
        for bitmap in self.bitmaps.iter_mut().chain(&mut self.power.vanished) {
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
            if volatile && track.recording {
                track.loosen(granules);
            }
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

    /// Makes certain that these bytes changed at this moment of the disk, where a bitmap knows that
    /// they may have.
    pub(super) fn confirm_since(&mut self, disk: ImageId, moment: u64, range: ByteRange) {
        for bitmap in self.bitmaps.iter_mut().chain(&mut self.power.vanished) {
            if bitmap.owner != Owner::Disk(disk) {
                continue;
            }
            let granules = bitmap.granules(range);
            match &mut bitmap.successor {
                Some(successor) if moment > successor.records_since() => {
                    successor.confirm(granules);
                }
                _ if moment > bitmap.track.records_since() => bitmap.track.confirm(granules),
                _ => {}
            }
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
        let violation = Violation::of_contents(Property::GuestReadsWrites, about, found.mismatches);
        flushed_survives::check(&violation, self.power.losses, out);
        guest_reads_writes::check(violation, self.faulted, out);
    }

    /// Tells whether a request may give up clusters, and reads hardly any data.
    fn frees(&self, disk: ImageId, op: &GuestOp) -> bool {
        let image = self.images.get(disk);
        match op {
            GuestOp::Discard { .. } => true,
            GuestOp::WriteZeroes { range, .. } => {
                let ends = range.end() == image.size();
                ends || !range.inward(image.cluster()).is_empty()
            }
            _ => false,
        }
    }

    /// Tells whether a job may still have to copy what a request overwrites.
    pub(super) fn may_copy(&self, disk: ImageId, op: &GuestOp) -> bool {
        self.jobs_on(disk).any(|job| job.may_copy(op.range()))
    }

    /// Judges a request that failed though it was only held up.
    fn judge_slowness(
        &self,
        disk: ImageId,
        op: &GuestOp,
        errno: Errno,
        fired: &[Firing],
        out: &mut Judgement,
    ) {
        let held_up = |firing: &Firing| firing.verdict == Verdict::Correct;
        if !fired.is_empty() && fired.iter().all(held_up) && !is_compressed(op) {
            let about = About::Disk(self.name_of(disk));
            refused_not_wrong::refused(about, "reply", errno, out);
        }
    }

    /// Judges a request that failed; `copying` where a job may have had to copy first.
    pub(super) fn judge_failure(
        &self,
        disk: ImageId,
        op: &GuestOp,
        errno: Errno,
        errors: &[(Errno, Reach)],
        copying: bool,
        out: &mut Judgement,
    ) {
        if is_compressed(op) && errno == Errno::EIO {
            // Over a cluster that is allocated already; what is and what is not is the format's
            // business.
            return;
        }
        let about = About::Disk(self.name_of(disk));
        let known: Vec<_> = errors.iter().map(|(errno, _)| *errno).collect();
        errors_caused::check(about.clone(), "reply", errno, &known, out);
        let by_target = errors
            .iter()
            .filter(|(known, _)| *known == errno)
            .all(|(_, reach)| *reach == Reach::Target);
        if !known.is_empty() && by_target {
            guest_unharmed::failed(about, op, copying, errno, out);
        }
    }
}
