//! One chunk of a copy: some neighbouring clusters on their way from source to target.

use blkproof_device::{Durability, IoError, IoResult, Wait};
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
    buf: Vec<u8>,
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
            buf: Vec::new(),
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
                buffers.give_back(&mut self.buf);
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
        let len = piece_len(self.piece);
        self.buf = buffers.take(len);
        let data = &mut self.buf[..len];
        let result = source.device().read_at(Offset(self.rest.start), data);
        if result.is_ok() {
            self.phase = Phase::Write;
        } else {
            buffers.give_back(&mut self.buf);
        }
        result
    }

    fn write(&mut self, target: &mut Node, style: Style, buffers: &mut Buffers) -> IoResult<()> {
        let range = ByteRange::new(self.rest.start, self.piece);
        let data = if self.zero {
            &[]
        } else {
            &self.buf[..piece_len(self.piece)]
        };
        let looked_at = if style.bugs.has(Bug::ZeroesByTheFirst4k) {
            &data[..data.len().min(4096)]
        } else {
            data
        };
        let zero = self.zero || (style.detect_zeroes && is_zero(looked_at));
        let skipped = zero && style.increment && style.bugs.has(Bug::ZeroesAreSkipped);
        let device = target.device();
        if skipped {
            // The base keeps showing through.
        } else if zero {
            device.write_zeroes(range, false)?;
        } else if style.compress {
            device.write_compressed(Offset(range.start), data)?;
        } else {
            device.write_at(Offset(range.start), data, Durability::Later)?;
        }
        target.record(range);
        buffers.give_back(&mut self.buf);
        self.rest = ByteRange::between(range.end(), self.rest.end());
        self.phase = if self.rest.is_empty() {
            Phase::Settle
        } else {
            Phase::Look
        };
        Ok(())
    }
}

/// Returns the length of a piece that is held in memory.
fn piece_len(piece: u64) -> usize {
    usize::try_from(piece).expect("a piece fits in memory")
}

/// Tells whether all bytes are zero.
fn is_zero(data: &[u8]) -> bool {
    let (whole, rest) = data.as_chunks::<64>();
    whole.iter().all(|part| *part == [0; 64]) && rest.iter().all(|byte| *byte == 0)
}

/// Buffers that were used before: at any time few chunks are between their read and their write.
#[derive(Default, Debug)]
pub(crate) struct Buffers(Vec<Vec<u8>>);

impl Buffers {
    /// Returns a buffer of at least `len` bytes that hold anything.
    fn take(&mut self, len: usize) -> Vec<u8> {
        let mut buf = self.0.pop().unwrap_or_default();
        if buf.len() < len {
            buf.resize(len, 0);
        }
        buf
    }

    fn give_back(&mut self, buf: &mut Vec<u8>) {
        if !buf.is_empty() {
            self.0.push(core::mem::take(buf));
        }
    }
}
