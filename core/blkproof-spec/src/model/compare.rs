//! Contents: what has to be compared, and the comparison.

use super::Model;
use super::backup::clipped;
use super::images::{CellId, Choice, ImageId, Source, Value};
use super::judgement::{
    About, Against, Demand, Fact, Held, ImageReport, Judgement, Mismatch, Mismatches, Scope,
    Target, Violation,
};
use super::ranges::RangeSet;
use crate::content::Bytes;
use crate::name::ImageName;
use crate::property::{
    Exercised, Property, completed_survives, copy_minimal, dirty_recovers, flushed_survives,
    guest_reads_writes, image_sound, pause_exact, restore_exact, restore_points_survive,
};
use crate::step::{Check, Reference, StepNumber};
use crate::units::{ByteRange, SECTOR};

/// How much of what was zeroed is read at each of its ends.
const ZEROES_READ: u64 = 64 << 10;

/// What stands where zeroes were found, as much of it as is compared at once.
static ZEROES: [u8; 4096] = [0; 4096];

/// How much is read around what was written, where nothing was.
const AROUND: u64 = 4 << 10;

impl Model {
    /// Judges a check where the model's own knowledge decides: demands the comparison of an image,
    /// or says why there is nothing to compare. Other checks are for the harness.
    pub fn check(&mut self, check: &Check, out: &mut Judgement) {
        let Check::Image { image, equals } = check else {
            return;
        };
        if self.undetectable {
            return;
        }
        let reference = match equals {
            Reference::Now(name) => self
                .images
                .find(name)
                .map(|id| (self.images.get(id).size(), Against::Other(name.clone()))),
            Reference::Point { disk, job } => self
                .find_point(disk, job)
                .map(|index| (self.points[index].size, Against::Point(index))),
        };
        let found = self
            .images
            .find(image)
            .filter(|id| self.images.is_complete(*id));
        let (Some(id), Some((size, against))) = (found, reference) else {
            out.violations.push(Violation::new(
                Property::RestoreExact,
                About::Image(image.clone()),
                "check",
                Fact::Text("something to compare"),
                Fact::Nothing,
            ));
            return;
        };
        if self.images.get(id).size() != size {
            out.violations.push(Violation::new(
                Property::RestoreExact,
                About::Image(image.clone()),
                "size",
                Fact::Bytes(size.into()),
                Fact::Bytes(self.images.get(id).geometry.size),
            ));
        }
        out.demands.push(Demand {
            target: self.target_of(id),
            size: size.into(),
            scope: Scope::Whole,
            property: Property::RestoreExact,
            against,
        });
    }

    fn find_point(&self, disk: &ImageName, job: &crate::name::JobName) -> Option<usize> {
        let disk = self.images.find(disk)?;
        self.points
            .iter()
            .rposition(|point| point.disk == disk && point.job == *job)
    }

    fn target_of(&self, id: ImageId) -> Target {
        let image = self.images.get(id);
        if image.is_disk() {
            Target::Disk(image.name.clone())
        } else {
            Target::Image(image.name.clone())
        }
    }

    /// Demands what has to hold at the end: every live restore point, every disk.
    pub fn finish(&mut self, out: &mut Judgement) {
        if self.undetectable {
            return;
        }
        for (_, image) in self.images.disks() {
            out.demands.push(Demand {
                target: Target::Disk(image.name.clone()),
                size: image.geometry.size,
                scope: Scope::Whole,
                property: Property::GuestReadsWrites,
                against: Against::Itself,
            });
        }
        for restore in self.restore_points.iter().filter(|restore| restore.alive) {
            let image = self.images.get(restore.image);
            if image.is_disk() {
                continue;
            }
            if !self.images.is_complete(restore.image) {
                restore_points_survive::lost(&image.name, out);
                continue;
            }
            out.demands.push(Demand {
                target: Target::Image(image.name.clone()),
                size: self.points[restore.point].size.into(),
                scope: Scope::Whole,
                property: Property::RestorePointsSurvive,
                against: Against::Point(restore.point),
            });
        }
    }

    /// Returns how many restore points there were so far.
    #[must_use]
    pub fn restore_points_made(&self) -> usize {
        self.restore_points.len()
    }

    /// Demands that a restore point, by its number, still restores, and tells how many images its
    /// chain has. `None` where it lives no longer, or nobody knows whether its images are there.
    #[must_use]
    pub fn survivor(&self, number: usize) -> Option<(Demand, usize)> {
        let restore = self.restore_points.get(number);
        let restore = restore.filter(|restore| restore.alive && !self.undetectable)?;
        let image = self.images.get(restore.image);
        let known =
            self.images.is_complete(restore.image) && !self.images.is_doubtful(restore.image);
        if !known || image.is_disk() {
            return None;
        }
        let below = |id: &ImageId| self.images.backing_of(*id);
        let links = core::iter::successors(Some(restore.image), below).count();
        let demand = Demand {
            target: Target::Image(image.name.clone()),
            size: self.points[restore.point].size.into(),
            scope: Scope::Whole,
            property: Property::RestorePointsSurvive,
            against: Against::Point(restore.point),
        };
        Some((demand, links))
    }

    /// Returns the ranges of the demand's target that are worth reading, in ascending order: what
    /// must not read as zeroes, or may not; the ends of what must read as zeroes because it was
    /// zeroed; and a little around both, and at the ends of the target.
    ///
    /// Together they grow with what was written, never with the target's size.
    #[must_use]
    pub fn worth_reading(&self, demand: &Demand) -> Vec<ByteRange> {
        let whole = ByteRange::between(0, demand.size.0);
        let ranges = match &demand.scope {
            Scope::Whole => core::slice::from_ref(&whole),
            Scope::Within(ranges) => ranges,
            Scope::Allocation => &[],
        };
        let source = self.source(demand);
        let mut found = RangeSet::default();
        for range in ranges {
            let mut read = |start: u64, end: u64| {
                let around = ByteRange::between(start.saturating_sub(AROUND), end + AROUND);
                found.insert(around.intersect(*range));
            };
            read(range.start, range.start);
            read(range.end(), range.end());
            let mut see = |part: ByteRange, value: Value| {
                if value == Value::ZERO && part.len > 2 * ZEROES_READ {
                    read(part.start, part.start + ZEROES_READ);
                    read(part.end() - ZEROES_READ, part.end());
                } else {
                    read(part.start, part.end());
                }
            };
            match source {
                Some(Source::Chain(id)) => self.images.show(id, *range, 0, &mut see),
                Some(Source::Frozen(contents)) => contents
                    .within(*range)
                    .for_each(|run| see(run.range(), run.value)),
                None => {}
            }
        }
        found.to_vec()
    }

    /// Returns the ranges in which two demands for frozen contents may ask for different ones, in
    /// ascending order, merged; what a fault left uncertain is among them. `None` where one of the
    /// two asks for something that is not frozen.
    #[must_use]
    pub fn difference(&self, demand: &Demand, other: &Demand) -> Option<Vec<ByteRange>> {
        let (Some(Source::Frozen(mine)), Some(Source::Frozen(theirs))) =
            (self.source(demand), self.source(other))
        else {
            return None;
        };
        let different = mine.difference(theirs);
        if !self.images.has_cells() {
            return Some(different);
        }
        let mut found: RangeSet = different.into_iter().collect();
        let uncertain = mine.iter().chain(theirs.iter());
        let uncertain = uncertain.filter(|run| matches!(run.value, Value::Cell(_)));
        found.extend(uncertain.map(|run| run.range()));
        Some(found.to_vec())
    }

    /// Returns of which properties the comparison that a demand asks for judges something.
    #[must_use]
    pub fn judged_by(&self, demand: &Demand) -> Exercised {
        let mut judged = Exercised::default();
        judged.add(demand.property);
        if demand.scope == Scope::Allocation {
            return judged;
        }
        if self.faulted {
            judged.add(Property::RefusedNotWrong);
        }
        if demand.against == Against::Itself && matches!(demand.target, Target::Disk(_)) {
            judged.add(Property::GuestReadsWrites);
            if self.power.losses > 0 {
                judged.add(Property::FlushedSurvives);
            }
            if self.commanded {
                judged.add(Property::GuestUnharmed);
            }
            return judged;
        }
        judged.add(Property::RestoreExact);
        let point = match demand.against {
            Against::Point(index) => self.points.get(index),
            _ => None,
        };
        if let Some(point) = point {
            judged.add(Property::PointInTime);
            if point.shared {
                judged.add(Property::OneMoment);
            }
            if self.lost_since(point.step) {
                judged.add(Property::CompletedSurvives);
            }
        }
        judged
    }

    fn source(&self, demand: &Demand) -> Option<Source<'_>> {
        match &demand.against {
            Against::Itself => self.images.find(demand.target.name()).map(Source::Chain),
            Against::Other(name) => self.images.find(name).map(Source::Chain),
            Against::Point(index) => self
                .points
                .get(*index)
                .map(|point| Source::Frozen(&point.contents)),
            Against::Clusters(_) => None,
        }
    }

    /// Returns what must stand at `position` of the demand's target, and from where on it may be
    /// something else; `None` where it is not certain.
    #[must_use]
    pub fn certain(&self, demand: &Demand, position: u64) -> Option<(Bytes, u64)> {
        self.images.certain(self.source(demand)?, position)
    }

    /// Compares `bytes`, read at `offset` of the demand's target, with what must stand there.
    pub fn compare(&mut self, demand: &Demand, offset: u64, bytes: &[u8], out: &mut Judgement) {
        let Some(source) = self.source(demand) else {
            return;
        };
        let mut found = self
            .images
            .compare(source, offset, bytes, Violation::MISMATCHES_MAX);
        let pins = std::mem::take(&mut found.pins);
        self.learn(&pins);
        if found.mismatches.is_empty() {
            return;
        }
        let about = match &demand.target {
            Target::Disk(name) => About::Disk(name.clone()),
            Target::Image(name) => About::Image(name.clone()),
        };
        let mut say = Judgement::default();
        self.name_mismatches(demand, about, found.mismatches, bytes, offset, &mut say);
        for violation in say.violations {
            join(violation, out);
        }
    }

    /// Compares zeroes, which nobody had to read to know, at `range` of the demand's target with
    /// what must stand there.
    pub fn compare_zeroes(&mut self, demand: &Demand, range: ByteRange, out: &mut Judgement) {
        let mut at = range.start;
        while let Some(source) = self.source(demand) {
            at = self.images.zeroes_end(source, at, range.end());
            if at >= range.end() {
                return;
            }
            let len = ZEROES
                .len()
                .min(usize::try_from(range.end() - at).unwrap_or(usize::MAX));
            self.compare(demand, at, &ZEROES[..len], out);
            at += len as u64;
        }
    }

    /// Reports wrong contents under every property that they break.
    fn name_mismatches(
        &self,
        demand: &Demand,
        about: About,
        found: Mismatches,
        bytes: &[u8],
        offset: u64,
        out: &mut Judgement,
    ) {
        let violation = Violation::of_contents(demand.property, about, found);
        let disk_demand =
            demand.against == Against::Itself && matches!(demand.target, Target::Disk(_));
        if disk_demand {
            let violation = Violation {
                property: Property::GuestReadsWrites,
                ..violation
            };
            guest_reads_writes::check(violation.clone(), self.faulted, out);
            flushed_survives::check(&violation, self.power.losses, out);
            if self.commanded {
                out.violations.push(Violation {
                    property: Property::GuestUnharmed,
                    ..violation
                });
            }
            return;
        }
        let point = match demand.against {
            Against::Point(index) => self.points.get(index),
            _ => None,
        };
        let outlived = demand.property != Property::CompletedSurvives
            && point.is_some_and(|point| self.lost_since(point.step));
        completed_survives::check(&violation, outlived, out);
        pause_exact::contents(&violation, point.is_some_and(|point| point.stopped), out);
        let frozen: Option<(StepNumber, bool)> = point.map(|point| (point.step, point.shared));
        let is_now = |mismatch: &Mismatch| {
            point.is_some_and(|point| self.shows_now(point.disk, mismatch, bytes, offset))
        };
        if demand.property == Property::DirtyRecovers {
            dirty_recovers::changed(&violation, out);
        }
        restore_exact::check(violation, frozen, is_now, self.faulted, out);
    }

    /// Tells whether the first sector of a mismatch holds what the disk holds there now.
    fn shows_now(&self, disk: ImageId, wrong: &Mismatch, bytes: &[u8], offset: u64) -> bool {
        let index = |position: u64| usize::try_from(position - offset).unwrap_or(usize::MAX);
        let end = wrong
            .range
            .end()
            .min(wrong.range.start.saturating_add(SECTOR));
        let Some(part) = bytes.get(index(wrong.range.start)..index(end)) else {
            return false;
        };
        let found = self
            .images
            .compare(Source::Chain(disk), wrong.range.start, part, 1);
        wrong.held != Held::Fill(0)
            && found.mismatches.is_empty()
            && !wrong
                .expected
                .iter()
                .any(|bytes| *bytes == Bytes::ZERO && wrong.held == Held::Other)
    }

    /// Compares the ranges that the demand's target has allocated (in its top image alone, as data
    /// or as zeroes; ascending) with those that it may have.
    pub fn compare_allocation(
        &mut self,
        demand: &Demand,
        allocated: &[ByteRange],
        out: &mut Judgement,
    ) {
        let Against::Clusters(may) = &demand.against else {
            return;
        };
        let may: RangeSet = may.iter().copied().collect();
        let mut surplus: RangeSet = allocated.iter().copied().collect();
        surplus.subtract(&may);
        let surplus = clipped(&surplus, demand.size.0).collect();
        copy_minimal::allocation(demand.target.name(), surplus, out);
    }

    /// Judges what an inspector found in an image that nobody has open.
    pub fn judge_image(&self, image: &ImageName, report: ImageReport, out: &mut Judgement) {
        // Where an image of its chain was removed, or nobody knows what it stands on, nothing can
        // be said.
        let found = self.images.find(image);
        let whole = found.is_none_or(|id| {
            let known = !self.may_be_in_part(id) && !self.images.is_doubtful(id);
            self.images.is_complete(id) && known
        });
        if !self.undetectable && whole {
            image_sound::check(image, report, self.faulted, out);
        }
    }

    /// Takes in what sectors of cells turned out to hold.
    pub(super) fn learn(&mut self, pins: &[(CellId, ByteRange, Choice)]) {
        for (cell, range, choice) in pins {
            self.images.pin(*cell, *range, *choice);
            let known = self.images.cell(*cell);
            // What is still in flight is recorded when it ends.
            let written = known.written.filter(|_| !known.open);
            if let (Choice::New, Some((disk, moment))) = (choice, written) {
                self.confirm_since(disk, moment, *range);
            }
        }
        if !self.flights.is_empty() {
            self.seen_landed(pins);
        }
    }
}

/// Adds a violation; one that continues one before it, in another piece of the same target, joins
/// it.
fn join(violation: Violation, out: &mut Judgement) {
    let mut rest = Some(violation);
    for known in out.violations.iter_mut().rev() {
        match rest.take() {
            Some(violation) => rest = known.join(violation),
            None => break,
        }
    }
    out.violations.extend(rest);
}
