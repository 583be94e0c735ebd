//! Losses of power: what a flush made durable, what of the rest may be gone, and what became of a
//! step in whose midst it happened.
//!
//! A process that is killed loses nothing of what it had issued to its devices, but all that it
//! held in memory, which is where formats keep their tables until a flush. To a guest the two are
//! therefore one: what it did not flush may be gone, sector by sector. But what is left after a
//! kill is no more durable than before, and the next cut may take it back, whatever was read
//! meanwhile.

mod bits;

mod midst;

mod sizes;

use super::Model;
use super::bitmaps::Bitmap;
use super::images::{Absent, Contents, Image, ImageId, Images, Presence, Value};
use super::jobs::RestorePoint;
use super::judgement::{Against, Demand, Judgement, Observation, Scope, Target};
use crate::name::{ImageName, JobName};
use crate::power::Rest;
use crate::property::{Property, completed_survives};
use crate::step::{Action, StepNumber};
use crate::units::{ByteRange, Length};

/// What may be gone of an image after a loss of power.
#[derive(Clone, Debug)]
pub(crate) struct Unflushed {
    /// What it surely held durably, and the size it had.
    durable: Contents,
    absent: Absent,
    size: u64,
    /// What was done to it since, in order.
    changes: Vec<Change>,
}

/// Something that was done to an image and not flushed.
#[derive(Clone, Debug)]
enum Change {
    /// These bytes got new contents, each sector or not, at this moment of the image.
    Contents {
        range: ByteRange,
        new: Contents,
        moment: u64,
    },
    /// These bytes got new contents, durably.
    Durable { range: ByteRange, new: Contents },
    /// It got another size, or not; `tried` where it was to get one and goes on with the old one.
    Size { size: u64, tried: bool },
    /// It got another size, durably.
    DurableSize(u64),
}

/// What the model knows of losses of power.
#[derive(Clone, Default, Debug)]
pub(super) struct Power {
    /// Power may be lost: what is not flushed is kept account of.
    expected: bool,
    /// How often it was.
    pub(super) losses: u32,
    /// The step of the last time.
    last: StepNumber,
    /// A cut leaves garbage that nobody promises to recognise.
    garbage: bool,
    /// The images that were being rebased when power was lost.
    rebased: Vec<ImageName>,
    /// The images whose rebase failed: what they have now need not be durable.
    half_rebased: Vec<ImageName>,
    /// The images whose rebase was reported: it is durable.
    reported: Vec<ImageName>,
    /// The bitmaps that a kill took from their files, which need not last.
    pub(super) vanished: Vec<Bitmap>,
}

impl Unflushed {
    fn of(image: &Image) -> Self {
        Self {
            durable: image.layer.clone(),
            absent: image.absent,
            size: image.size(),
            changes: Vec::new(),
        }
    }
}

/// What is durable.
impl Model {
    /// Says that power may be lost: from now on account is kept of what is not flushed.
    pub fn expect_power_losses(&mut self) {
        self.power.expected = true;
    }

    /// Takes in that a range of an image is about to get new contents.
    pub(super) fn unflushed(
        &mut self,
        id: ImageId,
        range: ByteRange,
        new: impl FnOnce() -> Contents,
    ) {
        let moment = self.images.get(id).moment;
        if let Some(unflushed) = self.account(id) {
            let new = new();
            unflushed
                .changes
                .push(Change::Contents { range, new, moment });
        }
    }

    /// Takes in that a range of an image got new contents that are durable.
    pub(super) fn written_through(&mut self, id: ImageId, range: ByteRange, value: Value) {
        if let Some(unflushed) = self.account(id) {
            let new = filled(range, value);
            unflushed.changes.push(Change::Durable { range, new });
        }
    }

    /// Takes in that a range of an image is known to hold this durably.
    pub(super) fn found_durable(&mut self, id: ImageId, range: ByteRange, new: Contents) {
        if self.power.expected
            && let Some(unflushed) = &mut self.images.get_mut(id).unflushed
        {
            unflushed.changes.push(Change::Durable { range, new });
        }
    }

    fn account(&mut self, id: ImageId) -> Option<&mut Unflushed> {
        if !self.power.expected {
            return None;
        }
        let image = self.images.get_mut(id);
        if image.unflushed.is_none() {
            image.unflushed = Some(Box::new(Unflushed::of(image)));
        }
        image.unflushed.as_deref_mut()
    }

    /// Takes in that an image was flushed: what was done to it is durable, but for what requests
    /// that are still in flight do.
    pub(super) fn flushed(&mut self, id: ImageId) {
        self.bitmaps_flushed(id);
        if !self.power.expected || self.images.get(id).unflushed.is_none() {
            return;
        }
        self.images.get_mut(id).unflushed = None;
        self.firm_bits(id);
        let open: Vec<_> = self
            .flights
            .iter()
            .filter(|flight| flight.disk == id && !flight.done)
            .filter_map(|flight| flight.effect)
            .collect();
        if open.is_empty() {
            return;
        }
        let durable = self.images.unlinked(id);
        for effect in open {
            self.unflushed(id, effect.range, || filled(effect.range, effect.value));
        }
        if let Some(unflushed) = &mut self.images.get_mut(id).unflushed {
            unflushed.durable = durable;
        }
    }
}

/// Returns contents that hold one value throughout.
pub(super) fn filled(range: ByteRange, value: Value) -> Contents {
    let mut contents = Contents::default();
    contents.set(range, value);
    contents
}

/// A loss of power.
impl Model {
    /// Takes in a kill or a cut of the power, if the step is one that strikes now, and judges what
    /// is left; a later one is only noted.
    pub(super) fn lose_power_now(
        &mut self,
        number: StepNumber,
        step: &Action,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        let now = match step {
            Action::Kill { at } => at.is_none(),
            Action::PowerCut(cut) => {
                let torn = cut.torn;
                self.power.garbage |= torn.is_some_and(|torn| torn.rest == Rest::Garbage);
                cut.at.is_none()
            }
            _ => false,
        };
        if now {
            self.lose_power(number, seen.killed, out);
        }
    }

    /// Takes in that power was lost, or by a `kill` the process only: everything that was open is
    /// gone, what was not flushed may be.
    pub(super) fn lose_power(&mut self, number: StepNumber, kill: bool, out: &mut Judgement) {
        self.faulted = true;
        self.power.losses += 1;
        if !kill {
            self.power.rebased.append(&mut self.power.half_rebased);
        }
        self.power.last = number;
        // In data that was not flushed garbage is allowed. But whether it fell on data or on a
        // table only the format knows, and none has to recognise it within a sector of its tables.
        self.undetectable |= self.power.garbage && !self.capabilities.unflushed_arbitrary;
        self.flights.clear();
        for job in std::mem::take(&mut self.jobs) {
            if job.is_active() {
                self.blur_target(&job);
            }
        }
        self.cancelled_groups.clear();
        self.group_ends.clear();
        self.lose_bitmaps(kill);
        for index in 0..self.images.count() {
            self.lose_unflushed(ImageId(index), kill);
        }
        self.demand_survivors(out);
    }

    /// Leaves open which of what was done to an image since it was flushed is there.
    fn lose_unflushed(&mut self, id: ImageId, kill: bool) {
        let Some(unflushed) = self.images.get_mut(id).unflushed.take() else {
            return;
        };
        if kill {
            self.images.get_mut(id).unflushed = Some(unflushed.clone());
        }
        self.lose_bits(id, &unflushed, kill);
        self.retire(id);
        let image = self.images.get_mut(id);
        image.moment += 1;
        let now = image.layer.clone();
        let cluster = image.cluster();
        for run in now.iter() {
            image.kept.insert(run.range().outward(cluster));
        }
        let mut sizes = vec![unflushed.size];
        let mut largest = unflushed.size;
        for change in &unflushed.changes {
            match change {
                Change::DurableSize(size) => sizes = vec![*size],
                Change::Size { size, .. } => sizes.push(*size),
                _ => continue,
            }
            largest = sizes.iter().copied().fold(largest, u64::max);
        }
        image.geometry.size = Length(largest);
        image.layer = unflushed.durable;
        image.absent = unflushed.absent;
        let mut size = unflushed.size;
        for change in unflushed.changes {
            match change {
                Change::Contents { range, new, moment } => {
                    self.images.blur(id, range, new, Some((id, moment)));
                }
                Change::Durable { range, new } => self.images.put(id, range, &new),
                // What is cut off is gone, and what comes in reads as zeroes.
                Change::DurableSize(next) => {
                    let changed = ByteRange::between(size.min(next), size.max(next));
                    self.images.get_mut(id).layer.set(changed, Value::ZERO);
                    size = next;
                }
                Change::Size { size: next, tried } => {
                    let changed = ByteRange::between(size.min(next), size.max(next));
                    if !changed.is_empty() {
                        let zeroes = filled(changed, Value::ZERO);
                        self.images.blur(id, changed, zeroes, None);
                    }
                    if !tried {
                        size = next;
                    }
                }
            }
        }
        sizes.sort_unstable();
        sizes.dedup();
        if let [size] = sizes[..] {
            self.images.get_mut(id).sizes = vec![size];
            let name = self.name_of(id);
            self.settle_size(&name, size);
        } else {
            self.images.get_mut(id).sizes = sizes;
        }
    }

    /// Demands a look at all that must have outlived a loss of power.
    fn demand_survivors(&self, out: &mut Judgement) {
        if self.undetectable {
            return;
        }
        for (_, image) in self.images.disks() {
            out.demands.push(Demand {
                target: Target::Disk(image.name.clone()),
                size: image.geometry.size,
                scope: Scope::Whole,
                property: Property::FlushedSurvives,
                against: Against::Itself,
            });
        }
        for restore in self.restore_points.iter().filter(|restore| restore.alive) {
            self.demand_outlived(restore, out);
        }
    }

    fn demand_outlived(&self, restore: &RestorePoint, out: &mut Judgement) {
        let image = self.images.get(restore.image);
        if image.is_disk() {
            return;
        }
        if !self.images.is_complete(restore.image) {
            return completed_survives::lost(&image.name, out);
        }
        out.demands.push(Demand {
            target: Target::Image(image.name.clone()),
            size: self.points[restore.point].size.into(),
            scope: Scope::Whole,
            property: Property::CompletedSurvives,
            against: Against::Point(restore.point),
        });
    }

    /// Tells whether power was lost since a step.
    pub(super) fn lost_since(&self, step: StepNumber) -> bool {
        self.power.losses > 0 && self.power.last >= step
    }

    /// Tells whether an image is surely in the store. What is there besides after a loss of power a
    /// step in its midst may have left there in part: nobody was told of it, and whoever asked for
    /// it takes it away.
    #[must_use]
    pub fn has_image(&self, name: &ImageName) -> bool {
        let found = self.images.find(name);
        found.is_some_and(|id| self.images.get(id).presence == Presence::Present)
    }

    /// Takes in that an image was taken away that a loss of power had left in part.
    pub fn forget_image(&mut self, name: &ImageName) {
        if let Some(id) = self.images.find(name) {
            self.retire(id);
            self.images.get_mut(id).presence = Presence::Absent;
        }
    }

    /// Takes in that an image may stand on its old backing file or on the new one.
    pub(super) fn doubt_backing(&mut self, name: &ImageName) {
        if self.power.expected && !self.power.half_rebased.contains(name) {
            self.power.half_rebased.push(name.clone());
        }
        self.power.reported.retain(|other| other != name);
    }

    /// Returns the target of a job that is known and not dismissed.
    #[must_use]
    pub fn job_target(&self, job: &JobName) -> Option<ImageName> {
        let index = self.job_index(job)?;
        Some(self.images.get(self.jobs[index].target).name.clone())
    }

    /// Takes in that a rebase was reported: the backing file that the image has now is durable.
    pub(super) fn rebased_durably(&mut self, name: &ImageName) {
        if self.power.expected {
            self.power.half_rebased.retain(|other| other != name);
            self.power.reported.retain(|other| other != name);
            self.power.reported.push(name.clone());
        }
    }

    /// Returns the images whose rebase was reported, each with the backing file that it has to have
    /// after any loss of power. The harness looks, and reports what differs by
    /// [`Judgement::lost_backing`].
    #[must_use]
    pub fn reported_backings(&self) -> Vec<(ImageName, Option<ImageName>)> {
        let reported = self.power.reported.iter();
        let there = reported.filter(|name| self.has_image(name));
        there
            .filter_map(|name| {
                let image = self.images.get(self.images.find(name)?);
                Some((name.clone(), image.backing.clone()))
            })
            .collect()
    }

    /// Returns the images that were given another backing file when power was lost, or in vain
    /// before: either may be the one. The harness finds out and says so by
    /// [`Model::settle_backing`].
    pub fn doubtful_backings(&mut self) -> Vec<ImageName> {
        std::mem::take(&mut self.power.rebased)
    }

    /// Takes in which backing file an image turned out to have after a loss of power, or after a
    /// rebase that did not succeed.
    pub fn settle_backing(&mut self, name: &ImageName, backing: Option<ImageName>) {
        self.settle_doubt(name);
        if let Some(id) = self.images.find(name)
            && self.images.get(id).backing != backing
        {
            self.retire(id);
            self.images.rebase(id, backing);
        }
    }

    /// Returns the disks whose size a loss of power leaves certain, each with that.
    #[must_use]
    pub fn certain_sizes(&self) -> Vec<(ImageName, Length)> {
        let disks = self
            .images
            .disks()
            .filter(|(_, disk)| disk.sizes.is_empty());
        disks
            .map(|(_, disk)| (disk.name.clone(), disk.geometry.size))
            .collect()
    }

    /// Tells whether an image may be there in part only, so that nothing can be said of it.
    pub(super) fn may_be_in_part(&self, id: ImageId) -> bool {
        self.power.losses > 0 && self.images.is_doubtful(id)
    }
}

/// What losses of power do to images.
impl Images {
    /// Replaces a range of an image's layer.
    fn put(&mut self, id: ImageId, range: ByteRange, new: &Contents) {
        let layer = &mut self.get_mut(id).layer;
        layer.set(range, Value::ZERO);
        for run in new.within(range) {
            layer.set(run.range(), run.value);
        }
    }

    /// Returns an image's layer with cells of its own: what turns out of what requests in flight
    /// still do says nothing of what was durable now.
    fn unlinked(&mut self, id: ImageId) -> Contents {
        let mut layer = self.get(id).layer.clone();
        self.unlink(&mut layer);
        layer
    }

    fn unlink(&mut self, contents: &mut Contents) {
        let runs: Vec<_> = contents.iter().collect();
        for run in runs {
            if let Value::Cell(cell) = run.value {
                let mut twin = self.cell(cell).twin();
                for side in twin.sides_mut() {
                    self.unlink(side);
                }
                let twin = self.add_cell(twin);
                contents.set(run.range(), Value::Cell(twin));
            }
        }
    }
}
