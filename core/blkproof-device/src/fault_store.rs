//! The store of the harness: named devices, each behind its faults and its trace.
//!
//! Rules belong to places, not to devices: they can be installed before their image exists, stay
//! when it is deleted, and act on the next one of its name. Locks are taken in the order store,
//! device, desk; a request takes only its device's, and the desk's where something fires, waits or
//! is traced.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blkproof_spec::fault::{FaultRule, Firing};
use blkproof_spec::{ImageName, Layer as Side, Length, Millis, Place, RuleName, Tag};

use crate::above_format::AboveFormat;
use crate::block_device::{BlockDevice, IoResult, Wait};
use crate::desk::Desk;
use crate::handle::{Handle, Plain, Shared, Version};
use crate::layer::{Layer, RuleCount};
use crate::media::{Media, Memory};
use crate::mem_disk::MemDisk;
use crate::pool::Pool;
use crate::record::Operation;
use crate::store::{Store, StoreError};
use crate::trace::{Counters, TraceEntry};
use crate::visible::Visible;

/// A store of memory disks.
pub type MemStore = FaultStore<Memory>;

/// A store whose devices break on request.
///
/// Clones are handles to the same store: the harness keeps one and gives the subject another.
/// Stores share nothing with each other but the pool that they were made with.
pub struct FaultStore<M: Media> {
    inner: Arc<Mutex<Inner<M>>>,
    desk: Desk,
}

pub(crate) struct Inner<M: Media> {
    media: M,
    images: BTreeMap<ImageName, Image<M::Disk>>,
    tracing: bool,
    /// Devices have volatile caches.
    pub(crate) caching: bool,
    /// How many rules were ever installed.
    rules: u64,
    /// How many devices there ever were.
    devices: u64,
}

/// What belongs to a name.
struct Image<D> {
    /// The device, if there is one and the store knows of it.
    device: Option<Arc<Shared<D>>>,
    /// The fault layer while there is no device.
    parked: Option<Box<Layer>>,
    /// The fault layer above the format, if it was ever announced.
    above: Option<Arc<Shared<()>>>,
}

impl<D> Default for Image<D> {
    fn default() -> Self {
        Self {
            device: None,
            parked: None,
            above: None,
        }
    }
}

impl FaultStore<Memory> {
    /// Makes an empty store of memory disks.
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        Self::on(Memory::new(pool))
    }

    /// Returns a copy of the whole store, with its clock, its rules and what they remember. The two
    /// share what neither has changed since. Open handles stay with the original.
    #[must_use]
    pub fn fork(&self) -> Self {
        let inner = self.lock();
        let desk = self.desk.fork();
        let fork = |image: &Image<MemDisk>| Image {
            device: image
                .device
                .as_ref()
                .map(|device| device.fork(&desk, MemDisk::snapshot)),
            parked: image.parked.clone(),
            above: image.above.as_ref().map(|above| above.fork(&desk, |()| ())),
        };
        let images = inner.images.iter();
        let images = images.map(|(name, image)| (name.clone(), fork(image)));
        let copy = Inner {
            media: inner.media.clone(),
            images: images.collect(),
            tracing: inner.tracing,
            caching: inner.caching,
            rules: inner.rules,
            devices: inner.devices,
        };
        Self {
            inner: Arc::new(Mutex::new(copy)),
            desk,
        }
    }

    /// Returns a copy of a device's contents that changes no more.
    pub fn snapshot(&self, name: &ImageName) -> Result<MemDisk, StoreError> {
        let device = self.lock().device(name, &self.desk)?;
        let slot = device.lock();
        Ok(slot.disk.snapshot())
    }
}

impl<M: Media> FaultStore<M> {
    /// Makes a store on `media`.
    #[must_use]
    pub fn on(media: M) -> Self {
        Self {
            desk: Desk::new(&media.pool()),
            inner: Arc::new(Mutex::new(Inner {
                media,
                images: BTreeMap::new(),
                tracing: false,
                caching: false,
                rules: 0,
                devices: 0,
            })),
        }
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a handle for the subject.
    #[must_use]
    pub fn subject_handle(&self) -> Box<dyn Store> {
        Box::new(self.clone())
    }

    /// Opens a device beneath its faults and its trace, for judges.
    pub fn plain(&self, name: &ImageName) -> Result<Box<dyn Visible>, StoreError> {
        Ok(Box::new(Plain(self.lock().device(name, &self.desk)?)))
    }

    /// Says that rules for `place` may come. Above a format a layer is only laid over images that
    /// are opened when their place has been announced, or a rule for it installed; a rule that
    /// comes later acts from the next opening on.
    pub fn announce(&self, place: &Place) {
        if place.layer == Side::Format {
            self.lock().above(place, &self.desk);
        }
    }

    /// Installs a rule behind those that are there. Its image need not exist yet.
    pub fn install(&self, rule: &FaultRule) {
        let mut inner = self.lock();
        let sequence = inner.rules;
        inner.rules += 1;
        let install = |layer: &mut Option<Box<Layer>>| {
            let fresh = || Box::new(Layer::new(rule.place.clone()));
            layer.get_or_insert_with(fresh).install(rule, sequence);
        };
        match rule.place.layer {
            Side::Format => inner.above(&rule.place, &self.desk).with_layer(install),
            Side::File => {
                let image = inner.images.entry(rule.place.image.clone()).or_default();
                match &image.device {
                    Some(device) => device.with_layer(install),
                    None => install(&mut image.parked),
                }
            }
        }
    }

    /// Visits every device that the store knows of, in order of their names.
    pub(crate) fn each_device(&self, mut visit: impl FnMut(&ImageName, &Shared<M::Disk>)) {
        // What is visited never fails here.
        let _ = self.each_device_or_fail(|name, device| {
            visit(name, device);
            Ok(())
        });
    }

    /// The same, up to the first failure.
    pub(crate) fn each_device_or_fail(
        &self,
        mut visit: impl FnMut(&ImageName, &Shared<M::Disk>) -> IoResult<()>,
    ) -> IoResult<()> {
        for (name, image) in &self.lock().images {
            if let Some(device) = &image.device {
                visit(name, device)?;
            }
        }
        Ok(())
    }

    /// Lets everything go on that waits, and forgets it, errors that are still to be told too: who
    /// comes back for it begins anew.
    pub fn forget_waits(&self) {
        self.desk.lock().end_all();
        self.lock().each_layer(|layer| {
            if let Some(layer) = layer {
                layer.forget_held();
            }
        });
    }

    /// Removes all rules of this name, wherever they are, and tells whether there were any.
    /// Requests that they delay or suspend may go on. `blkdebug`'s states stay as they are.
    pub fn lift(&self, name: &RuleName) -> bool {
        self.lift_where(Some(name))
    }

    /// Removes all rules. Requests that are delayed or suspended may go on.
    pub fn lift_all(&self) {
        self.lift_where(None);
        self.desk.lock().end_all();
    }

    fn lift_where(&self, name: Option<&RuleName>) -> bool {
        let mut found = false;
        self.lock().each_layer(|layer| {
            if let Some(layer) = layer {
                found |= layer.lift(name, &self.desk);
            }
        });
        found
    }

    /// Lets all requests go on that are suspended under `tag`, and tells whether there was one. A
    /// request that ran into several breakpoints at once goes on when it is resumed under all tags.
    pub fn resume(&self, tag: &Tag) -> bool {
        self.desk.lock().resume(tag)
    }

    /// Has no rule act and nothing be traced, or has them act again: for a judge who looks at disks
    /// through the subject and must not disturb what happens to it.
    pub fn set_quiet(&self, quiet: bool) {
        self.desk.set_quiet(quiet);
    }

    /// Allows subjects this much work from now on: each request, opening, creation and removal is
    /// one, and each KiB of its data one more; as much again from each of the next `renewals`
    /// strikes of a fault on. Whoever asks for more is unwound with [`Overrun`](crate::Overrun),
    /// which whoever called the subject has to catch. A new store allows as much as there is.
    pub fn allow(&self, work: u64, renewals: u64) {
        self.desk.meter().allow(work, renewals);
    }

    /// Tells whether a request is suspended under `tag`.
    #[must_use]
    pub fn is_suspended(&self, tag: &Tag) -> bool {
        self.desk.lock().is_suspended(tag)
    }

    /// Adds the tags under which requests are suspended to the end of `tags`.
    pub fn suspended(&self, tags: &mut Vec<Tag>) {
        self.desk.lock().suspended_tags(tags);
    }

    /// Lets virtual time pass.
    pub fn tick(&self, span: Millis) {
        self.desk.lock().tick(span);
    }

    /// Returns the virtual time since the store was made.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.desk.lock().now
    }

    /// Moves the rules' doings since the last call to the end of `firings`, in their order.
    pub fn drain_ledger(&self, firings: &mut Vec<Firing>) {
        firings.append(&mut self.desk.lock().ledger);
    }

    /// Returns an account of every rule that was ever installed, in order of installation.
    #[must_use]
    pub fn rule_counts(&self) -> Vec<RuleCount> {
        let mut counts = Vec::new();
        self.lock().each_layer(|layer| {
            if let Some(layer) = layer {
                layer.counts(&mut counts);
            }
        });
        counts.sort_unstable_by_key(|count| count.sequence);
        counts
    }

    /// Returns how many requests reached a device through its faults since it was made.
    pub fn counters(&self, name: &ImageName) -> Result<Counters, StoreError> {
        let device = self.lock().device(name, &self.desk)?;
        let slot = device.lock();
        Ok(slot.counters)
    }

    /// Returns the version of a device's contents.
    pub fn version(&self, name: &ImageName) -> Result<Version, StoreError> {
        let device = self.lock().device(name, &self.desk)?;
        let slot = device.lock();
        Ok(slot.version)
    }

    /// Switches the trace, which is off at first, on or off.
    pub fn set_tracing(&self, tracing: bool) {
        let mut inner = self.lock();
        if inner.tracing == tracing {
            return;
        }
        inner.tracing = tracing;
        for (name, image) in &mut inner.images {
            let place = |layer| Place {
                image: name.clone(),
                layer,
            };
            let switch = |layer: &mut Option<Box<Layer>>, side| {
                let layer = layer.get_or_insert_with(|| Box::new(Layer::new(place(side))));
                layer.set_tracing(tracing);
            };
            match &image.device {
                Some(device) => device.with_layer(|layer| switch(layer, Side::File)),
                None => switch(&mut image.parked, Side::File),
            }
            if let Some(above) = &image.above {
                above.with_layer(|layer| switch(layer, Side::Format));
            }
        }
    }

    /// Moves what was traced since the last call to the end of `entries`, in order.
    pub fn drain_trace(&self, entries: &mut Vec<TraceEntry>) {
        entries.append(&mut self.desk.lock().trace);
    }
}

impl<M: Media> Inner<M> {
    /// Returns the device of this name.
    fn device(
        &mut self,
        name: &ImageName,
        desk: &Desk,
    ) -> Result<Arc<Shared<M::Disk>>, StoreError> {
        if let Some(device) = self.known(name) {
            return Ok(device);
        }
        let disk = self.media.find(name)?;
        Ok(self.add(name, disk, desk))
    }

    fn known(&self, name: &ImageName) -> Option<Arc<Shared<M::Disk>>> {
        self.images.get(name)?.device.clone()
    }

    /// Makes a disk the device of this name, behind the rules that wait for it.
    fn add(&mut self, name: &ImageName, disk: M::Disk, desk: &Desk) -> Arc<Shared<M::Disk>> {
        let image = self.images.entry(name.clone()).or_default();
        let mut layer = image.parked.take();
        if self.tracing {
            let place = Place {
                image: name.clone(),
                layer: Side::File,
            };
            let layer = layer.get_or_insert_with(|| Box::new(Layer::new(place)));
            layer.set_tracing(true);
        }
        let device = Shared::new(disk, layer, desk);
        self.devices += 1;
        device.lock().version.device = self.devices;
        if self.caching {
            device.set_cached(true, name);
        }
        image.device = Some(Arc::clone(&device));
        device
    }

    /// Returns the layer above a format, made if it was not there.
    fn above(&mut self, place: &Place, desk: &Desk) -> Arc<Shared<()>> {
        let image = self.images.entry(place.image.clone()).or_default();
        let tracing = self.tracing;
        let above = image.above.get_or_insert_with(|| {
            let mut layer = Box::new(Layer::new(place.clone()));
            layer.set_tracing(tracing);
            Shared::new((), Some(layer), desk)
        });
        Arc::clone(above)
    }

    /// Visits the layer of every place.
    fn each_layer(&mut self, mut visit: impl FnMut(&mut Option<Box<Layer>>)) {
        for image in self.images.values_mut() {
            match &image.device {
                Some(device) => device.with_layer(&mut visit),
                None => visit(&mut image.parked),
            }
            if let Some(above) = &image.above {
                above.with_layer(&mut visit);
            }
        }
    }
}

/// Opens a device.
fn opened<D: BlockDevice + 'static>(device: Arc<Shared<D>>) -> Box<dyn BlockDevice> {
    device.opened();
    Box::new(Handle::new(device))
}

impl<M: Media> Store for FaultStore<M> {
    fn create(
        &mut self,
        name: &ImageName,
        size: Length,
    ) -> Result<Box<dyn BlockDevice>, StoreError> {
        self.desk.meter().spend(0);
        let mut inner = self.lock();
        if inner.known(name).is_some() {
            return Err(StoreError::Exists(name.clone()));
        }
        let disk = inner.media.create(name, size)?;
        self.desk.record(name, || Operation::Create(size));
        Ok(opened(inner.add(name, disk, &self.desk)))
    }

    fn open(&mut self, name: &ImageName) -> Result<Box<dyn BlockDevice>, StoreError> {
        self.desk.meter().spend(0);
        Ok(opened(self.lock().device(name, &self.desk)?))
    }

    fn remove(&mut self, name: &ImageName) -> Result<(), StoreError> {
        self.desk.meter().spend(0);
        let mut inner = self.lock();
        let device = inner.device(name, &self.desk)?;
        inner.media.remove(name)?;
        self.desk.record(name, || Operation::Remove);
        let image = inner.images.entry(name.clone()).or_default();
        image.device = None;
        image.parked = device.with_layer(Option::take);
        Ok(())
    }

    fn list(&self) -> Vec<ImageName> {
        let inner = self.lock();
        let known = inner.images.iter();
        let known = known.filter(|(_, image)| image.device.is_some());
        let mut names: Vec<_> = known.map(|(name, _)| name.clone()).collect();
        let others = inner.media.list();
        if !others.is_empty() {
            names.extend(others);
            names.sort_unstable();
            names.dedup();
        }
        names
    }

    fn exists(&self, name: &ImageName) -> bool {
        let inner = self.lock();
        inner.known(name).is_some() || inner.media.list().contains(name)
    }

    fn above_format(
        &mut self,
        name: &ImageName,
        format: Box<dyn BlockDevice>,
    ) -> Box<dyn BlockDevice> {
        let inner = self.lock();
        let Some(place) = inner.images.get(name).and_then(|image| image.above.clone()) else {
            return format;
        };
        place.opened();
        Box::new(AboveFormat { format, place })
    }

    fn is_over(&self, wait: &Wait) -> bool {
        self.desk.lock().is_over(wait)
    }
}

impl<M: Media> Clone for FaultStore<M> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            desk: self.desk.clone(),
        }
    }
}

impl<M: Media> fmt::Debug for FaultStore<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultStore").field(&self.list()).finish()
    }
}
