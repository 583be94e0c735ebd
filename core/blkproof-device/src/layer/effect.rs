//! What extended rules do to requests.

use blkproof_spec::fault::{Effect, Kept};
use blkproof_spec::{ByteRange, Errno, Millis, SECTOR};

use super::chance;
use super::request::{Call, Io};
use super::{Layer, Stage};
use crate::block_device::{BlockDevice, IoError, IoResult, StatusKind};
use crate::desk::Desk;
use crate::pool::PAGE;

/// How many pieces a torn request has at most: one per sector up to 2 MiB. Larger ones, which only
/// zeroes and discards are in practice, are torn in larger pieces, so that they cost no more.
const PIECES: u64 = 4096;

impl Layer {
    /// Has an extended rule act on a request. `None` if there is nothing that it could do.
    pub(super) fn act<D: BlockDevice + ?Sized>(
        &mut self,
        call: &mut Call<'_, '_, D>,
        index: usize,
        effect: Effect,
    ) -> Option<IoResult<()>> {
        let range = call.request.range;
        let fails_with = match effect {
            Effect::Delay(span) => return Some(self.delay(call, index, span)),
            Effect::BitRot { seed } => return self.rot(call, index, seed),
            Effect::StaleRead => return self.stale(call, index),
            Effect::Capacity { bytes } if fits(call.disk, range, bytes) => return None,
            Effect::Capacity { .. } => Some(Errno::ENOSPC),
            Effect::Error(errno)
            | Effect::Partial { errno, .. }
            | Effect::Torn { errno, .. }
            | Effect::AppliedButFailed(errno) => Some(errno),
            Effect::Misdirected { .. } | Effect::Phantom | Effect::LyingFlush => None,
        };
        // Before anything is done: the power may be cut in the midst of that.
        self.fire(index, &call.request, fails_with, call.desk);
        let result = match effect {
            Effect::Partial { bytes, .. } => {
                self.change_part(call, ByteRange::new(range.start, range.len.min(bytes)))
            }
            Effect::Torn { kept, .. } => self.tear(call, kept),
            Effect::AppliedButFailed(_) => self.change(call),
            Effect::Misdirected { by } => self.misdirect(call, by),
            _ => Ok(()),
        };
        Some(match fails_with {
            Some(errno) => Err(IoError::Failed(errno)),
            None => result,
        })
    }

    /// Carries out a request, and keeps account of what it changes.
    pub(super) fn change<D: BlockDevice + ?Sized>(
        &mut self,
        call: &mut Call<'_, '_, D>,
    ) -> IoResult<()> {
        self.carry_out(call.disk, call.request.range, &mut call.io, call.desk)
    }

    fn carry_out<D: BlockDevice + ?Sized>(
        &mut self,
        disk: &mut D,
        range: ByteRange,
        io: &mut Io<'_>,
        desk: &Desk,
    ) -> IoResult<()> {
        let changes = super::changes(io.kind());
        if changes && let Some(before) = &mut self.before {
            // Nobody asked for this read: no rule below a format acts on it.
            let quiet = desk.is_quiet();
            desk.set_quiet(true);
            before.save(disk, range);
            desk.set_quiet(quiet);
        }
        let result = io.carry_out(disk, range);
        if changes {
            for index in &self.rots {
                self.entries[*index].sound.insert(range.outward(SECTOR));
            }
        }
        result
    }

    /// Carries out a request on a part of its range.
    fn change_part<D: BlockDevice + ?Sized>(
        &mut self,
        call: &mut Call<'_, '_, D>,
        part: ByteRange,
    ) -> IoResult<()> {
        self.change_elsewhere(call, part, part)
    }

    /// Carries out the `part` of a request's range at `target`, which is as long.
    fn change_elsewhere<D: BlockDevice + ?Sized>(
        &mut self,
        call: &mut Call<'_, '_, D>,
        part: ByteRange,
        target: ByteRange,
    ) -> IoResult<()> {
        if part.is_empty() {
            return Ok(());
        }
        let mut io = call.io.part(call.request.range, part);
        self.carry_out(call.disk, target, &mut io, call.desk)
    }

    fn delay<D: ?Sized>(
        &mut self,
        call: &Call<'_, '_, D>,
        index: usize,
        span: Millis,
    ) -> IoResult<()> {
        let sequence = self.entries[index].sequence;
        self.fire(index, &call.request, None, call.desk);
        let wait = call.desk.lock().delay(span, sequence);
        self.hold(call.request, wait.clone(), Stage::Delayed);
        Err(IoError::Wait(wait))
    }

    /// Applies the pieces of a request that are kept.
    fn tear<D: BlockDevice + ?Sized>(
        &mut self,
        call: &mut Call<'_, '_, D>,
        kept: Kept,
    ) -> IoResult<()> {
        let range = call.request.range;
        if range.is_empty() {
            return Ok(());
        }
        let unit = range.len.div_ceil(PIECES).next_multiple_of(SECTOR);
        let whole = range.outward(unit);
        let count = whole.len / unit;
        for index in 0..count {
            let piece = ByteRange::new(whole.start + index * unit, unit);
            if keeps(kept, index, count, piece.start / SECTOR) {
                self.change_part(call, piece.intersect(range))?;
            }
        }
        Ok(())
    }

    /// Carries out a write elsewhere; what would lie outside the device is lost.
    fn misdirect<D: BlockDevice + ?Sized>(
        &mut self,
        call: &mut Call<'_, '_, D>,
        by: i64,
    ) -> IoResult<()> {
        let range = call.request.range;
        let size = call.disk.size().0;
        let start = i128::from(range.start) + i128::from(by);
        let end = i128::from(range.end()) + i128::from(by);
        let on_device =
            |position: i128| u64::try_from(position.max(0)).unwrap_or(u64::MAX).min(size);
        let target = ByteRange::between(on_device(start), on_device(end));
        let back = target.start.saturating_add_signed(by.saturating_neg());
        let part = ByteRange::new(back, target.len);
        self.change_elsewhere(call, part, target)
    }

    /// Carries out a read, and flips the bits that have rotted.
    fn rot<D: BlockDevice + ?Sized>(
        &mut self,
        call: &mut Call<'_, '_, D>,
        index: usize,
        seed: u64,
    ) -> Option<IoResult<()>> {
        let range = call.request.range;
        let sectors = range.outward(SECTOR);
        let sound = &self.entries[index].sound;
        let flipped = (sectors.start / SECTOR..sectors.end() / SECTOR)
            .filter(|sector| !sound.contains(sector * SECTOR))
            .filter_map(|sector| Some(sector * SECTOR * 8 + chance::rotten_bit(seed, sector)?))
            .filter(|bit| range.contains(bit / 8))
            .collect::<Vec<_>>();
        if flipped.is_empty() {
            return None;
        }
        let result = call.io.carry_out(call.disk, range);
        if let (Ok(()), Io::Read(buf)) = (&result, &mut call.io) {
            for bit in flipped {
                let byte = bit / 8 - range.start;
                buf[usize::try_from(byte).expect("it lies in the buffer")] ^= 1 << (bit % 8);
            }
            self.fire(index, &call.request, None, call.desk);
        }
        Some(result)
    }

    /// Carries out a read, and puts what stood there before over it.
    fn stale<D: BlockDevice + ?Sized>(
        &mut self,
        call: &mut Call<'_, '_, D>,
        index: usize,
    ) -> Option<IoResult<()>> {
        let range = call.request.range;
        let before = self.before.as_mut()?;
        if !before.covers(range) {
            return None;
        }
        let result = call.io.carry_out(call.disk, range);
        if let (Ok(()), Io::Read(buf)) = (&result, &mut call.io)
            && before.restore(range, buf)
        {
            self.fire(index, &call.request, None, call.desk);
        }
        Some(result)
    }
}

/// Tells whether something torn keeps its piece at `index` of `count`.
pub(crate) fn keeps(kept: Kept, index: u64, count: u64, sector: u64) -> bool {
    match kept {
        Kept::Left => index < count.div_ceil(2),
        Kept::Right => index >= count / 2,
        Kept::Middle => {
            let quarter = count.div_ceil(4);
            quarter <= index && index < count - quarter
        }
        Kept::Some(seed) => chance::keeps(seed, sector),
    }
}

/// Tells whether a device that holds at most `capacity` bytes of data, in whole pages, can take a
/// write.
fn fits<D: BlockDevice + ?Sized>(disk: &mut D, range: ByteRange, capacity: u64) -> bool {
    let pages = range.outward(PAGE);
    let fresh = pages.len - data_in(disk, pages);
    let whole = ByteRange::new(0, disk.size().0).outward(PAGE);
    fresh == 0 || data_in(disk, whole).saturating_add(fresh) <= capacity
}

/// Returns how many bytes of `range`, which consists of whole pages, lie on pages with data.
fn data_in<D: BlockDevice + ?Sized>(disk: &mut D, range: ByteRange) -> u64 {
    let mut data = 0;
    let mut position = range.start;
    while position < range.end() {
        let rest = ByteRange::between(position, range.end());
        let inside = rest.intersect(ByteRange::new(0, disk.size().0));
        if inside.is_empty() {
            break;
        }
        let Ok(status) = disk.block_status(inside) else {
            break;
        };
        let end = position + status.len.0;
        if status.kind == StatusKind::Data {
            let run = ByteRange::between(position, end).outward(PAGE);
            data += run.intersect(rest).len;
        }
        position = end;
    }
    data
}
