//! The tables of stored bitmaps, and the clusters that they lead to.

use blkproof_device::BlockDevice;

use super::{Entry, bits, or_nothing};
use crate::error::{Corruption, Inner};
use crate::image::Qcow2;
use crate::layout::{OFFSET_MASK, Run};
use crate::num::{index, put64};

/// The entry of a cluster whose bits are all set.
const ALL_ONES: u64 = 1;
/// The most runs that a bitmap is taken apart into.
///
/// A bit for every 64 KiB of 2 TiB has fewer, however they are set; a hostile file cannot take much
/// memory.
const MAX_RUNS: usize = 1 << 24;

impl<D: BlockDevice> Qcow2<D> {
    /// Reads the bits of a bitmap that fits the image.
    pub(super) fn read_bits(&mut self, entry: &Entry) -> Inner<Vec<(u64, u64)>> {
        let table = self.read_table(entry)?;
        self.check_clusters(&table)?;
        let count = self.header.size.div_ceil(1 << entry.granularity_bits);
        let per_cluster = self.layout.cluster() * 8;
        let mut raw = Vec::new();
        let mut runs = Vec::new();
        for (number, value) in (0..).zip(table) {
            let base = number * per_cluster;
            let count = (count - base).min(per_cluster);
            match value {
                0 => continue,
                ALL_ONES => {
                    bits::add(&mut runs, base, base + count);
                    continue;
                }
                offset => {
                    raw.resize(index(count.div_ceil(64) * 8), 0);
                    self.file.read(offset, &mut raw)?;
                    bits::collect(&raw, count, base, &mut runs);
                }
            }
            if runs.len() > MAX_RUNS {
                let offset = entry.table;
                return Err(Corruption::Bitmap { offset }.into());
            }
        }
        Ok(runs)
    }

    /// Checks that every cluster of a table is one that it can have, and has once.
    fn check_clusters(&self, table: &[u64]) -> Inner<()> {
        let mut clusters: Vec<u64> = table.iter().copied().filter(|entry| *entry > 1).collect();
        clusters.sort_unstable();
        let twice = clusters.windows(2).find(|pair| pair[0] == pair[1]);
        let wrong = clusters
            .iter()
            .find(|entry| self.cluster_at(**entry).is_none());
        match wrong.or(twice.map(|pair| &pair[0])) {
            Some(offset) => Err(Corruption::Bitmap { offset: *offset }.into()),
            None => Ok(()),
        }
    }

    /// Returns the cluster of bits to which an entry of a table leads.
    fn cluster_at(&self, entry: u64) -> Option<Run> {
        let run = self.layout.run(entry & OFFSET_MASK, 1);
        let range = self.layout.bytes(run);
        let fits = entry == range.start
            && range.end() <= self.layout.up(self.file.size())
            && !self.refcounts.is_reserved(range);
        fits.then_some(run)
    }

    fn read_table(&mut self, entry: &Entry) -> Inner<Vec<u64>> {
        let len = entry.table_entries * 8;
        if entry.table + len > self.layout.up(self.file.size()) {
            let offset = entry.table;
            return Err(Corruption::Bitmap { offset }.into());
        }
        let mut raw = vec![0; index(len)];
        self.file.read(entry.table, &mut raw)?;
        let (entries, _) = raw.as_chunks();
        Ok(entries.iter().copied().map(u64::from_be_bytes).collect())
    }

    /// Adds what a bitmap takes in the file. What cannot be read, or cannot be its own, is left
    /// out: it leaks.
    pub(super) fn clusters_of(&mut self, entry: &Entry, runs: &mut Vec<Run>) -> Inner<()> {
        let table = or_nothing(self.read_table(entry))?;
        let leads = table.iter().filter(|entry| **entry > ALL_ONES);
        let own = self.layout.run(entry.table, entry.table_entries * 8);
        let clusters = leads.filter_map(|entry| self.cluster_at(*entry));
        for run in clusters.chain([own]) {
            match runs.last_mut() {
                Some(last) if last.end() == run.first => last.count += run.count,
                _ => runs.push(run),
            }
        }
        Ok(())
    }

    /// Writes bits and their table; returns where the table lies and how many entries it has.
    pub(super) fn write_bits(
        &mut self,
        runs: &[(u64, u64)],
        granularity_bits: u32,
        fresh: &mut Vec<Run>,
    ) -> Inner<(u64, u64)> {
        let count = self.header.size.div_ceil(1 << granularity_bits);
        let entries = bits::table_entries(self.layout, self.header.size, granularity_bits);
        let per_cluster = self.layout.cluster() * 8;
        let mut table = vec![0; index(entries * 8)];
        let mut raw = Vec::new();
        let mut rest = runs;
        let mut number = 0;
        while let Some(run) = rest.first().filter(|run| run.0 < count) {
            number = number.max(run.0 / per_cluster);
            let (start, end) = (number * per_cluster, (number + 1) * per_cluster);
            let entry = if run.0 <= start && run.1 >= end && end <= count {
                ALL_ONES
            } else {
                raw.clear();
                raw.resize(index((end.min(count) - start).div_ceil(64) * 8), 0);
                for run in rest.iter().take_while(|run| run.0 < end) {
                    let (from, to) = (run.0.max(start), run.1.min(end).min(count));
                    bits::set(&mut raw, index(from - start), index(to - start));
                }
                self.write_cluster(&raw, fresh)?
            };
            put64(&mut table, index(number) * 8, entry);
            number += 1;
            let gone = rest.iter().take_while(|run| run.1.min(count) <= end);
            rest = &rest[gone.count()..];
        }
        let offset = self.write_anew(&table, fresh)?;
        Ok((offset, entries))
    }

    fn write_cluster(&mut self, bytes: &[u8], fresh: &mut Vec<Run>) -> Inner<u64> {
        let run = self.refcounts.alloc(&mut self.file, 1)?;
        fresh.push(run);
        self.write_whole(self.layout.bytes(run), bytes)
    }
}
