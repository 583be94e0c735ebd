//! Where contents are wrong, and what stands there instead.

use core::fmt;

use super::write_list;
use crate::content::{Bytes, Provenance};
use crate::units::{ByteRange, SECTOR};

/// A range whose contents are wrong in one way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// Where.
    pub range: ByteRange,
    /// What stands there.
    pub held: Held,
    /// What may stand there: more than one value where faults left it open.
    pub expected: Vec<Bytes>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} holds {}, must hold ", self.range, self.held)?;
        write_list(f, " or ", &self.expected, |f, bytes| match bytes {
            Bytes::Fill(byte) => write!(f, "{byte:#04x}"),
            Bytes::Stamp { write, .. } => write!(f, "what step {} wrote", write.0),
        })
    }
}

impl Mismatch {
    /// Tells whether what is wrong at `range` goes on with this.
    fn goes_on(&self, range: ByteRange, held: Held, expected: &[Bytes]) -> bool {
        if self.range.end() != range.start || self.expected != expected {
            return false;
        }
        match (self.held, held) {
            (Held::Stamp(first), Held::Stamp(next)) => {
                let sectors = self.range.len.div_ceil(SECTOR);
                next.sector == first.sector + sectors
                    && (next.disk, next.write) == (first.disk, first.write)
            }
            (before, next) => before == next,
        }
    }
}

/// Mismatches as they are found, one after the other: what goes on with the one before it joins it,
/// and at most so many are kept.
#[derive(Clone, Default, Debug)]
pub(crate) struct Mismatches {
    pub(crate) kept: Vec<Mismatch>,
    pub(crate) has_more: bool,
    pub(super) most: usize,
}

impl Mismatches {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn add(&mut self, range: ByteRange, held: Held, expected: &[Bytes]) {
        if let Some(last) = self.kept.last_mut()
            && last.goes_on(range, held, expected)
        {
            last.range.len += range.len;
        } else if self.kept.len() < self.most {
            self.kept.push(Mismatch {
                range,
                held,
                expected: expected.to_vec(),
            });
        } else {
            self.has_more = true;
        }
    }
}

/// What was found where something else should stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// One byte throughout.
    Fill(u8),
    /// An intact stamp, and where it comes from.
    Stamp(Provenance),
    /// Neither.
    Other,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fill(byte) => write!(f, "{byte:#04x}"),
            Self::Stamp(found) => write!(
                f,
                "what step {} wrote to sector {} of disk {}",
                found.write.0, found.sector, found.disk.0
            ),
            Self::Other => f.write_str("bytes of no known origin"),
        }
    }
}
