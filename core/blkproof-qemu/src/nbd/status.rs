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
        if len > 0 {
            self.runs.push((len, flags));
        }
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
