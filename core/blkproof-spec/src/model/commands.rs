//! Commands to bitmaps, disks and images: when they are refused, and what they do.

use super::Model;
use super::bitmaps::{Bitmap, Stored, Track};
use super::images::Value;
use super::judgement::{About, Fact, Judgement, Observation};
use super::names::{Refusals, Resolved};
use super::persistence::{fits_in_file, judge_refusal};
use crate::geometry::{Format, Geometry};
use crate::property::{answers_exact, errors_caused};
use crate::reply::{Refusal, Reply};
use crate::scenario::Role;
use crate::step::{At, BitmapCommand, BitmapStep};
use crate::units::{ByteRange, Length, SECTOR};

/// The most bytes of a bitmap's name.
const BITMAP_NAME_MAX: usize = 1023;

impl Model {
    /// Judges a command that must be refused for one of these reasons, if any. Returns whether it
    /// is to be carried out.
    pub(super) fn admit_command(
        &mut self,
        why: Option<Refusals>,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) -> bool {
        if self.cannot_drain(seen) {
            self.scope.refused = true;
            return false;
        }
        match why {
            Some(why) if !why.or_done || matches!(seen.reply, Reply::Refused(_)) => {
                judge_refusal(&why, seen.reply, out);
                self.scope.refused = true;
                false
            }
            _ => {
                self.judge_done(seen, out);
                seen.reply == Reply::Done
            }
        }
    }

    /// Judges the answer to a command that is legal: it is done, or fails because of a fault.
    fn judge_done(&self, seen: &Observation<'_>, out: &mut Judgement) {
        let fired: Vec<_> = seen
            .fired
            .iter()
            .filter_map(|firing| firing.errno)
            .collect();
        match seen.reply {
            Reply::Failed(errno) if !fired.is_empty() => {
                errors_caused::check(About::Step, "reply", errno, &fired, out);
            }
            Reply::Refused(Refusal::ImageUnreadable) if !fired.is_empty() => {}
            reply => answers_exact::reply(About::Step, Fact::Reply(Reply::Done), reply, out),
        }
    }

    /// Judges a bitmap command, and carries it out.
    pub(super) fn bitmap(
        &mut self,
        step: &BitmapStep,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        let why = self.refuse_bitmap(step);
        if self.admit_command(why, seen, out) {
            self.apply_bitmap(step);
        } else {
            self.doubt_file(step);
        }
    }

    /// Returns why a bitmap command is refused.
    pub(super) fn refuse_bitmap(&self, step: &BitmapStep) -> Option<Refusals> {
        if let BitmapCommand::Add {
            granularity,
            persistent,
            ..
        } = &step.command
        {
            return self
                .refuse_add(step, *granularity, *persistent)
                .map(Refusals::from);
        }
        let Some(found) = self.resolve(&step.at) else {
            return Some(Refusal::NoSuchNode.into());
        };
        let Some(index) = self.bitmap_index(&found.owner(), &step.name) else {
            return Some(Refusal::NoSuchBitmap.into());
        };
        let bitmap = &self.bitmaps[index];
        let inconsistent_counts = !matches!(step.command, BitmapCommand::Remove);
        let state = check_state(bitmap, inconsistent_counts);
        let BitmapCommand::Merge { sources } = &step.command else {
            return state.map(Refusals::from);
        };
        let mut any_of: Vec<_> = state.into_iter().collect();
        let first = sources
            .iter()
            .find_map(|(at, name)| self.refuse_source(bitmap, &found, at.as_ref(), name).err());
        // QEMU looks at the target's state last; an empty list of sources does nothing, busy or
        // not.
        any_of.splice(0..0, first);
        let refusals = Refusals {
            or_done: sources.is_empty(),
            any_of,
            ..Refusals::default()
        };
        (!refusals.any_of.is_empty()).then_some(refusals)
    }

    fn refuse_add(
        &self,
        step: &BitmapStep,
        granularity: Option<Length>,
        persistent: bool,
    ) -> Option<Refusal> {
        if granularity.is_some_and(|bytes| bytes.0 > u64::from(u32::MAX)) {
            return Some(Refusal::GranularityTooLarge);
        }
        if step.name.as_str().is_empty() {
            return Some(Refusal::EmptyBitmapName);
        }
        let Some(found) = self.resolve(&step.at) else {
            return Some(Refusal::NoSuchDevice);
        };
        if granularity.is_some_and(|bytes| bytes.0 < SECTOR || !bytes.0.is_power_of_two()) {
            return Some(Refusal::BadGranularity);
        }
        let raw = self.images.get(found.disk).geometry.format == Format::Raw;
        if persistent && (raw || found.filter.is_some()) {
            return Some(Refusal::CannotPersist);
        }
        if self.bitmap_index(&found.owner(), &step.name).is_some() {
            return Some(Refusal::BitmapExists);
        }
        if step.name.as_str().len() > BITMAP_NAME_MAX {
            return Some(Refusal::BitmapNameTooLong);
        }
        let geometry = self.images.get(found.disk).geometry;
        let granularity = self.granularity(granularity, geometry);
        let fits = fits_in_file(geometry.size.0, granularity.0);
        (persistent && !fits).then_some(Refusal::BitmapTooLarge)
    }

    /// Returns the granularity that a bitmap gets, where perhaps one is `asked` for.
    fn granularity(&self, asked: Option<Length>, geometry: Geometry) -> Length {
        let own = self.capabilities.granularity;
        asked
            .or(own)
            .unwrap_or_else(|| geometry.default_granularity())
    }

    /// Returns the index of a merge's source, or why it cannot be one.
    fn refuse_source(
        &self,
        target: &Bitmap,
        home: &Resolved,
        at: Option<&At>,
        name: &crate::name::BitmapName,
    ) -> Result<usize, Refusal> {
        let found = match at {
            Some(at) => self.resolve(at).ok_or(Refusal::NoSuchNode)?,
            None => home.clone(),
        };
        let index = self
            .bitmap_index(&found.owner(), name)
            .ok_or(Refusal::NoSuchBitmap)?;
        let source = &self.bitmaps[index];
        if let Some(refusal) = check_state(source, true) {
            return Err(refusal);
        }
        let size = |bitmap: &Bitmap| {
            super::backup::disk_of(&bitmap.owner, &self.jobs)
                .map(|disk| self.images.get(disk).size())
        };
        if size(source) != size(target) {
            return Err(Refusal::BitmapSizesDiffer);
        }
        Ok(index)
    }

    /// Carries out a bitmap command that is legal.
    pub(super) fn apply_bitmap(&mut self, step: &BitmapStep) {
        let Some(found) = self.resolve(&step.at) else {
            return;
        };
        self.drained(found.disk);
        let image = self.images.get(found.disk);
        let (moment, size, geometry) = (image.moment, image.size(), image.geometry);
        if let BitmapCommand::Add {
            granularity,
            persistent,
            disabled,
        } = &step.command
        {
            let granularity = self.granularity(*granularity, geometry);
            self.bitmaps.push(Bitmap {
                owner: found.owner(),
                name: step.name.clone(),
                granularity: granularity.0,
                persistent: *persistent,
                inconsistent: false,
                stored: Stored::No,
                came_back: false,
                open: false,
                track: Track::new(!disabled, moment, size),
                successor: None,
                removed: false,
                volatile: false,
            });
            return;
        }
        let Some(index) = self.bitmap_index(&found.owner(), &step.name) else {
            return;
        };
        match &step.command {
            BitmapCommand::Add { .. } => {}
            BitmapCommand::Remove if self.scope.transaction => self.bitmaps[index].removed = true,
            BitmapCommand::Remove => {
                self.bitmaps.remove(index);
            }
            BitmapCommand::Clear => {
                self.bitmaps[index].came_back = false;
                let track = &mut self.bitmaps[index].track;
                *track = Track::new(track.recording, moment, size);
            }
            BitmapCommand::Enable => {
                let track = &mut self.bitmaps[index].track;
                if !track.recording {
                    track.recording = true;
                    track.enabled = moment;
                }
            }
            BitmapCommand::Disable => self.bitmaps[index].track.recording = false,
            BitmapCommand::Merge { sources } => self.merge(index, &found, sources, size),
        }
    }

    fn merge(
        &mut self,
        target: usize,
        home: &Resolved,
        sources: &[(Option<At>, crate::name::BitmapName)],
        size: u64,
    ) {
        for (at, name) in sources {
            let bitmap = &self.bitmaps[target];
            let Ok(source) = self.refuse_source(bitmap, home, at.as_ref(), name) else {
                continue;
            };
            let track = self.bitmaps[source].track.clone();
            let bitmap = &mut self.bitmaps[target];
            bitmap.track.merge(&track, size, bitmap.granularity);
        }
    }

    /// Judges a resize, and carries it out.
    pub(super) fn resize(
        &mut self,
        at: &At,
        size: Length,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        let why = self.refuse_resize(at, size);
        let legal = why.as_ref().is_none_or(|why| why.or_done);
        if !self.admit_command(why, seen, out) {
            if legal && let Some(disk) = self.images.find(at.name()) {
                self.images.get_mut(disk).keep_end(size.0);
                self.resize_tried(disk, size.0);
            }
            return;
        }
        let Some(disk) = self.images.find(at.name()) else {
            return;
        };
        self.drained(disk);
        self.retire(disk);
        // Nothing has to be done for a size that it has already.
        let changes = self.images.get(disk).size() != size.0;
        self.resizing(disk, size.0, changes && seen.fired.is_empty());
        let image = self.images.get_mut(disk);
        let old = image.size();
        image.moment += 1;
        image.geometry.size = size;
        let cluster = image.cluster();
        let cut = ByteRange::between(size.0, old).outward(cluster);
        if image.layer.within(cut).next().is_some() {
            // The cluster at the new end stays allocated even if nothing within the size is
            // written.
            let last = ByteRange::between(size.0, size.0 + 1).outward(cluster);
            image.kept.insert(last);
        }
        image.layer.truncate(size.0);
        image.kept.truncate(size.0.next_multiple_of(cluster));
        if size.0 > old && image.backing.is_some() {
            image
                .layer
                .set(ByteRange::between(old, size.0), Value::ZERO);
        }
        for bitmap in self.bitmaps.iter_mut().chain(&mut self.power.vanished) {
            if bitmap.owner == super::bitmaps::Owner::Disk(disk) {
                bitmap.resize(old, size.0);
            }
        }
    }

    pub(super) fn refuse_resize(&self, at: &At, size: Length) -> Option<Refusals> {
        let disk =
            self.images
                .find(at.name())
                .filter(|disk| match (at, self.images.get(*disk).role) {
                    (At::Device(_), role) => role == Role::Device,
                    (At::Node(_), role) => role != Role::Image,
                });
        let Some(disk) = disk else {
            return Some(Refusal::NoSuchDevice.into());
        };
        if let Some(job) = self.jobs_on(disk).next() {
            let fleecing = job.sync == crate::step::Sync::None;
            return Some(match at {
                At::Device(_) => Refusal::NodeBusy.into(),
                At::Node(_) if fleecing => [Refusal::PermissionConflict, Refusal::NodeBusy]
                    .as_slice()
                    .into(),
                At::Node(_) => Refusal::PermissionConflict.into(),
            });
        }
        let geometry = self.images.get(disk).geometry;
        if size > Geometry::SIZE_MAX {
            return Some(Refusal::SizeTooLarge.into());
        }
        if !size.0.is_multiple_of(SECTOR) {
            let why = Refusals::from(Refusal::SizeUnaligned);
            return Some(match geometry.format {
                Format::Qcow2 => why,
                Format::Raw => why.or_done(),
            });
        }
        if self.has_inconsistent(disk) {
            return Some(Refusal::BitmapInconsistent.into());
        }
        let most = Geometry::size_max(geometry.format, geometry.cluster);
        (size > most).then(|| Refusal::SizeTooLarge.into())
    }
}

/// Returns why a bitmap in this state cannot be used.
fn check_state(bitmap: &Bitmap, inconsistent_counts: bool) -> Option<Refusal> {
    if bitmap.busy() {
        return Some(Refusal::BitmapBusy);
    }
    (bitmap.inconsistent && inconsistent_counts).then_some(Refusal::BitmapInconsistent)
}
