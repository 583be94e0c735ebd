//! Counting down.

use blkproof_device::{BlockDevice, IoError};
use blkproof_spec::fault::Event;

use super::Refcounts;
use crate::error::{Inner, Trouble};
use crate::file::ImageFile;
use crate::layout::Run;

/// How many runs may be waiting before they are worth a round of writes of their own.
const MANY: usize = 4096;

impl Refcounts {
    /// Raises the events of freeing clusters and reads the counts that will change.
    ///
    /// It comes before the entries change, so that a wait has nothing to undo. Like QEMU, it takes
    /// a count that cannot be read now as a leak, not as an error.
    pub(crate) fn prepare_release<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        run: Run,
    ) -> Inner<()> {
        match self.prepare_replace(file, run)? {
            Err(Trouble::Io(IoError::Wait(wait))) => Err(IoError::Wait(wait).into()),
            _ => Ok(()),
        }
    }

    /// Does the same for clusters that a write puts others in the place of, and tells how reading
    /// the counts went: whoever writes hears what did not work, while QEMU tells only its log.
    pub(crate) fn prepare_replace<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        run: Run,
    ) -> Inner<Inner<()>> {
        file.event(Event::ClusterFree)?;
        file.event(Event::RefblockLoad)?;
        Ok(self.slice(file, run.first).map(|_| ()))
    }

    /// Notes that one use of each cluster of `run` is gone.
    pub(crate) fn release(&mut self, run: Run) {
        match self.released.last_mut() {
            Some(last) if last.end() == run.first => last.count += run.count,
            _ => self.released.push(run),
        }
    }

    /// Tells whether clusters wait to be counted down.
    pub(crate) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Tells whether so many wait that they should be counted down soon.
    pub(crate) fn has_many_released(&self) -> bool {
        self.released.len() >= MANY
    }

    /// Counts down what was released. No entry in the file points there any more.
    ///
    /// With `discard` the space is handed on to the device below, which may refuse.
    pub(crate) fn apply_released<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        discard: bool,
    ) -> Inner<()> {
        while let Some(run) = self.released.pop() {
            let part = self.part(run, run.first);
            if let Err(error) = self.apply_part(file, part, discard) {
                self.released.push(run);
                return Err(error);
            }
            if part.count < run.count {
                self.released.push(Run {
                    first: part.end(),
                    count: run.count - part.count,
                });
            }
        }
        Ok(())
    }

    /// Counts down clusters of one slice. A count that is 0 already stays so.
    fn apply_part<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        run: Run,
        discard: bool,
    ) -> Inner<()> {
        let Some(slot) = self.slice(file, run.first)? else {
            return Ok(());
        };
        if discard {
            let mut at = run.first;
            while at < run.end() {
                let free = (at..run.end())
                    .take_while(|cluster| self.get(slot, *cluster) == 1)
                    .count() as u64;
                if free > 0 {
                    let first = at;
                    let range = self.layout.bytes(Run { first, count: free });
                    if let Err(IoError::Wait(wait)) = file.discard(range) {
                        return Err(IoError::Wait(wait).into());
                    }
                }
                at += free + 1;
            }
        }
        for cluster in run.first..run.end() {
            let count = self.get(slot, cluster);
            if count > 0 {
                let one = Run {
                    first: cluster,
                    count: 1,
                };
                self.put(slot, one, count - 1);
            }
            if count == 1 {
                self.hint = self.hint.min(cluster);
                self.forget(cluster);
            }
        }
        Ok(())
    }

    /// Returns how many uses a cluster has, without those that were released.
    pub(crate) fn users<D: BlockDevice>(
        &mut self,
        file: &mut ImageFile<D>,
        cluster: u64,
    ) -> Inner<u64> {
        let Some(slot) = self.slice(file, cluster)? else {
            return Ok(0);
        };
        let count = self.get(slot, cluster);
        if count > self.released.len() as u64 + 1 {
            // However many are released, more than one is left: no need to go through them.
            return Ok(count - self.released.len() as u64);
        }
        let released = self.released.iter();
        let released = released.filter(|run| (run.first..run.end()).contains(&cluster));
        Ok(count.saturating_sub(released.count() as u64))
    }

    fn forget(&mut self, cluster: u64) {
        if self.zero_table >> self.layout.cluster_bits == cluster {
            self.zero_table = 0;
        }
        if self.compressed_tail >> self.layout.cluster_bits == cluster {
            self.compressed_tail = 0;
        }
    }
}
