//! A store as a whole when power is lost: what is pending, and what remains of it.

use blkproof_spec::power::{Cache, PowerCut};
use blkproof_spec::{ByteRange, Errno, ImageName, Offset};

use crate::block_device::{BlockDevice, Durability, IoError, IoResult};
use crate::fault_store::FaultStore;
use crate::media::Media;
use crate::range_set::RangeSet;
use crate::record::{Operation, Recorded};
use crate::store::{Store, StoreError};
use crate::volatile::{Fates, Pending};

impl<M: Media> FaultStore<M> {
    /// Gives every device, also those to come, a volatile cache, or takes it away; all that is
    /// there then is durable.
    ///
    /// Making and deleting an image is durable at once, as with a volume manager.
    pub fn set_caching(&self, caching: bool) {
        self.each_device(|name, device| device.set_cached(caching, name));
        self.lock().caching = caching;
    }

    /// Returns how many operations there were since the store was made that change something or
    /// make it durable, at devices with a cache.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.desk().meter().operations()
    }

    /// Has everything recorded from now on that changes a device with a cache or makes it durable,
    /// or no more.
    pub fn set_recording(&self, recording: bool) {
        self.desk().set_recording(recording);
    }

    /// Returns what was recorded since that was switched on or this was called last.
    #[must_use]
    pub fn take_record(&self) -> Vec<Recorded> {
        let mut files = self.desk().lock();
        files
            .record
            .as_mut()
            .map(core::mem::take)
            .unwrap_or_default()
    }

    /// Does again what was recorded of another store that was as this one is. Where an operation is
    /// not `completed`, power is lost in its midst: it is issued, and makes nothing durable.
    ///
    /// # Errors
    ///
    /// If the record is of a store that was not as this one is.
    pub fn redo(&self, recorded: &Recorded, completed: bool) -> Result<(), StoreError> {
        let name = &recorded.image;
        let mut store = self.clone();
        match &recorded.what {
            Operation::Create(size) => return store.create(name, *size).map(|_| ()),
            Operation::Remove => return store.remove(name),
            Operation::PowerCut(cut, cache) => {
                let done = store.cut_power(cut, *cache);
                return done.map_err(|error| failed(name, &error));
            }
            _ => {}
        }
        let completed = completed && !recorded.struck;
        let mut device = store.open(name)?;
        let done = match &recorded.what {
            Operation::Write { start, data, fua } => {
                let through = *fua && completed;
                let durability = if through {
                    Durability::Now
                } else {
                    Durability::Later
                };
                device.write_at(Offset(*start), data, durability)
            }
            Operation::WriteZeroes { range, unmap } => device.write_zeroes(*range, *unmap),
            Operation::Discard(range) => device.discard(*range),
            Operation::Resize(size) => device.set_size(*size),
            Operation::Flush if completed => device.flush(),
            Operation::Flush
            | Operation::Create(_)
            | Operation::Remove
            | Operation::PowerCut(..) => Ok(()),
        };
        done.map_err(|error| failed(name, &error))
    }

    /// Has the power switched off at the operation of this number, or at none.
    ///
    /// The operation is issued; then its caller is unwound with [`PowerLoss`](crate::PowerLoss),
    /// which whoever called the subject has to catch, and nothing is written any more until
    /// [`FaultStore::kill`] or [`FaultStore::cut_power`] was called.
    pub fn strike_at(&self, operation: Option<u64>) {
        self.desk().meter().set_strike(operation);
    }

    /// Tells whether the power is off: the operation came at which it was to be.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.desk().meter().is_off()
    }

    /// Takes in that the process is gone that had devices open: its handles change nothing any
    /// more, and none of its requests waits. What it issued stays pending.
    pub fn kill(&self) {
        self.forget_waits();
        self.desk().meter().come_back();
    }

    /// Cuts the power of all devices at this moment. What remains is durable; the process that had
    /// devices open is gone, as by [`FaultStore::kill`].
    ///
    /// # Errors
    ///
    /// If the medium below fails, as files can.
    pub fn cut_power(&self, cut: &PowerCut, cache: Cache) -> IoResult<()> {
        let pending = self.pending();
        if let Some((image, _)) = pending.first() {
            let what = || Operation::PowerCut(cut.clone(), cache);
            self.desk().record(image, what);
        }
        let numbers: Vec<u64> = pending.iter().map(|(_, one)| one.number).collect();
        self.each_device_or_fail(|name, device| {
            let mut slot = device.lock();
            slot.version.changes += 1;
            let (disk, Some(volatile)) = slot.cached() else {
                return Ok(());
            };
            let mut fates = Fates::new(cut, cache, name);
            let planned = fates.all(volatile, &numbers);
            volatile.resolve(disk, fates.reversed(), &planned)
        })?;
        self.kill();
        Ok(())
    }

    /// Has every cache that holds more than `limit` bytes write all of it to its medium, as a cache
    /// does that is full: nothing of it is lost any more.
    pub fn destage(&self, limit: u64) {
        self.each_device(|_, device| {
            if let (_, Some(volatile)) = device.lock().cached()
                && volatile.held() > limit
            {
                volatile.clear();
            }
        });
    }

    /// Returns the bytes that would not reach the medium if the power were cut this way now, of
    /// each image in order. What a change of size takes, and what the order alone
    /// decides, is not among them.
    #[must_use]
    pub fn losses(&self, cut: &PowerCut, cache: Cache) -> Vec<(ImageName, ByteRange)> {
        let numbers = self.pending_numbers();
        let mut lost = Vec::new();
        self.each_device(|name, device| {
            if let (_, Some(volatile)) = device.lock().cached() {
                let planned = Fates::new(cut, cache, name).all(volatile, &numbers);
                let mut gone = RangeSet::default();
                for (one, fate) in volatile.pending().zip(&planned) {
                    if one.kind.is_some() {
                        fate.add_lost(one.range, &mut gone);
                    }
                }
                let runs = gone.runs(ByteRange::between(0, u64::MAX));
                lost.extend(runs.map(|run| (name.clone(), run)));
            }
        });
        lost
    }

    fn pending_numbers(&self) -> Vec<u64> {
        let pending = self.pending();
        pending.iter().map(|(_, one)| one.number).collect()
    }

    /// Returns every operation that is not durable now, with its image, in the order in which they
    /// were issued.
    #[must_use]
    pub fn pending(&self) -> Vec<(ImageName, Pending)> {
        let mut all = Vec::new();
        self.each_device(|name, device| {
            if let (_, Some(volatile)) = device.lock().cached() {
                let pending = volatile.pending();
                all.extend(pending.map(|one| (name.clone(), *one)));
            }
        });
        all.sort_unstable_by_key(|(_, pending)| pending.number);
        all
    }

    /// Returns the bytes of an image's device that are not durable now, in order: a loss of power
    /// may take them back. Nothing is durable by having been written, only by a flush of its own
    /// device behind it, or by having been written through. A device without a cache has none.
    #[must_use]
    pub fn undurable(&self, image: &ImageName) -> Vec<ByteRange> {
        let mut bytes = Vec::new();
        self.each_device(|name, device| {
            if name == image
                && let (_, Some(volatile)) = device.lock().cached()
            {
                let set = volatile.undurable();
                bytes.extend(set.runs(ByteRange::between(0, u64::MAX)));
            }
        });
        bytes
    }
}

fn failed(image: &ImageName, error: &IoError) -> StoreError {
    let errno = match error {
        IoError::Failed(errno) => *errno,
        IoError::Wait(_) => Errno::EIO,
    };
    StoreError::Failed(image.clone(), errno)
}
