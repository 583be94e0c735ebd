//! Guest requests: state machines, because they can be in flight together with jobs and each other.
//!
//! A request that changes data passes the filters of all jobs above its node, outermost first. At
//! each it copies the clusters it touches that the job still wants, waiting for those that are on
//! their way already, and fails where that copy fails. Then the request itself is carried out, and
//! at last, well or not, it is recorded in the node's bitmaps.
//!
//! Units: per chunk at a filter the lookup, the read, the write and the settling; the request; the
//! record. Where a request has to wait for a chunk of someone else, its unit is one of that chunk.

use blkproof_device::{Durability, IoError, IoResult, Load, Wait};
use blkproof_spec::content::Bytes;
use blkproof_spec::step::GuestOp;
use blkproof_spec::{ByteRange, DiscardMode, Errno, Format, Offset, Reply, RequestId, WriteNumber};

use crate::bugs::{Bug, Bugs};
use crate::chunk::Chunk;
use crate::copier::{Obstacle, Unit};
use crate::machine::Machine;
use crate::node::{Node, NodeId, Place};

/// The largest request: 2^31 - 1 rounded down to whole sectors.
const REQUEST_MAX: u64 = 2_147_483_136;

/// The largest buffer that is kept for the next write.
const SCRATCH_MAX: usize = 4 << 20;

/// The next thing to do for a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Save what it overwrites, at the filter of this index.
    Guard(usize),
    /// Carry it out.
    Io,
    /// Record it.
    Settle,
    Over,
}

/// A guest request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) serial: u32,
    /// The name by which it is settled; none for a plain step that had to wait.
    pub(crate) id: Option<RequestId>,
    place: Place,
    op: GuestOp,
    write: WriteNumber,
    phase: Phase,
    chunk: Option<Chunk>,
    wait: Option<Wait>,
    /// It is recorded in no bitmap of its node, by a seeded bug.
    unmarked: bool,
    result: Result<(), Errno>,
    pub(crate) data: Vec<u8>,
}

impl Request {
    pub(crate) fn new(
        serial: u32,
        id: Option<RequestId>,
        place: Place,
        op: GuestOp,
        write: WriteNumber,
        bugs: Bugs,
    ) -> Self {
        let unguarded = match op {
            GuestOp::Discard { .. } => bugs.has(Bug::DiscardIsNotGuarded),
            GuestOp::WriteZeroes { .. } => bugs.has(Bug::ZeroesAreNotGuarded),
            _ => false,
        };
        Self {
            serial,
            id,
            place,
            unmarked: false,
            phase: if changes(&op) && !unguarded {
                Phase::Guard(0)
            } else {
                Phase::Io
            },
            op,
            write,
            chunk: None,
            wait: None,
            result: Ok(()),
            data: Vec::new(),
        }
    }

    /// Ends it if nothing has to be done for it.
    pub(crate) fn end_at_once(&mut self, node: &Node) {
        if let Some(result) = outcome_at_once(&self.op, node) {
            self.end(result);
        }
    }

    pub(crate) fn node(&self) -> NodeId {
        self.place.node()
    }

    pub(crate) fn reply(&self) -> Reply {
        match self.result {
            Ok(()) => Reply::Done,
            Err(errno) => Reply::Failed(errno),
        }
    }

    /// Returns what it waits for by itself.
    pub(crate) fn waits(&self) -> Option<&Wait> {
        self.wait.as_ref()
    }

    fn end(&mut self, result: Result<(), Errno>) {
        self.result = result;
        self.phase = Phase::Over;
    }
}

/// Tells whether a request changes what the guest reads.
pub(crate) fn changes(op: &GuestOp) -> bool {
    matches!(
        op,
        GuestOp::Write { .. } | GuestOp::WriteZeroes { .. } | GuestOp::Discard { .. }
    )
}

/// Returns how a request ends that nothing has to be done for.
fn outcome_at_once(op: &GuestOp, node: &Node) -> Option<Result<(), Errno>> {
    if *op == GuestOp::Flush {
        return None;
    }
    let range = op.range();
    if range.end() > node.size || range.len > REQUEST_MAX {
        return Some(Err(Errno::EIO));
    }
    let ignored = matches!(op, GuestOp::Discard { .. }) && node.discard == DiscardMode::Ignore;
    if range.is_empty() || ignored {
        return Some(Ok(()));
    }
    match op {
        GuestOp::Write {
            compressed: true, ..
        } => check_compressed(range, node).err().map(Err),
        _ => None,
    }
}

/// Refuses to compress what is not made of whole clusters, the last of which may be a short one.
fn check_compressed(range: ByteRange, node: &Node) -> Result<(), Errno> {
    let cluster = node.image.cluster;
    let ends_well = range.end().is_multiple_of(cluster) || range.end() == node.size;
    match node.image.format {
        Format::Raw => Err(Errno::ENOTSUP),
        Format::Qcow2 if range.start.is_multiple_of(cluster) && ends_well => Ok(()),
        Format::Qcow2 => Err(Errno::EINVAL),
    }
}

impl Machine {
    /// Carries a request in flight out to its end. A plain one is gone then.
    pub(crate) fn run_request(&mut self, serial: u32) -> Result<(), Wait> {
        loop {
            match self.step_numbered(serial) {
                Unit::Done => {}
                Unit::Waits(wait) => return Err(wait),
                Unit::Nothing | Unit::Limited(_) => return Ok(()),
            }
        }
    }

    /// Does one unit of the request of this number.
    pub(crate) fn step_numbered(&mut self, serial: u32) -> Unit {
        let Some(index) = self.request_index(serial) else {
            return Unit::Nothing;
        };
        let mut request = self.requests.remove(index);
        let unit = self.step_request(&mut request);
        if unit != Unit::Nothing || request.id.is_some() {
            let index = self.requests.partition_point(|other| other.serial < serial);
            self.requests.insert(index, request);
        }
        unit
    }

    /// Does one unit of a request. `Nothing` means that it is over.
    pub(crate) fn step_request(&mut self, request: &mut Request) -> Unit {
        if let Some(wait) = &request.wait {
            if !self.store().is_over(wait) {
                return Unit::Waits(wait.clone());
            }
            request.wait = None;
        }
        if let Phase::Guard(level) = request.phase
            && let Some(unit) = self.guard(request, level)
        {
            return unit;
        }
        match request.phase {
            Phase::Guard(_) | Phase::Io => self.carry_out(request),
            Phase::Settle => {
                self.record(request);
                Unit::Done
            }
            Phase::Over => Unit::Nothing,
        }
    }

    /// Does one unit of what a request has to do at the filters from `level` on. Returns `None`
    /// where nothing is left to be done there.
    fn guard(&mut self, request: &mut Request, level: usize) -> Option<Unit> {
        let Place::Filter(node, _) = request.place else {
            return None;
        };
        for level in level.. {
            request.phase = Phase::Guard(level);
            let job = *self.nodes[node].filters.get(level)?;
            let index = self
                .job_index(job)
                .expect("a filter belongs to a job that has not ended");
            let unit = match request.chunk.take() {
                Some(chunk) => self.step_guard(request, index, chunk),
                None => self.start_guard(request, index),
            };
            if unit != Unit::Nothing {
                return Some(unit);
            }
        }
        None
    }

    /// Does one unit of the chunk by which a request saves old data.
    fn step_guard(&mut self, request: &mut Request, job: usize, mut chunk: Chunk) -> Unit {
        let (job, ends) = self.at_work(job);
        let over = chunk.step(ends.source, ends.target, job.copier.style, ends.buffers);
        if over {
            job.copier.settle_guard(request.serial, &chunk);
            if let Some((_, errno)) = chunk.error {
                self.refuse(request, errno);
            }
            return Unit::Done;
        }
        request.wait = chunk.wait.take();
        request.chunk = Some(chunk);
        match &request.wait {
            Some(wait) => Unit::Waits(wait.clone()),
            None => Unit::Done,
        }
    }

    /// Ends a request whose old data could not be saved. The node has not seen it.
    fn refuse(&mut self, request: &mut Request, errno: Errno) {
        if let (Place::Filter(node, _), Phase::Guard(level)) = (request.place, request.phase) {
            self.record_at_filters(node, level + 1, request.op.range());
        }
        request.end(Err(errno));
    }

    /// Starts to save what a request overwrites and a job still wants, or helps on who stands in
    /// the way. `Nothing` means that the job wants none of it.
    fn start_guard(&mut self, request: &mut Request, index: usize) -> Unit {
        let bugs = self.bugs;
        let (job, mut ends) = self.at_work(index);
        if bugs.has(Bug::StoppedIsUnguarded) && job.stopped {
            return Unit::Nothing;
        }
        let clusters = job.copier.clusters(request.op.range());
        match job.copier.obstacle(clusters.0, clusters.1) {
            Some(Obstacle::Chunk(chunk)) => {
                if job.copier.step_chunk(chunk, &mut ends) {
                    return Unit::Done;
                }
                match job.copier.chunk_wait(chunk) {
                    Some(wait) => Unit::Waits(wait.clone()),
                    None => Unit::Done,
                }
            }
            Some(Obstacle::Guard(other)) => self.step_numbered(other),
            None => match job.copier.guard(request.serial, clusters, ends.source) {
                Ok(Some(mut chunk)) => {
                    if bugs.has(Bug::GuardCopiesItsPart) {
                        chunk.narrow(request.op.range());
                    }
                    request.chunk = Some(chunk);
                    Unit::Done
                }
                Ok(None) => Unit::Nothing,
                Err(wait) => {
                    request.wait = Some(wait.clone());
                    Unit::Waits(wait)
                }
            },
        }
    }

    /// Carries out the request itself.
    fn carry_out(&mut self, request: &mut Request) -> Unit {
        let result = match self.transfer(request) {
            Ok(()) => Ok(()),
            Err(IoError::Failed(errno)) => Err(errno),
            Err(IoError::Wait(wait)) => {
                request.phase = Phase::Io;
                request.wait = Some(wait.clone());
                return Unit::Waits(wait);
            }
        };
        request.result = result;
        request.phase = if changes(&request.op) {
            Phase::Settle
        } else {
            Phase::Over
        };
        Unit::Done
    }

    fn transfer(&mut self, request: &mut Request) -> IoResult<()> {
        let node = &mut self.nodes[request.place.node()];
        if self.bugs.has(Bug::HoleIsNotMarked) && matches!(request.op, GuestOp::Write { .. }) {
            let extent = node.extent(request.op.range());
            request.unmarked = extent.is_ok_and(|extent| extent.zero);
        }
        let disk = node.disk;
        let device = node.device();
        match &request.op {
            GuestOp::Write {
                range,
                content,
                fua,
                compressed,
            } => {
                let bytes = Bytes::of(*content, disk, request.write);
                let made = |at, buf: &mut [u8]| bytes.generate(at, buf);
                let load = match bytes {
                    Bytes::Fill(byte) => Load::Fill(byte, range.len),
                    Bytes::Stamp { .. } => Load::Made(&made, *range),
                };
                let durability = if *fua && !self.bugs.has(Bug::ThroughIsIgnored) {
                    Durability::Now
                } else {
                    Durability::Later
                };
                let result = if *compressed {
                    let data = load.flat(&mut self.scratch);
                    let written = device.write_compressed(Offset(range.start), data);
                    // No format writes through what it compresses.
                    match durability {
                        Durability::Now => written.and_then(|()| device.flush()),
                        Durability::Later => written,
                    }
                } else {
                    device.write_load(Offset(range.start), load, durability)
                };
                if self.scratch.len() > SCRATCH_MAX {
                    self.scratch = Vec::new();
                }
                result
            }
            GuestOp::WriteZeroes { range, unmap } => device.write_zeroes(*range, *unmap),
            GuestOp::Discard { range } => device.discard(*range),
            GuestOp::Read { range } => {
                let len = usize::try_from(range.len).map_err(|_| Errno::EIO)?;
                request.data.resize(len, 0);
                device.read_at(Offset(range.start), &mut request.data)
            }
            GuestOp::Flush if self.bugs.has(Bug::FlushIsKept) => Ok(()),
            GuestOp::Flush => device.flush(),
        }
    }

    /// Records a request that its node has seen in all bitmaps on its way, whatever its result.
    fn record(&mut self, request: &mut Request) {
        let range = request.op.range();
        if let Place::Filter(node, _) = request.place {
            self.record_at_filters(node, usize::MAX, range);
        }
        let failed = self.bugs.has(Bug::FailedWriteIsClean) && request.result.is_err();
        let node = &mut self.nodes[request.place.node()];
        match request.op {
            _ if failed || request.unmarked => {}
            GuestOp::Discard { range } => node.record_discard(range),
            _ => node.record(range),
        }
        request.phase = Phase::Over;
    }

    /// Records a write in the bitmaps of the first `levels` filters above a node.
    fn record_at_filters(&mut self, node: NodeId, levels: usize, range: ByteRange) {
        for filter in self.nodes[node].filters.iter().take(levels) {
            let mut jobs = self.jobs.iter_mut();
            let job = jobs.find(|job| job.serial == *filter);
            for bitmap in job.into_iter().flat_map(|job| &mut job.filter_bitmaps) {
                bitmap.record(range);
            }
        }
    }
}
