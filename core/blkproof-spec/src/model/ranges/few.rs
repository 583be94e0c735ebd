//! The runs of a map that has few of them, in place.

use core::ops::Deref;

use super::Run;
use crate::units::ByteRange;

/// So many runs need no memory of their own: most maps of a scenario never have more.
pub(super) const FEW: usize = 6;

/// At most [`FEW`] runs, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Few<V> {
    len: u8,
    runs: [Run<V>; FEW],
}

impl<V: Copy + Default> Default for Few<V> {
    fn default() -> Self {
        Self {
            len: 0,
            runs: [Run::default(); FEW],
        }
    }
}

impl<V: Copy> Few<V> {
    /// Adds a run behind all others, if it touches none of them and there is room.
    pub(super) fn append(&mut self, range: ByteRange, value: V) -> bool {
        let len = usize::from(self.len);
        let is_behind = self.last().is_none_or(|last| last.end < range.start);
        if len == FEW || !is_behind {
            return false;
        }
        self.runs[len] = Run {
            start: range.start,
            end: range.end(),
            value,
        };
        self.len += 1;
        true
    }

    /// Puts `pieces` in the place of the runs from `first` up to `last`, unless that comes to too
    /// many.
    pub(super) fn replace(&mut self, first: usize, last: usize, pieces: &[Run<V>]) -> bool {
        let len = usize::from(self.len);
        let behind = first + pieces.len();
        let grown = len - last + behind;
        if grown > FEW {
            return false;
        }
        self.runs.copy_within(last..len, behind);
        self.runs[first..behind].copy_from_slice(pieces);
        self.len = u8::try_from(grown).expect("few runs");
        true
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }
}

impl<V> Deref for Few<V> {
    type Target = [Run<V>];

    fn deref(&self) -> &[Run<V>] {
        &self.runs[..usize::from(self.len)]
    }
}
