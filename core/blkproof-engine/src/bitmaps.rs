//! Dirty-bitmap commands, each with what undoes it.

use blkproof_spec::step::{BitmapCommand, BitmapStep};
use blkproof_spec::{At, BitmapName, Format, Geometry, Length, Refusal};

use crate::bitmap::{Bitmap, Contents, check_granularity, check_name};
use crate::bugs::Bug;
use crate::machine::Machine;
use crate::node::Place;
use crate::stop::Stop;

/// What takes a bitmap command back that a transaction carried out.
#[derive(Debug)]
pub(crate) struct Undo {
    place: Place,
    name: BitmapName,
    how: How,
}

#[derive(Debug)]
enum How {
    Added,
    /// It is still there, out of service, until the transaction is committed.
    Removed,
    Enabled(bool),
    Changed(Contents),
}

impl Undo {
    pub(crate) fn is_removal(&self) -> bool {
        matches!(self.how, How::Removed)
    }
}

impl Machine {
    /// Carries out a bitmap command. A removal takes effect with [`Machine::commit_bitmap`].
    pub(crate) fn prepare_bitmap(&mut self, step: &BitmapStep) -> Result<Undo, Stop> {
        let (place, how) = match &step.command {
            BitmapCommand::Add {
                granularity,
                persistent,
                disabled,
            } => {
                let place = self.check_new_bitmap(step, *granularity, *persistent)?;
                let granularity = self.granularity(place, *granularity);
                if *persistent {
                    self.check_storable(place, granularity)?;
                }
                self.drained(place)?;
                let size = self.nodes[place.node()].size;
                let name = step.name.clone();
                let mut bitmap = Bitmap::new(name, granularity.0, !*disabled, size, self.bugs);
                bitmap.persistent = *persistent;
                self.bitmaps_at(place).push(bitmap);
                (place, How::Added)
            }
            BitmapCommand::Merge { sources } => self.merge(step, sources)?,
            command => {
                let place = self.nodes.find(&step.at).ok_or(Refusal::NoSuchNode)?;
                let size = self.nodes[place.node()].size;
                let remove = *command == BitmapCommand::Remove;
                let bitmap = self.bitmap_at(place, &step.name)?;
                if remove {
                    bitmap.check_free()?;
                } else {
                    bitmap.check_usable()?;
                }
                self.drained(place)?;
                if remove {
                    self.unstore(place, &step.name)?;
                }
                let bitmap = self.bitmap_at(place, &step.name)?;
                let how = match command {
                    BitmapCommand::Clear => How::Changed(bitmap.clear(size)),
                    BitmapCommand::Remove => {
                        bitmap.busy = true;
                        How::Removed
                    }
                    _ => {
                        let enable = *command == BitmapCommand::Enable;
                        How::Enabled(core::mem::replace(&mut bitmap.enabled, enable))
                    }
                };
                (place, how)
            }
        };
        let name = step.name.clone();
        Ok(Undo { place, name, how })
    }

    /// Makes a bitmap command final.
    pub(crate) fn commit_bitmap(&mut self, undo: &Undo) {
        if matches!(undo.how, How::Removed) {
            self.drop_bitmap(undo.place, &undo.name);
        }
    }

    /// Takes a bitmap command back that was refused.
    pub(crate) fn abort_unprepared(&mut self, step: &BitmapStep) {
        if let Some(place) = self.nodes.find(&step.at)
            && let Ok(bitmap) = self.bitmap_at(place, &step.name)
        {
            bitmap.clear(0);
        }
    }

    /// Leaves a bitmap in place that was to be removed.
    pub(crate) fn keep_bitmap(&mut self, undo: &Undo) {
        if let Ok(bitmap) = self.bitmap_at(undo.place, &undo.name) {
            bitmap.busy = false;
        }
    }

    /// Takes a bitmap command back.
    pub(crate) fn abort_bitmap(&mut self, undo: Undo) {
        if matches!(undo.how, How::Added) {
            self.drop_bitmap(undo.place, &undo.name);
            return;
        }
        let seeded = self.bugs.has(Bug::UndoForward);
        let Ok(bitmap) = self.bitmap_at(undo.place, &undo.name) else {
            // Its addition may have been taken back before its change.
            assert!(
                seeded,
                "what a transaction changed stays there until it is over"
            );
            return;
        };
        match undo.how {
            How::Added => {}
            How::Removed => bitmap.busy = false,
            How::Enabled(enabled) => bitmap.enabled = enabled,
            How::Changed(contents) => bitmap.restore(contents),
        }
    }

    /// Returns the bitmaps at a place; those of a filter are the filter's own.
    pub(crate) fn bitmaps_at(&mut self, place: Place) -> &mut Vec<Bitmap> {
        match place {
            Place::Node(node) => &mut self.nodes[node].bitmaps,
            Place::Filter(_, job) => {
                let mut jobs = self.jobs.iter_mut();
                let job = jobs.find(|other| other.serial == job);
                let job = job.expect("a filter belongs to a job that has not ended");
                &mut job.filter_bitmaps
            }
        }
    }

    pub(crate) fn bitmap_at(
        &mut self,
        place: Place,
        name: &BitmapName,
    ) -> Result<&mut Bitmap, Refusal> {
        let mut bitmaps = self.bitmaps_at(place).iter_mut();
        let bitmap = bitmaps.find(|bitmap| bitmap.name == *name);
        bitmap.ok_or(Refusal::NoSuchBitmap)
    }

    fn drop_bitmap(&mut self, place: Place, name: &BitmapName) {
        self.bitmaps_at(place).retain(|bitmap| bitmap.name != *name);
    }

    /// Carries requests on the node to their end.
    fn drained(&mut self, place: Place) -> Result<(), Refusal> {
        let drained = self.drain(|node| node == place.node());
        drained.map_err(|_| Refusal::CannotDrain)
    }

    fn check_new_bitmap(
        &mut self,
        step: &BitmapStep,
        granularity: Option<Length>,
        persistent: bool,
    ) -> Result<Place, Refusal> {
        if granularity.is_some_and(|granularity| granularity.0 > u64::from(u32::MAX)) {
            return Err(Refusal::GranularityTooLarge);
        }
        if step.name.as_str().is_empty() {
            return Err(Refusal::EmptyBitmapName);
        }
        let place = self.nodes.find(&step.at).ok_or(Refusal::NoSuchDevice)?;
        if let Some(granularity) = granularity {
            check_granularity(granularity.0)?;
        }
        let stores = self.can_store(place);
        if persistent && !stores {
            return Err(Refusal::CannotPersist);
        }
        if self.bitmap_at(place, &step.name).is_ok() {
            return Err(Refusal::BitmapExists);
        }
        check_name(&step.name)?;
        Ok(place)
    }

    /// Tells whether bitmaps can be stored there at all.
    fn can_store(&self, place: Place) -> bool {
        match place {
            Place::Node(node) => self.nodes[node].image.format == Format::Qcow2,
            Place::Filter(..) => false,
        }
    }

    /// Returns the granularity of a new bitmap.
    fn granularity(&self, place: Place, asked: Option<Length>) -> Length {
        let node = &self.nodes[place.node()];
        let shape = Geometry {
            size: Length(node.size),
            cluster: Length(node.image.cluster),
            format: node.image.format,
            discard: node.discard,
        };
        asked.unwrap_or(shape.default_granularity())
    }

    /// Adds the sources to the bitmap, all or none.
    fn merge(
        &mut self,
        step: &BitmapStep,
        sources: &[(Option<At>, BitmapName)],
    ) -> Result<(Place, How), Refusal> {
        let place = self.nodes.find(&step.at).ok_or(Refusal::NoSuchNode)?;
        let size = self.nodes[place.node()].size;
        self.bitmap_at(place, &step.name)?;
        let mut places = Vec::with_capacity(sources.len());
        for (at, name) in sources {
            let source = match at {
                Some(at) => self.nodes.find(at).ok_or(Refusal::NoSuchNode)?,
                None => place,
            };
            self.bitmap_at(source, name)?;
            self.bitmap_at(place, &step.name)?.check_usable()?;
            if !self.bugs.has(Bug::MergeFromBusy) {
                self.bitmap_at(source, name)?.check_usable()?;
            }
            if self.nodes[source.node()].size != size {
                return Err(Refusal::BitmapSizesDiffer);
            }
            places.push(source);
        }
        for source in places.iter().chain([&place]) {
            self.drained(*source)?;
        }
        let mut merged = self.bitmap_at(place, &step.name)?.clone();
        let contents = merged.contents();
        for (source, (_, name)) in places.iter().zip(sources) {
            let bugs = self.bugs;
            let source = self.bitmap_at(*source, name)?;
            if bugs.has(Bug::MergeStopsAtEmpty) && source.dirty.total() == 0 {
                break;
            }
            merged.merge(source, size);
        }
        *self.bitmap_at(place, &step.name)? = merged;
        Ok((place, How::Changed(contents)))
    }
}
