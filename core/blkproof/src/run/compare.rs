//! Fulfilling the model's demands: reading what it wants to see compared.

use blkproof_device::Parcel;
use blkproof_spec::model::{Demand, Fact, Scope, Target, Violation};
use blkproof_spec::{At, ByteRange, Format, ImageName};

use super::Run;
use super::carry::guarded;
use super::known::Known;
use super::looked::State;
use super::verified::Comparing;
use super::world::World;
use crate::inspect::{InspectError, Inspected};
use crate::outcome::Finding;

/// How much is read and compared at once.
const PIECE: u64 = 256 << 10;

/// Up to this size everything is read at looks that are not in passing, where no inspector can say
/// which parts hold data. Otherwise what the model finds worth reading.
const DENSE_MAX: u64 = 64 << 20;

/// How closely a demand is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// In passing, behind a step: images by the inspector, or through the subject without one.
    Passing,
    /// Because the scenario says so: images by both.
    Stated,
    /// For the last time.
    Last,
}

impl Run<'_> {
    /// Fulfils what the model demanded last.
    pub(super) fn fulfil_demands(&mut self, look: Look) {
        let demands = core::mem::take(&mut self.buffers.judgement.demands);
        for demand in &demands {
            self.counts.demands += 1;
            self.fulfil(demand, look);
        }
        self.buffers.judgement.demands = demands;
        self.buffers.judgement.demands.clear();
    }

    fn fulfil(&mut self, demand: &Demand, look: Look) {
        if let Some(coverage) = &mut self.coverage {
            coverage.note_exercised(self.model.judged_by(demand));
        }
        match (&demand.target, &demand.scope) {
            (_, Scope::Allocation) => self.inspect(demand),
            (Target::Disk(_), _) => self.look_through_subject(demand, look),
            (Target::Image(_), _) => {
                if self.inspector.is_some() {
                    self.inspect(demand);
                }
                // What is wrong with the image already does not have to be told twice.
                let wrong = !self.buffers.judgement.violations.is_empty();
                if self.inspector.is_none() || look == Look::Stated && !wrong {
                    self.look_through_subject(demand, look);
                }
            }
        }
        self.take_violations();
    }

    /// Fulfils a demand by the inspector, on the image as it is in the store.
    pub(super) fn inspect(&mut self, demand: &Demand) {
        let name = demand.target.name();
        let Some(image) = self.buffers.known.get(name) else {
            return;
        };
        if self.inspector.is_none() {
            return;
        }
        let (world, known, format) = (self.world, &self.buffers.known, image.format);
        if self
            .buffers
            .looked
            .still_holds(demand, |name| state(world, known, name))
        {
            return;
        }
        let result = match self.look_on_top(demand, format) {
            Ok(false) => self.look_whole(demand, format),
            Ok(true) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            self.findings.push(Finding::Unsound {
                image: name.clone(),
                complaints: vec![error.message],
            });
        }
    }

    fn look_whole(&mut self, demand: &Demand, format: Format) -> Result<(), InspectError> {
        let Some(inspector) = &mut self.inspector else {
            return Ok(());
        };
        let name = demand.target.name();
        let mut image = inspector.open(self.world.images(), name, format)?;
        self.look_at(demand, &mut *image)
    }

    /// Fulfils a demand on an image that the inspector has open.
    pub(super) fn look_at(
        &mut self,
        demand: &Demand,
        image: &mut dyn Inspected,
    ) -> Result<(), InspectError> {
        if demand.scope == Scope::Allocation {
            return self.compare_allocation(demand, image);
        }
        let before = self.buffers.judgement.violations.len();
        self.compare_inspected(demand, image)?;
        if demand.is_fixed() && self.buffers.judgement.violations.len() == before {
            self.remember(demand, image);
        }
        Ok(())
    }

    /// Remembers that nothing is wrong with an image, unless its chain leads out of the scenario.
    fn remember(&mut self, demand: &Demand, image: &dyn Inspected) {
        let (world, buffers) = (self.world, &mut *self.buffers);
        let mut chain = None;
        for name in image.chain().iter().rev() {
            let Some(state) = state(world, &buffers.known, name) else {
                return;
            };
            chain = Some(buffers.looked.link(state, chain));
        }
        if let Some(chain) = chain {
            buffers.looked.remember(demand, chain);
        }
    }

    fn compare_allocation(
        &mut self,
        demand: &Demand,
        image: &mut dyn Inspected,
    ) -> Result<(), InspectError> {
        let buffers = &mut *self.buffers;
        buffers.ranges.clear();
        image.allocated(&mut buffers.ranges)?;
        self.model
            .compare_allocation(demand, &buffers.ranges, &mut buffers.judgement);
        Ok(())
    }

    fn compare_inspected(
        &mut self,
        demand: &Demand,
        image: &mut dyn Inspected,
    ) -> Result<(), InspectError> {
        if image.size() != demand.size {
            self.buffers.judgement.violations.push(Violation {
                property: demand.property,
                about: blkproof_spec::model::About::Image(demand.target.name().clone()),
                aspect: "size",
                expected: Fact::Bytes(demand.size),
                seen: Fact::Bytes(image.size()),
                mismatches: Vec::new(),
                has_more: false,
            });
        }
        let size = image.size().0.min(demand.size.0);
        let mut ranges = core::mem::take(&mut self.buffers.ranges);
        ranges.clear();
        image.data(&mut ranges)?;
        self.plan(demand, size, &mut ranges);
        let result = self.compare_ranges(demand, &ranges, image);
        self.buffers.ranges = ranges;
        result
    }

    /// Fulfils a demand by reading through the subject.
    fn look_through_subject(&mut self, demand: &Demand, look: Look) {
        let dense = look != Look::Passing && self.inspector.is_none();
        let mut ranges = core::mem::take(&mut self.buffers.ranges);
        ranges.clear();
        if dense && demand.size.0 <= DENSE_MAX {
            ranges.push(ByteRange::new(0, demand.size.0));
        }
        self.plan(demand, demand.size.0, &mut ranges);
        let at = At::Device(demand.target.name().clone());
        let mut panic = None;
        self.buffers.looked.pass();
        let (world, allowance) = (self.world, self.allowance);
        let subject = &mut *self.subject;
        self.world.set_quiet(true);
        // The borrow of the subject must not reach into the comparison, which needs the rest.
        let result = compare_parcels(
            self.model,
            self.buffers,
            &mut self.counts.bytes_compared,
            demand,
            &ranges,
            |range, parcel| match guarded(world, allowance, || {
                subject.peek_parcel(&at, range, parcel)
            }) {
                Ok(result) => result.map_err(|error| InspectError::new(error.message)),
                Err(finding) => {
                    panic = Some(finding);
                    Err(InspectError::new("a panic"))
                }
            },
        );
        self.world.set_quiet(false);
        self.buffers.ranges = ranges;
        if let Err(error) = result {
            self.findings
                .push(panic.unwrap_or_else(|| Finding::Subject {
                    doing: format!("reading {}", demand.target.name()),
                    message: error.message,
                }));
        }
    }

    /// Turns the ranges that hold data into those that have to be compared: with what the model
    /// expects to hold data, within the scope, in order and merged.
    fn plan(&self, demand: &Demand, size: u64, ranges: &mut Vec<ByteRange>) {
        ranges.extend(self.model.worth_reading(demand));
        ranges.sort_unstable();
        merge_ranges(ranges);
        let whole = [ByteRange::new(0, size)];
        let within = match &demand.scope {
            Scope::Within(within) => within.as_slice(),
            Scope::Whole | Scope::Allocation => &whole,
        };
        clip(ranges, within, size);
    }

    /// Compares ranges of an image that the inspector has open, where they lie.
    pub(super) fn compare_ranges(
        &mut self,
        demand: &Demand,
        ranges: &[ByteRange],
        image: &mut dyn Inspected,
    ) -> Result<(), InspectError> {
        let mut comparing = Comparing::new(
            self.model,
            &mut self.buffers.verified,
            demand,
            &mut self.buffers.judgement,
        );
        for range in ranges {
            image.visit(*range, &mut |at, piece| comparing.see(at, piece))?;
            self.counts.bytes_compared += range.len;
        }
        Ok(())
    }
}

pub(super) fn state(world: &dyn World, known: &Known, name: &ImageName) -> Option<State> {
    Some(State {
        name: name.clone(),
        birth: known.get(name)?.birth,
        version: world.version(name)?,
    })
}

fn compare_parcels(
    model: &mut blkproof_spec::Model,
    buffers: &mut super::Buffers,
    compared: &mut u64,
    demand: &Demand,
    ranges: &[ByteRange],
    mut read: impl FnMut(ByteRange, &mut Parcel) -> Result<(), InspectError>,
) -> Result<(), InspectError> {
    for range in ranges {
        let mut offset = range.start;
        while offset < range.end() {
            let piece = ByteRange::new(offset, PIECE.min(range.end() - offset));
            buffers.parcel.clear();
            read(piece, &mut buffers.parcel)?;
            if buffers.parcel.len() != piece.len {
                return Err(InspectError::new("another length than was asked for"));
            }
            let mut comparing =
                Comparing::new(model, &mut buffers.verified, demand, &mut buffers.judgement);
            buffers.parcel.visit(&mut |piece| {
                comparing.see(offset, piece);
                offset += piece.len();
            });
            *compared += piece.len;
        }
    }
    Ok(())
}

/// Merges ranges that touch or overlap; they are in order.
fn merge_ranges(ranges: &mut Vec<ByteRange>) {
    ranges.retain(|range| !range.is_empty());
    ranges.dedup_by(|next, last| {
        let touches = next.start <= last.end();
        if touches {
            *last = ByteRange::between(last.start, last.end().max(next.end()));
        }
        touches
    });
}

/// Clips ranges, which are in order and apart, to those of `within` below `size`, which are so too.
fn clip(ranges: &mut Vec<ByteRange>, within: &[ByteRange], size: u64) {
    let count = ranges.len();
    let mut first = 0;
    for index in 0..count {
        let range = ranges[index].intersect(ByteRange::new(0, size));
        while first < within.len() && within[first].end() <= range.start {
            first += 1;
        }
        let overlapping = within[first..]
            .iter()
            .take_while(|part| part.start < range.end());
        for part in overlapping {
            let clipped = range.intersect(*part);
            if !clipped.is_empty() {
                ranges.push(clipped);
            }
        }
    }
    ranges.drain(..count);
}

/// Adds a violation to the findings, merged with the last one where it goes on with the same.
pub(super) fn merge(findings: &mut Vec<Finding>, violation: Violation) {
    let rest = match findings.last_mut() {
        Some(Finding::Violation(last)) => last.join(violation),
        _ => Some(violation),
    };
    findings.extend(rest.map(|violation| Finding::Violation(Box::new(violation))));
}

#[cfg(test)]
mod tests {
    use super::{ByteRange, clip, merge_ranges};

    fn ranges(parts: &[(u64, u64)]) -> Vec<ByteRange> {
        parts
            .iter()
            .map(|(start, end)| ByteRange::between(*start, *end))
            .collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut parts = ranges(&[(0, 4), (2, 3), (4, 6), (6, 6), (8, 9)]);
        merge_ranges(&mut parts);
        assert_eq!(parts, ranges(&[(0, 6), (8, 9)]));
    }

    #[test]
    fn ranges_are_clipped_to_the_scope_and_the_size() {
        let mut parts = ranges(&[(0, 10), (20, 30), (40, 60)]);
        clip(&mut parts, &ranges(&[(5, 25), (28, 29), (50, 99)]), 55);
        assert_eq!(parts, ranges(&[(5, 10), (20, 25), (28, 29), (50, 55)]));
    }
}
