//! Writing.
//!
//! Clusters whose refcount is one are written in place. All others get new clusters: these are
//! taken, what the request leaves open in them is filled from what the guest saw there before, all
//! is written, and only then do the L2 entries change, in memory. A request that fails before that
//! gives the new clusters back.

use blkproof_device::{BlockDevice, Load, Parcel};
use blkproof_spec::ByteRange;
use blkproof_spec::fault::Event;

use crate::cache::Slot;
use crate::entry::{COMPRESSED, COPIED, Kind};
use crate::error::{Corruption, Inner};
use crate::image::Qcow2;
use crate::layout::{OFFSET_MASK, Run};
use crate::mistake::Mistake;
use crate::num::index;
use crate::read::Sink;

/// How much is put together in memory where a request's ends have to be filled up.
const MERGED_BYTES: u64 = 1 << 20;

impl<D: BlockDevice> Qcow2<D> {
    /// Writes `data` at `position`.
    pub(crate) fn write(&mut self, mut position: u64, mut data: Load<'_>) -> Inner<()> {
        while !data.is_empty() {
            let slot = self.slice_mut(position)?;
            let max = self.clusters_touched(position, data.len());
            let extent = self.extent(slot, position, max)?;
            let written = match extent.kind {
                Kind::Data(host) if extent.owned => {
                    let len = self.span(position, extent.count).min(data.len());
                    self.write_in_place(host, position, data.part(0, len))?;
                    len
                }
                Kind::ZeroReserved(host) if extent.owned => {
                    self.write_reserved(host, extent.count, position, data)?
                }
                _ => self.write_new(slot, max, position, data)?,
            };
            data = data.part(written, data.len() - written);
            position += written;
        }
        Ok(())
    }

    fn clusters_touched(&self, position: u64, len: u64) -> u64 {
        self.layout.clusters(self.layout.within(position) + len)
    }

    fn write_in_place(&mut self, host: u64, position: u64, data: Load<'_>) -> Inner<()> {
        let offset = host + self.layout.within(position);
        self.check_target(ByteRange::new(offset, data.len()))?;
        self.file.event(Event::WriteAio)?;
        self.file.write_load(offset, data)?;
        Ok(())
    }

    /// Checks that data does not go over the image's own tables: only a damaged image asks for
    /// that.
    pub(crate) fn check_target(&self, range: ByteRange) -> Inner<()> {
        if self.refcounts.is_reserved(range) {
            let offset = range.start;
            return Err(Corruption::MetadataOverlap { offset }.into());
        }
        Ok(())
    }

    /// Writes into zero clusters that have a place in the file. Returns how much was written.
    fn write_reserved(
        &mut self,
        host: u64,
        count: u64,
        position: u64,
        data: Load<'_>,
    ) -> Inner<u64> {
        let run = Run {
            first: host >> self.layout.cluster_bits,
            count,
        };
        self.check_target(self.layout.bytes(run))?;
        self.fill_and_link(run, position, data)
    }

    /// Writes into clusters that cannot be written in place. Returns how much was written.
    fn write_new(&mut self, slot: Slot, max: u64, position: u64, data: Load<'_>) -> Inner<u64> {
        let mut want = self.count_new(slot, position, max)?;
        want = self.bound_merge(want, position, data.len());
        let run = self.refcounts.alloc(&mut self.file, want)?;
        let done = self
            .prepare_replace(position, run.count)
            .and_then(|()| match self.mistake {
                Some(Mistake::TableWithData) => self.fill_in_haste(run, position, data),
                _ => self.fill_and_link(run, position, data),
            });
        if done.is_err() {
            self.refcounts.give_back(&mut self.file, run);
        }
        done
    }

    /// Counts the clusters from `position` on that need a new place.
    fn count_new(&mut self, slot: Slot, position: u64, max: u64) -> Inner<u64> {
        let mut count = 0;
        let (_, rest) = self.place(position);
        let base = self.layout.down(position);
        while count < max.min(rest) {
            let at = base + (count << self.layout.cluster_bits);
            let extent = self.extent(slot, at, max - count)?;
            let in_place = matches!(extent.kind, Kind::Data(_) | Kind::ZeroReserved(_));
            if in_place && extent.owned {
                break;
            }
            count += extent.count;
        }
        Ok(count)
    }

    /// Lessens `want` so that little has to be put together in memory.
    fn bound_merge(&self, want: u64, position: u64, len: u64) -> u64 {
        let limit = (MERGED_BYTES >> self.layout.cluster_bits).max(1);
        let end = self.layout.within(position) + len;
        if want <= limit {
            want
        } else if !self.layout.aligned(position) {
            limit
        } else if want << self.layout.cluster_bits > end {
            want - 1
        } else {
            want
        }
    }

    /// Makes ready to give up what `count` clusters from `position` on have in the file.
    pub(crate) fn prepare_replace(&mut self, position: u64, count: u64) -> Inner<()> {
        let base = self.layout.down(position);
        let slot = self.slice_mut(position)?;
        let (at, _) = self.place(base);
        for number in 0..count {
            let entry = self.l2.entry(slot, at + index(number));
            if entry == 0 {
                continue;
            }
            let guest = base + (number << self.layout.cluster_bits);
            let kind = Kind::decode(self.layout, entry, guest)?;
            if let Some(run) = kind.host(self.layout) {
                self.check_target(self.layout.bytes(run))?;
                self.refcounts.prepare_replace(&mut self.file, run)??;
            }
        }
        Ok(())
    }

    /// Writes to the clusters of `run`, which no entry points to yet, and then lets the entries
    /// point there. Returns how much of `data` was written: up to the end of the run.
    fn fill_and_link(&mut self, run: Run, position: u64, data: Load<'_>) -> Inner<u64> {
        let host = self.layout.bytes(run);
        let head = self.layout.within(position);
        let len = (host.len - head).min(data.len());
        let data = data.part(0, len);
        let tail = head + len;
        let used = self.layout.up(tail);
        if head == 0 && tail == used {
            self.file.event(Event::WriteAio)?;
            self.file.write_load(host.start, data)?;
        } else if self.rest_is_zero(position, len)? {
            self.file.event(Event::ClusterAllocSpace)?;
            self.file.write_zeroes(ByteRange::new(host.start, used))?;
            self.file.event(Event::WriteAio)?;
            self.file.write_load(host.start + head, data)?;
        } else {
            let merged = self.merge(position, data, used)?;
            self.file.event(Event::WriteAio)?;
            self.file.event(Event::CowWrite)?;
            self.file.write_load(host.start, Load::whole(&merged))?;
        }
        self.link(
            position,
            host.start | COPIED,
            run.count.min(used >> self.layout.cluster_bits),
        )?;
        Ok(len)
    }

    /// By a mistake, writes the tables together with the data, and nothing keeps their order.
    fn fill_in_haste(&mut self, run: Run, position: u64, data: Load<'_>) -> Inner<u64> {
        self.refcounts.write(&mut self.file)?;
        self.file.barrier()?;
        let len = self.fill_and_link(run, position, data)?;
        self.l2.write(&mut self.file, |_| Ok(()))?;
        self.l1.write(&mut self.file, None)?;
        Ok(len)
    }

    /// Tells whether what the request leaves open in its first and last cluster reads as zeroes.
    pub(crate) fn rest_is_zero(&mut self, position: u64, len: u64) -> Inner<bool> {
        let end = position + len;
        if !self.layout.aligned(position) && !self.reads_zero(self.layout.down(position))? {
            return Ok(false);
        }
        Ok(self.layout.aligned(end) || self.reads_zero(end)?)
    }

    /// Tells whether all from `position` to the end of its cluster reads as zeroes, as far as the
    /// tables tell.
    pub(crate) fn reads_zero(&mut self, position: u64) -> Inner<bool> {
        let (kind, _) = self.look_up(position, 1)?;
        Ok(match kind {
            Kind::Zero | Kind::ZeroReserved(_) => true,
            Kind::Hole => self.hole_is_zero(position),
            Kind::Data(_) | Kind::Compressed(_) => false,
        })
    }

    /// Puts `data`, and what the guest saw before and behind it, together.
    fn merge(&mut self, position: u64, data: Load<'_>, used: u64) -> Inner<Parcel> {
        let base = self.layout.down(position);
        let end = position + data.len();
        let mut merged = Parcel::new();
        self.read_around(ByteRange::between(base, position), &mut merged)?;
        data.copy_to(merged.add_room(index(data.len())));
        self.read_around(ByteRange::between(end, base + used), &mut merged)?;
        Ok(merged)
    }

    fn read_around(&mut self, range: ByteRange, merged: &mut Parcel) -> Inner<()> {
        if range.is_empty() {
            return Ok(());
        }
        self.file.event(Event::CowRead)?;
        self.read(range.start, range.len, &mut Sink::Parcel(merged))
    }

    /// Lets the entries of `count` clusters from `position` on point to `entry` and what follows
    /// it.
    pub(crate) fn link(&mut self, position: u64, entry: u64, count: u64) -> Inner<()> {
        let slot = self.slice_mut(position)?;
        let (at, _) = self.place(position);
        for number in 0..count {
            let at = at + index(number);
            let old = self.l2.entry(slot, at);
            let new = entry + (number << self.layout.cluster_bits);
            self.l2.set_entry(slot, at, new);
            self.release_old(old, new);
        }
        Ok(())
    }

    /// Gives up what an entry pointed to, unless its successor keeps the same place.
    pub(crate) fn release_old(&mut self, old: u64, new: u64) {
        let keeps_place = (old | new) & COMPRESSED == 0 && (old ^ new) & OFFSET_MASK == 0;
        if keeps_place {
            return;
        }
        let kind = Kind::decode(self.layout, old, 0);
        if let Some(run) = kind.ok().and_then(|kind| kind.host(self.layout)) {
            self.refcounts.release(run);
            if self.makes(Mistake::FreedAtOnce) {
                let _freed = self.refcounts.apply_released(&mut self.file, false);
            }
        }
    }
}
