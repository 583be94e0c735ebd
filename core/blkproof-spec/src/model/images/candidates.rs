//! What may stand at a position: one value where it is certain, several where it is not.

use super::{Absent, CHAIN_MAX, Choice, Contents, ImageId, Images, Value};
use crate::content::Bytes;

impl Images {
    /// Returns the values that may stand at `position` of the image's chain, and where others may
    /// begin.
    pub(crate) fn candidates(&self, id: ImageId, position: u64, out: &mut Vec<Bytes>) -> u64 {
        let mut end = u64::MAX;
        self.collect_through(Some(id), position, &mut end, out, 0);
        end
    }

    /// Returns the same of frozen contents, in which what has no value is zero.
    pub(crate) fn candidates_of(
        &self,
        contents: &Contents,
        position: u64,
        out: &mut Vec<Bytes>,
    ) -> u64 {
        let (value, mut end) = contents.lookup(position);
        self.collect(
            value.unwrap_or(Value::ZERO),
            None,
            position,
            &mut end,
            out,
            0,
        );
        end
    }

    /// Returns the value at `position` of the image's chain if it is certain, and where another one
    /// may begin.
    pub(crate) fn certain_through(
        &self,
        mut id: Option<ImageId>,
        position: u64,
    ) -> Option<(Bytes, u64)> {
        let mut end = u64::MAX;
        for _ in 0..CHAIN_MAX {
            let image = id.map(|id| self.get(id));
            let Some(image) = image.filter(|image| position < image.size()) else {
                return Some((Bytes::ZERO, end));
            };
            let (value, stretch) = image.layer.lookup(position);
            end = end.min(stretch).min(image.size());
            match value {
                Some(Value::Bytes(bytes)) => return Some((bytes, end)),
                Some(Value::Cell(_)) => return None,
                None if image.absent == Absent::Zero => return Some((Bytes::ZERO, end)),
                None => id = id.and_then(|id| self.backing_of(id)),
            }
        }
        None
    }

    fn collect_through(
        &self,
        id: Option<ImageId>,
        position: u64,
        end: &mut u64,
        out: &mut Vec<Bytes>,
        depth: usize,
    ) {
        let image = id.map(|id| self.get(id));
        let Some(image) = image.filter(|image| position < image.size() && depth < CHAIN_MAX) else {
            return push_once(out, Bytes::ZERO);
        };
        let (value, stretch) = image.layer.lookup(position);
        *end = (*end).min(stretch).min(image.size());
        match value {
            Some(value) => self.collect(value, id, position, end, out, depth),
            None if image.absent == Absent::Zero => push_once(out, Bytes::ZERO),
            None => {
                let backing = id.and_then(|id| self.backing_of(id));
                self.collect_through(backing, position, end, out, depth + 1);
            }
        }
    }

    /// Adds what `value` may be at `position`, in the layer of `home` or in frozen contents.
    fn collect(
        &self,
        value: Value,
        home: Option<ImageId>,
        position: u64,
        end: &mut u64,
        out: &mut Vec<Bytes>,
        depth: usize,
    ) {
        let id = match value {
            Value::Bytes(bytes) => return push_once(out, bytes),
            Value::Cell(id) => id,
        };
        let cell = self.cell(id);
        let (pin, stretch) = cell.pins.lookup(position);
        *end = (*end).min(stretch);
        for choice in [Choice::Old, Choice::New] {
            if pin.is_some_and(|pin| pin != choice) {
                continue;
            }
            let (value, stretch) = cell.side(choice).lookup(position);
            *end = (*end).min(stretch);
            match (value, choice, cell.absent) {
                (Some(value), ..) => self.collect(value, home, position, end, out, depth),
                (None, Choice::Old, Absent::Through) => {
                    let backing = home.and_then(|home| self.backing_of(home));
                    self.collect_through(backing, position, end, out, depth + 1);
                }
                _ => push_once(out, Bytes::ZERO),
            }
        }
    }
}

fn push_once(out: &mut Vec<Bytes>, bytes: Bytes) {
    if !out.contains(&bytes) {
        out.push(bytes);
    }
}
