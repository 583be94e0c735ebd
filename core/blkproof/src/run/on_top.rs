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
use crate::inspect::{Backing, InspectError};

impl Run<'_> {
    /// Fulfils a demand by looking at the top image of a chain alone, and tells whether that was
    /// possible.
    pub(super) fn look_on_top(
        &mut self,
        demand: &Demand,
        format: Format,
    ) -> Result<bool, InspectError> {
        let Some(inspector) = self.inspector.as_mut().filter(|_| {
            demand.is_fixed() && demand.scope == Scope::Whole && !self.buffers.looked.is_empty()
        }) else {
            return Ok(false);
        };
        let name = demand.target.name();
        let mut image = inspector.open_alone(self.world.images(), name, format)?;
        let below = image.backing();
        let Some((changed, below)) = below.and_then(|below| self.known_below(demand, &below))
        else {
            return Ok(false);
        };
        let mut ranges = core::mem::take(&mut self.buffers.ranges);
        ranges.clear();
        image.allocated(&mut ranges)?;
        let possible = image.size() == demand.size && covers(&ranges, &changed);
        let mut result = Ok(possible);
        if possible {
            let before = self.buffers.judgement.violations.len();
            let read = |offset, buf: &mut [u8]| image.read(offset, buf);
            result = self.compare_ranges(demand, &ranges, read).map(|()| true);
            if result.is_ok() && self.buffers.judgement.violations.len() == before {
                self.remember_on_top(demand, below);
            }
        }
        self.buffers.ranges = ranges;
        result
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
