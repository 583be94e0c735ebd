//! One chunk of a copy: some neighbouring clusters on their way from source to target.

use blkproof_device::{Durability, IoError, IoResult, Load, Parcel, Wait};
use blkproof_spec::{ByteRange, Errno, Offset, Side};

use crate::bugs::{Bug, Bugs};
use crate::node::Node;

/// What is moved by one read and one write, at most. Clusters may be larger.
const PIECE: u64 = 4 << 20;

/// How a chunk is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Data that is all zeroes is written as zeroes.
    pub(crate) detect_zeroes: bool,
    pub(crate) compress: bool,
    /// Only what a bitmap says is copied.
    pub(crate) increment: bool,
    pub(crate) bugs: Bugs,
}

/// The next thing to do for a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Look,
    Read,
    Write,
    Settle,
}

/// Clusters that are being copied.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The first cluster.
    pub(crate) start: u64,
    /// The cluster behind the last one.
    pub(crate) end: u64,
    /// What keeps it from going on.
    pub(crate) wait: Option<Wait>,
    /// What it failed with.
    pub(crate) error: Option<(Side, Errno)>,
    phase: Phase,
    /// What is left to be copied, within the disk.
    rest: ByteRange,
    /// The piece of it that is being moved.
    piece: u64,
    zero: bool,
    data: Parcel,
}

impl Chunk {
    /// Makes a chunk of clusters that hold `bytes`, known to be zero or to be data.
    pub(crate) fn new(clusters: (u64, u64), bytes: ByteRange, zero: bool) -> Self {
        Self {
            start: clusters.0,
            end: clusters.1,
            wait: None,
            error: None,
            phase: match (zero, bytes.len > PIECE) {
                (true, _) => Phase::Write,
                (false, true) => Phase::Look,
                (false, false) => Phase::Read,
            },
            rest: bytes,
            piece: bytes.len,
            zero,
            data: Parcel::new(),
        }
    }

    /// Copies no more than this, by a seeded bug.
    pub(crate) fn narrow(&mut self, range: ByteRange) {
        self.rest = self.rest.intersect(range);
        self.piece = self.piece.min(self.rest.len);
    }

    pub(crate) fn overlaps(&self, start: u64, end: u64) -> bool {
        self.start < end && start < self.end
    }

    /// Does one unit of work, or notes what it waits for. Returns whether the chunk is done, well
    /// or with an error.
    pub(crate) fn step(
        &mut self,
        source: &mut Node,
        target: &mut Node,
        style: Style,
        buffers: &mut Buffers,
    ) -> bool {
        let (side, result) = match self.phase {
            Phase::Look => (Side::Read, self.look(source)),
            Phase::Read => (Side::Read, self.read(source, buffers)),
            Phase::Write => (Side::Write, self.write(target, style, buffers)),
            Phase::Settle => return true,
        };
        match result {
            Ok(()) => {}
            Err(IoError::Wait(wait)) => self.wait = Some(wait),
            Err(IoError::Failed(errno)) => {
                buffers.give_back(&mut self.data);
                self.error = Some((side, errno));
                self.phase = Phase::Settle;
            }
        }
        false
    }

    /// Finds out what the next piece is. What cannot be found out counts as data.
    fn look(&mut self, source: &mut Node) -> IoResult<()> {
        let (len, zero) = match source.extent(self.rest) {
            Ok(extent) => (extent.len, extent.zero),
            Err(IoError::Failed(_)) => (self.rest.len, false),
            Err(wait) => return Err(wait),
        };
        self.zero = zero;
        self.piece = if zero { len } else { len.min(PIECE) };
        self.phase = if zero { Phase::Write } else { Phase::Read };
        Ok(())
    }

    fn read(&mut self, source: &mut Node, buffers: &mut Buffers) -> IoResult<()> {
        self.data = buffers.take();
        let piece = ByteRange::new(self.rest.start, self.piece);
        let result = source.device().read_parcel(piece, &mut self.data);
        if result.is_ok() {
            self.phase = Phase::Write;
        } else {
            buffers.give_back(&mut self.data);
        }
        result
    }

    fn write(&mut self, target: &mut Node, style: Style, buffers: &mut Buffers) -> IoResult<()> {
        let range = ByteRange::new(self.rest.start, self.piece);
        let looked_at = if style.bugs.has(Bug::ZeroesByTheFirst4k) {
            self.piece.min(4096)
        } else {
            self.piece
        };
        let looked_at = ByteRange::new(0, looked_at);
        let zero = self.zero || (style.detect_zeroes && self.data.is_zero(looked_at));
        let skipped = zero && style.increment && style.bugs.has(Bug::ZeroesAreSkipped);
        let device = target.device();
        if skipped {
            // The base keeps showing through.
        } else if zero {
            device.write_zeroes(range, false)?;
        } else if style.compress {
            let data = Load::whole(&self.data).flat(&mut buffers.flat);
            device.write_compressed(Offset(range.start), data)?;
        } else {
            let data = Load::whole(&self.data);
            device.write_load(Offset(range.start), data, Durability::Later)?;
        }
        target.record(range);
        buffers.give_back(&mut self.data);
        self.rest = ByteRange::between(range.end(), self.rest.end());
        self.phase = if self.rest.is_empty() {
            Phase::Settle
        } else {
            Phase::Look
        };
        Ok(())
    }
}

/// Memory that was used before: at any time few chunks are between their read and their write.
#[derive(Default, Debug)]
pub(crate) struct Buffers {
    parcels: Vec<Parcel>,
    /// Where data that is to be compressed lies in one piece.
    flat: Vec<u8>,
}

impl Buffers {
    /// Returns an empty parcel.
    fn take(&mut self) -> Parcel {
        self.parcels.pop().unwrap_or_default()
    }

    fn give_back(&mut self, parcel: &mut Parcel) {
        if !parcel.is_empty() {
            parcel.clear();
            self.parcels.push(core::mem::take(parcel));
        }
    }
}
