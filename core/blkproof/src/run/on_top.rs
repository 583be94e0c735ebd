//! Looking at an image that lies on top of one that was found right.
//!
//! Where every image of a chain restores a point in time, looking at each through its whole chain
//! would look at the first of them as often as there are images. What an image does not have itself
//! it shows of the image below, and that was looked at when it was found to hold a point in time of
//! its own. So it is enough to look at what the image has itself, as long as the two points do not
//! differ anywhere else.

use blkproof_spec::model::{Demand, Scope};
use blkproof_spec::{ByteRange, Format};

use super::Run;
use super::compare::state;
use super::looked::Chain;
use crate::inspect::{Backing, InspectError, Inspected};

impl Run<'_> {
    /// Fulfils a demand by looking at the top image of a chain alone, and tells whether that was
    /// possible: for what it has allocated, what it has all itself, where it has no backing file,
    /// or where that was found right.
    pub(super) fn look_on_top(
        &mut self,
        demand: &Demand,
        format: Format,
    ) -> Result<bool, InspectError> {
        let is_allocation = demand.scope == Scope::Allocation;
        let is_whole = demand.is_fixed() && demand.scope == Scope::Whole;
        let is_known = is_whole && !self.buffers.looked.is_empty();
        let is_part = matches!(demand.scope, Scope::Within(_));
        let inspector = self.inspector.as_mut();
        let Some(inspector) = inspector.filter(|_| is_known || is_allocation || is_part) else {
            return Ok(false);
        };
        let name = demand.target.name();
        let mut image = inspector.open_alone(self.world.images(), name, format)?;
        if is_allocation {
            return self.look_at(demand, &mut *image).map(|()| true);
        }
        let Some(below) = image.backing() else {
            return self.look_at(demand, &mut *image).map(|()| true);
        };
        if let Scope::Within(parts) = &demand.scope {
            return self.look_at_own(demand, parts, &below, &mut *image);
        }
        let Some((changed, below)) = self.known_below(demand, &below) else {
            return Ok(false);
        };
        let mut ranges = core::mem::take(&mut self.buffers.ranges);
        ranges.clear();
        image.allocated(&mut ranges)?;
        let possible = image.size() == demand.size && covers(&ranges, &changed);
        let mut result = Ok(possible);
        if possible {
            let before = self.buffers.judgement.violations.len();
            let looked = self.compare_ranges(demand, &ranges, &mut *image);
            result = looked.map(|()| true);
            if result.is_ok() && self.buffers.judgement.violations.len() == before {
                self.remember_on_top(demand, below);
            }
        }
        self.buffers.ranges = ranges;
        result
    }

    /// Looks at parts that the image has all itself, and tells whether it has.
    fn look_at_own(
        &mut self,
        demand: &Demand,
        parts: &[ByteRange],
        below: &Backing,
        image: &mut dyn Inspected,
    ) -> Result<bool, InspectError> {
        let mut ranges = Vec::new();
        image.allocated(&mut ranges)?;
        if !covers(&ranges, parts) || self.buffers.known.get(&below.image).is_none() {
            return Ok(false);
        }
        self.look_at(demand, image).map(|()| true)
    }

    /// Returns where the contents that are demanded may differ from those that the backing file was
    /// found to hold, and its chain; `None` if it was not looked at as it is now.
    fn known_below(
        &mut self,
        demand: &Demand,
        backing: &Backing,
    ) -> Option<(Vec<ByteRange>, Chain)> {
        let (world, known) = (self.world, &self.buffers.known);
        let format = known.get(&backing.image)?.format;
        let looked = &mut self.buffers.looked;
        let (below, chain) = looked.whole(&backing.image, |name| state(world, known, name))?;
        let alike = backing.format == Some(format) && below.size == demand.size;
        let changed = self.model.difference(demand, below).filter(|_| alike)?;
        Some((changed, chain))
    }

    fn remember_on_top(&mut self, demand: &Demand, below: Chain) {
        let buffers = &mut *self.buffers;
        if let Some(state) = state(self.world, &buffers.known, demand.target.name()) {
            let chain = buffers.looked.link(state, Some(below));
            buffers.looked.remember(demand, chain);
        }
    }
}

/// Tells whether every range of `parts` lies within one of `ranges`. Both are in ascending order,
/// and ranges that touch are merged.
fn covers(ranges: &[ByteRange], parts: &[ByteRange]) -> bool {
    let mut ranges = ranges.iter();
    let mut range = ranges.next();
    parts.iter().all(|part| {
        while range.is_some_and(|range| range.end() < part.end()) {
            range = ranges.next();
        }
        range.is_some_and(|range| range.start <= part.start)
    })
}

#[cfg(test)]
mod tests {
    use super::{ByteRange, covers};

    #[test]
    fn parts_are_covered_if_each_lies_within_a_range() {
        let range = ByteRange::between;
        let ranges = [range(0, 10), range(20, 30)];
        let is_covered = |parts: &[ByteRange]| covers(&ranges, parts);
        assert!(is_covered(&[]));
        assert!(is_covered(&[range(0, 2), range(4, 10), range(20, 30)]));
        assert!(!is_covered(&[range(0, 11)]));
        assert!(!is_covered(&[range(19, 21)]));
        assert!(!is_covered(&[range(4, 5), range(12, 13)]));
        assert!(!is_covered(&[range(30, 31)]));
        assert!(!covers(&[], &[range(0, 1)]));
    }
}
