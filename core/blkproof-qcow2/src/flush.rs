//! What reaches the file, and in which order.
//!
//! Counts first, then L2 tables, then L1 entries, then the counts that went down: at every moment
//! the file's entries point only to clusters whose counts in the file say so. Between these groups
//! stands a barrier, a flush of the file where anything was written, so that a volatile cache
//! keeps the order too. A write that fails leaves what it was to write dirty; the next flush tries
//! again.

use blkproof_device::BlockDevice;
use blkproof_spec::fault::Event;
use blkproof_spec::{DiscardMode, Errno, SECTOR};

use crate::error::Inner;
use crate::header::AUTOCLEAR_BITMAPS;
use crate::image::Qcow2;
use crate::mistake::Mistake;
use crate::num::index;

/// Where the header says how large the image is and where its L1 table lies.
const HEADER_FIELDS: u64 = 24;
const HEADER_FIELDS_LEN: usize = 24;
const AUTOCLEAR: u64 = 88;

impl<D: BlockDevice> Qcow2<D> {
    /// Flushes, raising the events of a flush of this node.
    pub(crate) fn flush_node(&mut self) -> Inner<()> {
        self.file.event(Event::FlushToOs)?;
        if self.makes(Mistake::FlushBeforeTables) {
            self.file.flush()?;
            return self.write_metadata();
        }
        self.write_metadata()?;
        if self.changed {
            self.file.event(Event::FlushToDisk)?;
            self.file.flush()?;
            self.changed = false;
        }
        // What somebody else left unflushed, who had the image open before, is no less to be
        // durable.
        if !self.makes(Mistake::FirstFlushIsSkipped) {
            self.file.barrier()?;
        }
        if self.makes(Mistake::CountsComeLate) {
            self.refcounts.write(&mut self.file)?;
        }
        Ok(())
    }

    /// Makes a single write durable, as QEMU does where a format cannot: without a flush's events.
    pub(crate) fn flush_quietly(&mut self) -> Inner<()> {
        self.write_metadata()?;
        self.file.flush()?;
        Ok(())
    }

    /// Writes everything that is dirty, and counts down what no entry points to any more.
    pub(crate) fn write_metadata(&mut self) -> Inner<()> {
        self.settle_lonely()?;
        if self.refcounts.is_dirty() && !self.makes(Mistake::CountsComeLate) {
            self.refcounts.write(&mut self.file)?;
        }
        if self.l2.is_dirty() {
            self.barrier_but_for(Mistake::TablesWithCounts)?;
            self.l2
                .write(&mut self.file, |file| file.event(Event::L2Update))?;
        }
        // Entries are written with their tables; only those are dirty here of which that failed.
        if self.l1.is_dirty() {
            self.file.barrier()?;
            self.l1.write(&mut self.file, Some(Event::L1Update))?;
        }
        if self.header_dirty {
            self.file.barrier()?;
            self.write_header_fields()?;
        }
        if self.refcounts.has_released() {
            self.barrier_but_for(Mistake::FreedWithTables)?;
            let discard = self.options.discard == DiscardMode::Unmap;
            self.refcounts.apply_released(&mut self.file, discard)?;
            self.refcounts.write(&mut self.file)?;
        }
        Ok(())
    }

    /// Keeps what is written next behind what was written before, unless by this mistake.
    pub(crate) fn barrier_but_for(&mut self, mistake: Mistake) -> Inner<()> {
        if !self.makes(mistake) {
            self.file.barrier()?;
        }
        Ok(())
    }

    /// Writes the header's size and L1 fields.
    pub(crate) fn write_header_fields(&mut self) -> Inner<()> {
        self.header_dirty = true;
        let fields = self.header.live_fields();
        self.file
            .write(HEADER_FIELDS, &fields[..HEADER_FIELDS_LEN])?;
        self.header_dirty = false;
        Ok(())
    }

    /// Writes the header, after everything that it may lead to: those sectors of it that change.
    pub(crate) fn write_header(&mut self) -> Inner<()> {
        self.write_metadata()?;
        let table = self.refcounts.table().range();
        self.header.reftable_offset = table.start;
        self.header.reftable_clusters = self.layout.clusters(table.len);
        let new = self.header.to_bytes().map_err(|_| Errno::ENOSPC)?;
        self.barrier_but_for(Mistake::HeaderBeforeDirectory)?;
        let mut old = vec![0; new.len()];
        self.file.read(0, &mut old)?;
        let differs = |at: &usize| new[*at] != old[*at];
        let Some(first) = (0..new.len()).find(differs) else {
            return Ok(());
        };
        let last = (0..new.len()).rfind(differs).unwrap_or(first);
        let sector = index(SECTOR);
        let start = first - first % sector;
        let end = (last + 1).next_multiple_of(sector).min(new.len());
        self.file.write(start as u64, &new[start..end])?;
        Ok(())
    }

    /// Is called before anything of the guest's changes: bitmaps are flagged that would not be true
    /// any more.
    pub(crate) fn begin_change(&mut self) -> Inner<()> {
        if self.has_trusted_bitmaps() {
            self.mark_in_use()?;
        }
        self.begin_change_of_header()
    }

    /// Is called before anything changes: features that only hold for whoever knows them are
    /// cleared.
    pub(crate) fn begin_change_of_header(&mut self) -> Inner<()> {
        self.changed = true;
        let known = self.header.autoclear & AUTOCLEAR_BITMAPS;
        if self.header.autoclear != known {
            self.file.write(AUTOCLEAR, &known.to_be_bytes())?;
            self.header.autoclear = known;
        }
        Ok(())
    }
}
