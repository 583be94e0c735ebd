//! Uses against refcounts: one pass over both in the order of the file.

use blkproof_device::Visible;
use blkproof_spec::ByteRange;

use super::parse::Parsed;
use super::table::{Budget, bytes_of, pieces};
use super::uses::Used;
use super::{InspectError, Notes, Problem, Use};
use crate::num::index;

/// The pass.
pub(super) struct Sweep<'a, D: ?Sized> {
    device: &'a mut D,
    parsed: &'a Parsed,
    blocks: &'a [(u64, u64)],
    uses: Vec<Used>,
    budget: Budget,
}

/// Clusters that lie one behind the other and have the same uses.
struct Segment {
    first: u64,
    end: u64,
    uses: u64,
    what: Use,
    /// Every entry that has such a flag says that the refcount is one; or says that it is not.
    copied: Option<bool>,
}

impl<'a, D: Visible + ?Sized> Sweep<'a, D> {
    pub(super) fn new(
        device: &'a mut D,
        parsed: &'a Parsed,
        blocks: &'a [(u64, u64)],
        uses: &[Used],
        budget: Budget,
    ) -> Self {
        let mut uses = uses.to_vec();
        uses.sort_unstable_by_key(|used| used.first);
        Self {
            device,
            parsed,
            blocks,
            uses,
            budget,
        }
    }

    pub(super) fn run(mut self, notes: &mut Notes<'_>) -> Result<(), InspectError> {
        let segments = self.segments(notes)?;
        let mut cursor = Cursor::new(&segments);
        let order = self.parsed.refcount_order;
        let block_bits = self.parsed.cluster_bits + 3 - order;
        for &(number, offset) in self.blocks {
            let base = number << block_bits;
            let range = ByteRange::new(offset, 1 << self.parsed.cluster_bits);
            pieces(self.device, range, &mut self.budget, |start, piece| {
                let first = base + ((start * 8) >> order);
                // Eight bytes hold one refcount or several, and are mostly zero.
                let (words, _) = bytes_of(&piece).as_chunks::<8>();
                let per_word = 64 >> order;
                for (number, word) in words.iter().enumerate() {
                    if *word != [0; 8] {
                        let first = first + number as u64 * per_word;
                        meet_word(&mut cursor, first, word, order, notes);
                    }
                }
                Ok(())
            })?;
        }
        cursor.finish(notes);
        Ok(())
    }

    /// Cuts the uses into segments, and tells of uses that exclude each other.
    fn segments(&mut self, notes: &mut Notes<'_>) -> Result<Vec<Segment>, InspectError> {
        let mut segments = Vec::new();
        let mut active: Vec<Used> = Vec::new();
        let mut next = 0;
        let mut at = 0;
        loop {
            active.retain(|used| used.first + used.count > at);
            if active.is_empty() {
                match self.uses.get(next) {
                    Some(used) => at = used.first,
                    None => return Ok(segments),
                }
            }
            while let Some(used) = self.uses.get(next)
                && used.first <= at
            {
                active.push(*used);
                next += 1;
            }
            self.budget.0 = self
                .budget
                .0
                .checked_sub(active.len() as u64)
                .ok_or(InspectError::TooLarge)?;
            let ends = active.iter().map(|used| used.first + used.count);
            let mut end = ends.min().expect("a use is active");
            if let Some(used) = self.uses.get(next) {
                end = end.min(used.first);
            }
            segments.push(segment(at, end, &active, notes));
            at = end;
        }
    }
}

fn segment(first: u64, end: u64, active: &[Used], notes: &mut Notes<'_>) -> Segment {
    let what = active[0].what;
    let shareable = matches!(what, Use::L2 | Use::Data | Use::Compressed);
    let clash = active[1..]
        .iter()
        .find(|other| other.what != what || !shareable || other.copied == Some(true));
    let uses: u64 = active.iter().map(|used| used.times).sum();
    let exclusive = uses > 1 && (!shareable || active[0].copied == Some(true));
    if let Some(other) = clash.or(exclusive.then(|| &active[active.len() - 1])) {
        notes.problem(Problem::UsedTwice {
            cluster: first,
            first: what,
            second: other.what,
        });
    }
    Segment {
        first,
        end,
        uses,
        what,
        copied: active.iter().find_map(|used| used.copied),
    }
}

/// Goes through segments as refcounts come in, which ascend.
struct Cursor<'a> {
    segments: &'a [Segment],
    /// No cluster before this one is still waited for.
    at: u64,
}

impl<'a> Cursor<'a> {
    fn new(segments: &'a [Segment]) -> Self {
        Self { segments, at: 0 }
    }

    /// Takes in the refcount of a cluster. Those between it and the one before it have none.
    fn meet(&mut self, cluster: u64, refcount: u64, notes: &mut Notes<'_>) {
        self.skip(cluster, notes);
        self.at = cluster + 1;
        let Some(segment) = self.segments.first() else {
            notes.report.leaks += 1;
            return;
        };
        if cluster < segment.first {
            notes.report.leaks += 1;
            return;
        }
        if refcount < segment.uses {
            notes.problem(Problem::RefcountTooLow {
                cluster,
                refcount,
                uses: segment.uses,
            });
        } else if refcount > segment.uses {
            notes.report.leaks += 1;
        }
        if segment
            .copied
            .is_some_and(|copied| copied != (refcount == 1))
        {
            notes.problem(Problem::CopiedFlag {
                what: segment.what,
                cluster,
                refcount,
            });
        }
    }

    /// Passes over clusters up to `cluster`, whose refcount is 0.
    fn skip(&mut self, cluster: u64, notes: &mut Notes<'_>) {
        while let Some(segment) = self.segments.first() {
            let from = segment.first.max(self.at);
            let to = segment.end.min(cluster);
            if from < to {
                notes.problem(Problem::RefcountTooLow {
                    cluster: from,
                    refcount: 0,
                    uses: segment.uses,
                });
                notes.report.problem_count += to - from - 1;
            }
            if segment.end > cluster {
                return;
            }
            self.segments = &self.segments[1..];
        }
    }

    fn finish(&mut self, notes: &mut Notes<'_>) {
        self.skip(u64::MAX, notes);
    }
}

fn meet_word(cursor: &mut Cursor<'_>, first: u64, word: &[u8], order: u32, notes: &mut Notes<'_>) {
    for at in 0..64 >> order {
        let refcount = refcount(word, order, at);
        if refcount != 0 {
            cursor.meet(first + at, refcount, notes);
        }
    }
}

fn refcount(piece: &[u8], order: u32, at: u64) -> u64 {
    let bits = 1_usize << order;
    let first = index(at) * bits;
    if bits < 8 {
        let value = piece[first / 8] >> (first % 8);
        return u64::from(value) & ((1 << bits) - 1);
    }
    let mut value = 0;
    for byte in &piece[first / 8..(first + bits) / 8] {
        value = value << 8 | u64::from(*byte);
    }
    value
}
