//! Runs of bytes with what they are, collected for a reply.

use blkproof_spec::ByteRange;

/// The most runs that one context tells at a time: half of a mebibyte of reply. A client asks on
/// where they end.
const RUNS_MAX: usize = 1 << 16;

/// The runs of one context.
#[derive(Debug)]
pub(crate) struct Runs {
    runs: Vec<(u32, u32)>,
    max: usize,
}

impl Runs {
    /// Begins to collect; `one` run only, if so.
    pub(crate) fn new(one: bool) -> Self {
        Self {
            runs: Vec::new(),
            max: if one { 1 } else { RUNS_MAX },
        }
    }

    /// Adds a run behind the others. Tells whether more can come.
    pub(crate) fn push(&mut self, len: u64, flags: u32) -> bool {
        let Ok(len) = u32::try_from(len) else {
            return false;
        };
        if len == 0 {
            return true;
        }
        if let Some((last, known)) = self.runs.last_mut()
            && *known == flags
            && let Some(sum) = last.checked_add(len)
        {
            *last = sum;
            return true;
        }
        if self.runs.len() == self.max {
            return false;
        }
        self.runs.push((len, flags));
        true
    }

    pub(crate) fn as_slice(&self) -> &[(u32, u32)] {
        &self.runs
    }
}

/// Collects what `inner` runs, in order, and the gaps between them are, within `range`.
pub(crate) fn of_set(
    range: ByteRange,
    inner: impl Iterator<Item = ByteRange>,
    flags: u32,
    one: bool,
) -> Runs {
    let mut runs = Runs::new(one);
    let mut position = range.start;
    for run in inner {
        if !runs.push(run.start - position, 0) || !runs.push(run.len, flags) {
            return runs;
        }
        position = run.end();
    }
    runs.push(range.end() - position, 0);
    runs
}

#[cfg(test)]
mod tests {
    use super::{RUNS_MAX, of_set};
    use blkproof_spec::ByteRange;

    const DIRTY: u32 = 1;

    fn runs(range: ByteRange, inner: &[ByteRange], one: bool) -> Vec<(u32, u32)> {
        let runs = of_set(range, inner.iter().copied(), DIRTY, one);
        runs.as_slice().to_vec()
    }

    /// QEMU once put empty runs between long ones, and once told dirty from clean the wrong way
    /// round (C29 of the catalogue of bugs).
    #[test]
    fn no_run_is_empty_and_only_what_is_dirty_is_dirty() {
        let all = ByteRange::new(512, u64::from(u32::MAX));
        assert_eq!(runs(all, &[all], false), [(u32::MAX, DIRTY)]);
        assert_eq!(runs(all, &[], false), [(u32::MAX, 0)]);
        let range = ByteRange::new(0, 10);
        let parts = [(0, 2), (2, 3), (7, 3)].map(|(start, len)| ByteRange::new(start, len));
        assert_eq!(runs(range, &parts, false), [(5, DIRTY), (2, 0), (3, DIRTY)]);
        assert_eq!(runs(range, &parts, true), [(5, DIRTY)]);
        assert_eq!(runs(range, &parts[2..], true), [(7, 0)]);
    }

    #[test]
    fn many_runs_are_told_in_part_and_in_order() {
        let len = 4 * RUNS_MAX as u64;
        let parts: Vec<_> = (0..len / 2).map(|n| ByteRange::new(2 * n, 1)).collect();
        let told = runs(ByteRange::new(0, len), &parts, false);
        assert_eq!(told.len(), RUNS_MAX);
        let other = |(number, run): (usize, &(u32, u32))| *run == (1, u32::from(number % 2 == 0));
        assert!(told.iter().enumerate().all(other));
    }
}
