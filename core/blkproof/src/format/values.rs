//! What a byte may be: some things that were written, or anything.

use blkproof_spec::content::Bytes;

/// A set of what may stand somewhere; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Values {
    /// In order, each once.
    list: Vec<Bytes>,
    /// Nobody knows what stands there.
    anything: bool,
}

impl Values {
    /// Returns the set of this one thing.
    pub(super) fn only(bytes: Bytes) -> Self {
        Self {
            list: vec![bytes],
            anything: false,
        }
    }

    /// Returns the set of everything.
    pub(super) fn anything() -> Self {
        Self {
            list: Vec::new(),
            anything: true,
        }
    }

    /// Adds something.
    pub(super) fn add(&mut self, bytes: Bytes) {
        if let Err(at) = self.list.binary_search(&bytes) {
            self.list.insert(at, bytes);
        }
    }

    /// Adds everything of another set.
    pub(super) fn add_all(&mut self, other: &Self) {
        other.list.iter().for_each(|bytes| self.add(*bytes));
        self.anything |= other.anything;
    }

    /// Returns what is in it, if that is few things.
    pub(super) fn listed(&self) -> &[Bytes] {
        &self.list
    }

    /// Tells whether each byte of `buf` is that of something that may stand at `position`: a
    /// transfer that breaks off does so at any byte.
    pub(super) fn mixes(&self, position: u64, buf: &[u8]) -> bool {
        let mut fits = vec![false; buf.len()];
        let mut one = vec![0; buf.len()];
        for bytes in &self.list {
            bytes.generate(position, &mut one);
            let pairs = one.iter().zip(buf);
            for (fit, (may, is)) in fits.iter_mut().zip(pairs) {
                *fit |= may == is;
            }
        }
        fits.iter().all(|fit| *fit)
    }

    /// Returns those of it that stand at `position` in `buf`, if any do.
    pub(super) fn matching(&self, position: u64, buf: &[u8]) -> Option<Self> {
        let stands = |bytes: &&Bytes| bytes.mismatch(position, buf).is_none();
        let list: Vec<Bytes> = self.list.iter().filter(stands).copied().collect();
        if list.is_empty() {
            return self.anything.then(Self::anything);
        }
        Some(Self {
            list,
            anything: false,
        })
    }
}
