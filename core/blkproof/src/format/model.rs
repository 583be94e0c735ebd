//! What an image may hold, byte by byte: now, after a kill, and after a loss of power.
//!
//! A library keeps things in memory, and its device keeps things in a cache: a write that
//! succeeded is there for every reader, but only a flush takes it out of reach of a kill, and only
//! a sync behind that out of reach of a loss of power. A write that failed or was cut off leaves
//! each byte as it was or as it was to be; a sector that a reader saw whole stays so. A size that
//! could not be changed may be in the file all the same until it is changed again or read there.

use blkproof_spec::content::{Bytes, DiskId, WriteNumber, provenance};
use blkproof_spec::{ByteRange, SECTOR, StepNumber};

use super::cells::Cells;
use super::outcome::{Found, WrongPlace};
use super::scenario::Op;
use super::seam::{Capabilities, Discards};
use super::values::Values;

/// The disk that stamps of the image name.
const IMAGE: DiskId = DiskId(0);

/// What stands on the base.
pub(super) const BELOW: Bytes = Bytes::Stamp {
    disk: DiskId(1),
    write: WriteNumber(0),
};

/// How many wrong places are told.
const WRONG_MAX: usize = 8;

/// What a byte may be.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Cell {
    now: Values,
    /// What it may be if the process is killed now.
    killed: Values,
    /// What it may be if the power is cut now.
    cut: Values,
}

impl Cell {
    fn durable(bytes: Bytes) -> Self {
        Self {
            now: Values::only(bytes),
            killed: Values::only(bytes),
            cut: Values::only(bytes),
        }
    }

    fn becomes(&mut self, bytes: Bytes) {
        self.now = Values::only(bytes);
        self.killed.add(bytes);
        self.cut.add(bytes);
    }

    fn may_become(&mut self, bytes: Bytes) {
        self.now.add(bytes);
        self.killed.add(bytes);
        self.cut.add(bytes);
    }
}

/// What a size may be: the same for the size.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Sizes {
    now: Vec<u64>,
    killed: Vec<u64>,
    cut: Vec<u64>,
}

/// What an image may hold.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Up to the largest size that it ever may have had; behind its size everything is zero.
    cells: Cells<Cell>,
    sizes: Sizes,
    /// How far the base goes.
    base: u64,
    discards: Option<Discards>,
    flush_syncs: bool,
}

/// Returns what a write puts down.
pub(super) fn written(op: &Op, number: StepNumber) -> Bytes {
    match op {
        Op::Write { content, .. } => Bytes::of(*content, IMAGE, WriteNumber(number.0)),
        _ => Bytes::ZERO,
    }
}

impl Model {
    /// Describes an image that is empty and durable.
    pub(super) fn new(size: u64, base: u64, capabilities: &Capabilities) -> Self {
        let mut cells = Cells::new(size, Cell::durable(BELOW));
        let beyond = ByteRange::between(base, size);
        cells.update(beyond, |cell| *cell = Cell::durable(Bytes::ZERO));
        Self {
            cells,
            sizes: Sizes {
                now: vec![size],
                killed: vec![size],
                cut: vec![size],
            },
            base,
            discards: capabilities.discards,
            flush_syncs: capabilities.flush_syncs,
        }
    }

    /// Takes in a request that succeeded.
    pub(super) fn done(&mut self, op: &Op, number: StepNumber) {
        match op {
            Op::Read(_) | Op::DropCaches => {}
            Op::Write { range, .. } | Op::WriteZeroes(range) => {
                let bytes = written(op, number);
                self.cells.update(*range, |cell| cell.becomes(bytes));
            }
            Op::Discard(range) => match self.discards {
                Some(Discards::Zero) => {
                    let zero = |cell: &mut Cell| cell.becomes(Bytes::ZERO);
                    self.cells.update(*range, zero);
                }
                _ => self.failed(op, number),
            },
            Op::Flush => self.flushed(),
            Op::Sync => self.synced(),
            Op::Resize(size) => {
                self.failed(op, number);
                let tail = ByteRange::between(size.0, u64::MAX);
                self.cells.update(tail, |cell| cell.becomes(Bytes::ZERO));
                self.sizes.now = vec![size.0];
            }
        }
    }

    /// Takes in a request that failed, or was cut off.
    pub(super) fn failed(&mut self, op: &Op, number: StepNumber) {
        match op {
            Op::Read(_) | Op::DropCaches | Op::Flush | Op::Sync => {}
            Op::Write { range, .. } | Op::WriteZeroes(range) | Op::Discard(range) => {
                let bytes = written(op, number);
                self.cells.update(*range, |cell| cell.may_become(bytes));
            }
            Op::Resize(size) => {
                self.cells.extend(size.0, Cell::durable(Bytes::ZERO));
                let tail = ByteRange::between(size.0, u64::MAX);
                self.cells.update(tail, |cell| cell.may_become(Bytes::ZERO));
                // What is given up before the size changes may show what lies below.
                let below = ByteRange::between(size.0, self.base);
                self.cells.update(below, |cell| cell.may_become(BELOW));
                for sizes in [
                    &mut self.sizes.now,
                    &mut self.sizes.killed,
                    &mut self.sizes.cut,
                ] {
                    if !sizes.contains(&size.0) {
                        sizes.push(size.0);
                    }
                }
            }
        }
    }

    /// Takes in that everything was handed on to the device.
    pub(super) fn flushed(&mut self) {
        self.cells.update_all(|cell| cell.killed = cell.now.clone());
        self.sizes.killed.clone_from(&self.sizes.now);
        if self.flush_syncs {
            self.synced();
        }
    }

    fn synced(&mut self) {
        self.cells.update_all(|cell| cell.cut = cell.killed.clone());
        self.sizes.cut.clone_from(&self.sizes.killed);
    }

    /// Takes in that what was in memory is gone.
    pub(super) fn killed(&mut self) {
        self.cells.update_all(|cell| cell.now = cell.killed.clone());
        self.sizes.now.clone_from(&self.sizes.killed);
    }

    /// Takes in that what was not durable may be gone; what is left is durable.
    pub(super) fn cut(&mut self) {
        self.cells.update_all(|cell| {
            cell.now = cell.cut.clone();
            cell.killed = cell.cut.clone();
        });
        self.sizes.now.clone_from(&self.sizes.cut);
        self.sizes.killed.clone_from(&self.sizes.cut);
    }

    /// Tells whether the image may have this size.
    pub(super) fn may_have_size(&self, size: u64) -> bool {
        self.sizes.now.contains(&size)
    }

    /// Compares the size that stands in the file; tells whether the image may have it.
    pub(super) fn sees_size(&mut self, size: u64) -> bool {
        let may_be = self.may_have_size(size);
        self.sizes.now = vec![size];
        if !may_be {
            self.sizes.killed.push(size);
            self.sizes.cut.push(size);
            self.cells.extend(size, Cell::durable(Bytes::ZERO));
        }
        let tail = ByteRange::between(size, u64::MAX);
        self.cells.update(tail, |cell| cell.becomes(Bytes::ZERO));
        may_be
    }

    /// Compares what was read at `position`, and returns what is wrong with it. Of what may have
    /// stood there, what was seen remains.
    pub(super) fn sees(&mut self, position: u64, buf: &[u8]) -> Vec<WrongPlace> {
        let range = ByteRange::between(position, position + buf.len() as u64);
        let mut changes: Vec<(ByteRange, Values)> = Vec::new();
        let mut wrong = Vec::new();
        for (stretch, cell) in self.cells.within(range) {
            let data = &buf[index(stretch.start - position)..index(stretch.end() - position)];
            if let [only] = cell.now.listed()
                && only.mismatch(stretch.start, data).is_none()
            {
                continue;
            }
            for piece in sectors(stretch) {
                let data = &buf[index(piece.start - position)..index(piece.end() - position)];
                match cell.now.matching(piece.start, data) {
                    Some(values) if values == cell.now => {}
                    Some(values) => push(&mut changes, piece, values),
                    None if cell.now.mixes(piece.start, data) => {}
                    None => note(&mut wrong, piece, &cell.now, data),
                }
            }
        }
        for (range, values) in changes {
            self.cells
                .update(range, |cell| cell.now.clone_from(&values));
        }
        wrong
    }

    /// Takes in that nobody knows what stands there: known findings are passed over.
    pub(super) fn forget(&mut self, range: ByteRange) {
        self.cells.update(range, |cell| {
            cell.now = Values::anything();
            cell.killed.add_all(&Values::anything());
            cell.cut.add_all(&Values::anything());
        });
    }
}

fn index(distance: u64) -> usize {
    usize::try_from(distance).expect("a distance within a buffer")
}

/// Cuts a range at the borders of sectors.
fn sectors(range: ByteRange) -> impl Iterator<Item = ByteRange> {
    let mut at = range.start;
    core::iter::from_fn(move || {
        let end = (at - at % SECTOR + SECTOR).min(range.end());
        let piece = ByteRange::between(at, end);
        at = end;
        (!piece.is_empty()).then_some(piece)
    })
}

fn push(changes: &mut Vec<(ByteRange, Values)>, piece: ByteRange, values: Values) {
    match changes.last_mut() {
        Some((range, last)) if range.end() == piece.start && *last == values => {
            range.len += piece.len;
        }
        _ => changes.push((piece, values)),
    }
}

fn note(wrong: &mut Vec<WrongPlace>, piece: ByteRange, wanted: &Values, data: &[u8]) {
    let wanted = wanted.listed();
    let found = found(piece.start, data);
    if let Some(last) = wrong.last_mut()
        && last.range.end() == piece.start
        && last.wanted == wanted
        && is_same(last.found, found)
    {
        last.range.len += piece.len;
    } else if wrong.len() < WRONG_MAX {
        wrong.push(WrongPlace {
            range: piece,
            wanted: wanted.to_vec(),
            found,
        });
    } else if let Some(last) = wrong.last_mut() {
        // Not told apart any more, but within.
        last.range = ByteRange::between(last.range.start, piece.end());
    }
}

/// Tells whether two neighbouring sectors hold the same thing.
fn is_same(one: Found, next: Found) -> bool {
    match (one, next) {
        (Found::Stamp(one), Found::Stamp(next)) => one.disk == next.disk && one.write == next.write,
        (one, next) => one == next,
    }
}

fn found(position: u64, data: &[u8]) -> Found {
    match data {
        [first, rest @ ..] if rest.iter().all(|byte| byte == first) => Found::Fill(*first),
        _ => provenance(position, data).map_or(Found::Other, Found::Stamp),
    }
}

#[cfg(test)]
mod tests {
    use blkproof_spec::{Content, Length};

    use super::*;

    const ALL: Capabilities = Capabilities {
        discards: Some(Discards::Zero),
        flush_syncs: false,
        ..Capabilities::MINIMAL
    };

    fn write(start: u64, len: u64) -> Op {
        Op::Write {
            range: ByteRange::new(start, len),
            content: Content::Stamp,
        }
    }

    fn stands(step: u32, start: u64, len: usize) -> Vec<u8> {
        let mut buf = vec![0; len];
        written(&write(start, len as u64), StepNumber(step)).generate(start, &mut buf);
        buf
    }

    #[test]
    fn a_failed_write_leaves_each_sector_old_or_new_and_what_was_seen_stays() {
        let mut model = Model::new(4096, 0, &ALL);
        model.failed(&write(0, 1024), StepNumber(1));
        let mut seen = stands(1, 0, 512);
        seen.extend([0; 512]);
        assert_eq!(model.sees(0, &seen), []);
        let new = stands(1, 0, 1024);
        let wrong = model.sees(0, &new);
        assert_eq!(
            wrong[0].range,
            ByteRange::new(512, 512),
            "it was seen as zero"
        );
    }

    #[test]
    fn what_survives_a_kill_needs_a_flush_and_a_cut_a_sync_behind_it() {
        let mut model = Model::new(4096, 0, &ALL);
        let new = stands(1, 0, 512);
        model.done(&write(0, 512), StepNumber(1));
        model.done(&Op::Sync, StepNumber(2));
        let mut killed = model.clone();
        killed.killed();
        assert_eq!(killed.clone().sees(0, &[0; 512]), [], "never handed on");
        assert_eq!(killed.sees(0, &new), [], "or handed on by chance");
        model.done(&Op::Flush, StepNumber(3));
        let mut killed = model.clone();
        killed.killed();
        assert_eq!(killed.sees(0, &[0; 512]).len(), 1);
        let mut cut = model.clone();
        cut.cut();
        assert_eq!(cut.sees(0, &[0; 512]), []);
        model.done(&Op::Sync, StepNumber(4));
        model.cut();
        assert_eq!(model.sees(0, &[0; 512]).len(), 1);
        assert_eq!(model.sees(0, &new), []);
    }

    #[test]
    fn what_is_cut_off_and_comes_back_is_zero() {
        let mut model = Model::new(4096, 0, &ALL);
        model.done(&write(0, 4096), StepNumber(1));
        model.done(&Op::Flush, StepNumber(2));
        model.done(&Op::Resize(Length(1024)), StepNumber(3));
        model.done(&Op::Resize(Length(2048)), StepNumber(4));
        assert!(model.sees_size(2048));
        assert_eq!(model.sees(1024, &[0; 1024]), []);
        assert_eq!(model.sees(0, &stands(1, 0, 1024)), []);
        let mut killed = model.clone();
        killed.killed();
        assert!(killed.clone().sees_size(1024));
        assert!(killed.sees_size(4096));
        assert!(!model.sees_size(4096));
    }

    #[test]
    fn the_base_shows_as_far_as_it_goes() {
        let mut model = Model::new(4096, 1000, &ALL);
        let mut buf = vec![0; 4096];
        BELOW.generate(0, &mut buf[..1000]);
        assert_eq!(model.sees(0, &buf), []);
        buf[1000] = 1;
        assert_eq!(model.sees(0, &buf).len(), 1);
    }
}
