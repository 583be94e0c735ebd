//! The copying part of a job: which clusters are still to be copied, and which are on their way.
//!
//! The background pass and the guards of guest requests take their chunks from the same set, so
//! that a cluster is copied once. A chunk takes its clusters out of the set when it starts and puts
//! them back if it fails.
//!
//! A pass starts chunks in ascending order, up to 64 at once, before it works on any of them; then
//! the oldest that does not wait is worked on until it is done, and its place is taken by a new
//! one. After a failure no chunk starts any more, those that were started are carried out to their
//! end, and the first error is the pass's.

use blkproof_device::{IoError, Store, Wait};
use blkproof_spec::{ByteRange, Errno, Side};

use crate::bugs::{Bug, Bugs};
use crate::chunk::{Buffers, Chunk, Style};
use crate::node::Node;
use crate::rate::Rate;
use crate::runs::Runs;

/// How many chunks are on their way at once.
const CHUNKS_MAX: usize = 64;

/// The largest chunk of data in bytes, where the cluster is not larger.
const CHUNK_BYTES: u64 = 1 << 20;

/// What a copier works with.
#[derive(Debug)]
pub(crate) struct Ends<'a> {
    pub(crate) source: &'a mut Node,
    pub(crate) target: &'a mut Node,
    pub(crate) buffers: &'a mut Buffers,
    pub(crate) store: &'a dyn Store,
    /// Virtual time in milliseconds.
    pub(crate) now: u64,
}

/// What a unit of work came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// It was done.
    Done,
    /// There is nothing to do.
    Nothing,
    /// The speed limit allows nothing before this moment of virtual time.
    Limited(u64),
    /// Everything that could be done waits; this is what the first waits for.
    Waits(Wait),
}

/// What stands in the way of a guest request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Obstacle {
    /// A chunk of the pass.
    Chunk(usize),
    /// The guard of another request.
    Guard(u32),
}

/// What is to be copied, being copied, and copied.
#[derive(Debug)]
pub(crate) struct Copier {
    pub(crate) cluster: u64,
    /// The size of the source in bytes.
    pub(crate) size: u64,
    pub(crate) todo: Runs,
    pub(crate) style: Style,
    /// How far it is known which clusters the source has allocated: to the end, but for `sync=top`.
    pub(crate) scanned: u64,
    /// The first error of the pass.
    pub(crate) failed: Option<(Side, Errno)>,
    chunks: Vec<Chunk>,
    /// Clusters that guards of guest requests have in flight: request, start, end.
    guards: Vec<(u32, u64, u64)>,
    /// What keeps the pass from starting the next chunk.
    wait: Option<Wait>,
    /// How far the pass has come.
    cursor: u64,
    flying: u64,
    copied: u64,
    /// How many chunks of the pass failed.
    pub(crate) failures: u32,
    seeded: Seeded,
}

/// What seeded bugs need to know of a copier.
#[derive(Debug)]
struct Seeded {
    bugs: Bugs,
    /// What is to be copied once the first unit of work is done.
    late: Option<Runs>,
    /// What is clean.
    clean: Runs,
    /// Nothing is saved before the first cluster is copied.
    late_filter: bool,
}

impl Copier {
    pub(crate) fn new(cluster: u64, size: u64, todo: Runs, style: Style) -> Self {
        let bugs = style.bugs;
        let mut clean = Runs::default();
        if bugs.has(Bug::GuardCopiesClean) {
            clean = Runs::below(size.div_ceil(cluster));
            for (start, end) in todo.iter() {
                clean.remove(start, end);
            }
        }
        let (todo, late) = if bugs.has(Bug::CopySetMadeLate) {
            (Runs::default(), Some(todo))
        } else {
            (todo, None)
        };
        Self {
            cluster,
            size,
            failures: 0,
            seeded: Seeded {
                bugs,
                late,
                clean,
                late_filter: bugs.has(Bug::FilterComesLate),
            },
            todo,
            style,
            scanned: u64::MAX,
            failed: None,
            chunks: Vec::new(),
            guards: Vec::new(),
            wait: None,
            cursor: 0,
            flying: 0,
            copied: 0,
        }
    }

    /// Saves nothing before the first cluster is copied, by a seeded bug.
    pub(crate) fn come_late(&mut self) {
        self.seeded.late_filter = true;
    }

    /// Returns the bytes copied, in whole clusters.
    pub(crate) fn offset(&self) -> u64 {
        self.copied * self.cluster
    }

    /// Returns the bytes copied and still to be copied, in whole clusters.
    pub(crate) fn len(&self) -> u64 {
        let flying = if self.seeded.bugs.has(Bug::FlyingIsForgotten) {
            0
        } else {
            self.flying
        };
        (self.copied + flying + self.todo.total()) * self.cluster
    }

    /// Tells whether guest requests have clusters on their way.
    pub(crate) fn is_guarding(&self) -> bool {
        !self.guards.is_empty()
    }

    /// Begins a new pass over everything that is left.
    pub(crate) fn restart(&mut self) {
        self.failed = None;
        self.failures = 0;
        self.cursor = 0;
    }

    /// Returns the bytes of some clusters, within the disk.
    fn bytes(&self, start: u64, end: u64) -> ByteRange {
        let whole = ByteRange::between(
            start.saturating_mul(self.cluster),
            end.saturating_mul(self.cluster),
        );
        if self.seeded.bugs.has(Bug::CopyBehindEnd) {
            return whole;
        }
        whole.intersect(ByteRange::new(0, self.size))
    }

    /// Returns the clusters that `range`, which is not empty, touches.
    pub(crate) fn clusters(&self, range: ByteRange) -> (u64, u64) {
        (
            range.start / self.cluster,
            (range.end() - 1) / self.cluster + 1,
        )
    }

    /// Does one unit of the pass. New chunks are started if `start` says so.
    pub(crate) fn pass(&mut self, ends: &mut Ends<'_>, rate: &mut Rate, start: bool) -> Unit {
        let mut idle = Unit::Nothing;
        if let Some(late) = self.seeded.late.take() {
            self.todo = late;
        }
        if start && self.failed.is_none() && self.chunks.len() < CHUNKS_MAX {
            idle = self.start(ends, rate);
            if idle == Unit::Done {
                return Unit::Done;
            }
        }
        for index in 0..self.chunks.len() {
            if self.step_chunk(index, ends) {
                return Unit::Done;
            }
        }
        match self.chunks.first().and_then(|chunk| chunk.wait.clone()) {
            Some(wait) => Unit::Waits(wait),
            None => idle,
        }
    }

    /// Starts the next chunk of the pass.
    fn start(&mut self, ends: &mut Ends<'_>, rate: &mut Rate) -> Unit {
        if self.chunks.is_empty() && self.todo.first_from(self.cursor).is_none() {
            self.cursor = 0;
        }
        if self.todo.first_from(self.cursor).is_none() {
            return Unit::Nothing;
        }
        if let Some(until) = rate.closed_until(ends.now) {
            return Unit::Limited(until);
        }
        if let Some(wait) = &self.wait
            && !ends.store.is_over(wait)
        {
            return Unit::Waits(wait.clone());
        }
        self.wait = None;
        match self.claim(self.cursor, u64::MAX, ends.source) {
            Ok(Some(chunk)) => {
                self.cursor = chunk.end;
                rate.pass((chunk.end - chunk.start).saturating_mul(self.cluster));
                if self.seeded.bugs.has(Bug::GapIsZeroed) {
                    self.zero_gap(chunk.end, ends.target);
                }
                self.chunks.push(chunk);
                Unit::Done
            }
            Ok(None) => Unit::Nothing,
            Err(wait) => {
                self.wait = Some(wait.clone());
                Unit::Waits(wait)
            }
        }
    }

    /// Does one unit of a chunk of the pass. Returns whether it was done.
    pub(crate) fn step_chunk(&mut self, index: usize, ends: &mut Ends<'_>) -> bool {
        let chunk = &mut self.chunks[index];
        if let Some(wait) = &chunk.wait {
            if !ends.store.is_over(wait) {
                return false;
            }
            chunk.wait = None;
        }
        if chunk.step(ends.source, ends.target, self.style, ends.buffers) {
            let chunk = self.chunks.remove(index);
            self.settle(&chunk);
            self.failed = self.failed.or(chunk.error);
            self.failures += u32::from(chunk.error.is_some());
            return true;
        }
        self.chunks[index].wait.is_none()
    }

    /// Returns what a chunk of the pass waits for.
    pub(crate) fn chunk_wait(&self, index: usize) -> Option<&Wait> {
        self.chunks[index].wait.as_ref()
    }

    /// Carries all chunks of the pass that are on their way to their end.
    pub(crate) fn land(&mut self, ends: &mut Ends<'_>) -> Result<(), Wait> {
        while !self.chunks.is_empty() {
            if let Unit::Waits(wait) = self.pass(ends, &mut Rate::default(), false) {
                return Err(wait);
            }
        }
        Ok(())
    }

    /// Returns the first tag or moment that something of the pass waits for.
    pub(crate) fn waits(&self) -> impl Iterator<Item = &Wait> {
        let chunks = self.chunks.iter().filter_map(|chunk| chunk.wait.as_ref());
        chunks.chain(&self.wait)
    }

    fn settle(&mut self, chunk: &Chunk) {
        let clusters = chunk.end - chunk.start;
        self.flying -= clusters;
        if chunk.error.is_none() {
            self.copied += clusters;
        } else {
            self.todo.insert(chunk.start, chunk.end);
        }
    }

    /// Returns what has some of the clusters on its way.
    pub(crate) fn obstacle(&self, start: u64, end: u64) -> Option<Obstacle> {
        let chunk = self
            .chunks
            .iter()
            .position(|chunk| chunk.overlaps(start, end));
        let guard = || {
            let mut guards = self.guards.iter();
            guards.find(|(_, first, behind)| *first < end && start < *behind)
        };
        chunk
            .map(Obstacle::Chunk)
            .or_else(|| guard().map(|(request, ..)| Obstacle::Guard(*request)))
    }

    /// Starts a chunk on behalf of a guest request.
    pub(crate) fn guard(
        &mut self,
        request: u32,
        clusters: (u64, u64),
        source: &mut Node,
    ) -> Result<Option<Chunk>, Wait> {
        if self.seeded.late_filter && self.copied == 0 {
            return Ok(None);
        }
        self.want_clean(clusters);
        let scanned = self.scanned;
        if self.seeded.bugs.has(Bug::TopCopiesHoles) {
            self.scanned = u64::MAX;
        }
        let chunk = self.claim(clusters.0, clusters.1, source);
        self.scanned = scanned;
        let chunk = chunk?;
        if let Some(chunk) = &chunk {
            self.guards.push((request, chunk.start, chunk.end));
        }
        Ok(chunk)
    }

    /// Ends a chunk that was started on behalf of a guest request.
    pub(crate) fn settle_guard(&mut self, request: u32, chunk: &Chunk) {
        self.guards.retain(|(guard, ..)| *guard != request);
        self.settle(chunk);
    }

    /// Wants those of some clusters that are clean, by a seeded bug.
    fn want_clean(&mut self, (start, end): (u64, u64)) {
        while let Some((first, behind)) = self.seeded.clean.first_from(start)
            && first < end
        {
            self.seeded.clean.remove(first, behind.min(end));
            self.todo.insert(first, behind.min(end));
        }
    }

    /// Writes zeroes over a cluster between two that are to be copied, by a seeded bug.
    fn zero_gap(&self, gap: u64, target: &mut Node) {
        if self
            .todo
            .first_from(gap)
            .is_some_and(|next| next.0 == gap + 1)
        {
            let bytes = self.bytes(gap, gap + 1);
            // Nobody is told how it went.
            let _ = target.device().write_zeroes(bytes, false);
        }
    }

    /// Takes the next clusters from `from` up to `limit` that are alike out of the set.
    fn claim(&mut self, from: u64, limit: u64, source: &mut Node) -> Result<Option<Chunk>, Wait> {
        loop {
            let run = self.todo.first_from(from);
            let Some((start, end)) = run.filter(|run| run.0 < limit) else {
                return Ok(None);
            };
            let mut end = end.min(limit);
            if self.seeded.bugs.has(Bug::CopiedTwice) && limit == u64::MAX {
                let all = self.size.div_ceil(self.cluster);
                end = end.max(all.min(start + CHUNK_BYTES / self.cluster));
            }
            let end = if start < self.scanned {
                end.min(self.scanned)
            } else if self.skip_hole(start, end, source)? {
                continue;
            } else {
                start + 1
            };
            let (end, zero) = self.measure(start, end, source)?;
            self.todo.remove(start, end);
            self.flying += end - start;
            let bytes = self.bytes(start, end);
            return Ok(Some(Chunk::new((start, end), bytes, zero)));
        }
    }

    /// Returns how many of the clusters from `start` up to `end` make one chunk, and whether they
    /// are zero. What cannot be found out counts as one cluster of data.
    fn measure(&self, start: u64, end: u64, source: &mut Node) -> Result<(u64, bool), Wait> {
        let bytes = self.bytes(start, end);
        let data_max = if self.style.compress {
            self.cluster
        } else {
            CHUNK_BYTES.max(self.cluster)
        };
        let mut len = 0;
        let mut kind = None;
        while len < bytes.len && !(kind == Some(false) && len >= data_max) {
            let rest = ByteRange::between(bytes.start + len, bytes.end());
            match source.extent(rest) {
                Ok(extent) if kind.is_none_or(|zero| zero == extent.zero) => {
                    kind = Some(extent.zero);
                    len += extent.len;
                }
                Err(IoError::Wait(wait)) => return Err(wait),
                _ => break,
            }
        }
        let zero = kind == Some(true) && (len >= self.cluster || len == bytes.len);
        let mut clusters = len / self.cluster;
        if len == bytes.len {
            clusters = end - start;
        }
        if !zero {
            clusters = clusters.min(data_max / self.cluster);
        }
        Ok((start + clusters.max(1), zero))
    }

    /// Drops the first clusters from `start` up to `end` that the source's top image has nothing
    /// of. Returns whether there were any.
    fn skip_hole(&mut self, start: u64, end: u64, source: &mut Node) -> Result<bool, Wait> {
        let holes = self.holes(start, end, source)?.0;
        self.todo.remove(start, start + holes);
        Ok(holes > 0)
    }

    /// Returns how many clusters from `start` on, at most up to `end`, have nothing allocated in
    /// the source's top image; where there are none, how many have something allocated.
    ///
    /// What cannot be found out counts as allocated.
    fn holes(&self, start: u64, end: u64, source: &mut Node) -> Result<(u64, u64), Wait> {
        let bytes = self.bytes(start, end);
        let mut len = 0;
        while len < bytes.len {
            let rest = ByteRange::between(bytes.start + len, bytes.end());
            match source.allocation(rest) {
                Ok((more, false)) => len += more,
                Err(IoError::Wait(wait)) => return Err(wait),
                Ok((more, true)) if len == 0 => return Ok((0, more.div_ceil(self.cluster))),
                Ok(_) | Err(IoError::Failed(_)) => break,
            }
        }
        let holes = if len == bytes.len {
            end - start
        } else {
            len / self.cluster
        };
        Ok((holes, u64::from(holes == 0)))
    }

    /// Does one unit of the scan of a `sync=top` job. Returns `Nothing` when it is over.
    pub(crate) fn scan(&mut self, ends: &mut Ends<'_>) -> Unit {
        let Some((start, end)) = self.todo.first_from(self.scanned) else {
            self.scanned = u64::MAX;
            return Unit::Nothing;
        };
        if let Some(wait) = &self.wait
            && !ends.store.is_over(wait)
        {
            return Unit::Waits(wait.clone());
        }
        self.wait = None;
        let at_tail = self.bytes(start, start + 1).len < self.cluster;
        if self.seeded.bugs.has(Bug::ScanHangsAtTail) && at_tail {
            return Unit::Done;
        }
        match self.holes(start, end, ends.source) {
            Ok((holes, allocated)) => {
                self.todo.remove(start, start + holes);
                self.scanned = (start + holes + allocated).min(end);
                Unit::Done
            }
            Err(wait) => {
                self.wait = Some(wait.clone());
                Unit::Waits(wait)
            }
        }
    }
}
