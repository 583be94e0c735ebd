//! Steps about images that nobody has open: making, rebasing and deleting them.

use super::Model;
use super::images::{ImageId, Presence, fresh_geometry};
use super::judgement::{Judgement, Observation};
use super::names::Refusals;
use crate::geometry::{Format, Geometry};
use crate::name::ImageName;
use crate::reply::{Refusal, Reply};
use crate::step::Create;
use crate::units::{Length, SECTOR};

impl Model {
    /// Judges the making of an image, and makes it.
    pub(super) fn create(&mut self, step: &Create, seen: &Observation<'_>, out: &mut Judgement) {
        self.find_out_image(&step.image, seen.reply, Presence::Absent);
        self.find_out_base(step.backing.as_ref(), seen.reply);
        let mut why = self.refuse_create(step);
        // Whoever looks at the base first meets its fault.
        let struck = |base: &ImageName| seen.fired.iter().any(|fault| fault.place.image == *base);
        if let Some(why) = &mut why
            && step.backing.as_ref().is_some_and(struck)
        {
            why.any_of.push(Refusal::ImageUnreadable);
        }
        let carried_out = self.admit_command(why, seen, out);
        let failed = matches!(seen.reply, Reply::Failed(_)) && !seen.fired.is_empty();
        if !carried_out && !failed {
            return;
        }
        let backing = step
            .backing
            .as_ref()
            .and_then(|name| self.images.find(name));
        let backing_size = backing.map(|id| self.images.get(id).geometry.size);
        let size = step.size.or(backing_size).unwrap_or_default();
        let geometry = fresh_geometry(size, step.format, step.cluster);
        let id = self.make_image(&step.image, geometry, step.backing.clone());
        if failed {
            self.images.get_mut(id).presence = Presence::Unknown;
        }
    }

    fn refuse_create(&self, step: &Create) -> Option<Refusals> {
        let backing = step.backing.as_ref().map(|name| self.images.find(name));
        let size = match (step.size, backing) {
            (Some(size), _) => size.0,
            (None, Some(Some(id))) => self.images.get(id).size(),
            (None, Some(None)) => 0,
            (None, None) => return Some(Refusals::any()),
        };
        let qcow2 = step.format == Format::Qcow2;
        let cluster = step.cluster.0;
        let mut any_of = Vec::new();
        let mut refuse = |refused: bool, why| {
            if refused {
                any_of.push(why);
            }
        };
        let found = self.images.find(&step.image);
        refuse(found.is_some(), Refusal::ImageExists);
        let bad_cluster = !(512..=2 << 20).contains(&cluster) || !cluster.is_power_of_two();
        refuse(qcow2 && bad_cluster, Refusal::BadCluster);
        refuse(!size.is_multiple_of(SECTOR), Refusal::SizeUnaligned);
        let most = if bad_cluster {
            Geometry::SIZE_MAX
        } else {
            Geometry::size_max(step.format, Length(cluster))
        };
        refuse(size > most.0, Refusal::SizeTooLarge);
        let missing = backing == Some(None);
        refuse(missing, Refusal::ImageMissing);
        // What a failed step may have left behind need not be there, nor be readable.
        if let Some(id) = backing.flatten() {
            let broken = !self.images.is_complete(id);
            let why =
                || Refusals::from([Refusal::ImageMissing, Refusal::ImageUnreadable].as_slice());
            if !any_of.is_empty() {
                // Either may be looked at first.
                if broken || self.images.is_doubtful(id) {
                    any_of.extend(why().any_of);
                }
                return Some(any_of.as_slice().into());
            }
            if self.images.is_doubtful(id) || (broken && step.size.is_some()) {
                return Some(why().or_done());
            }
            if broken {
                return Some(why());
            }
        }
        if !qcow2 && step.backing.is_some() {
            return Some(Refusals::any());
        }
        let only_missing = any_of == [Refusal::ImageMissing] && step.size.is_some();
        let refusals = Refusals {
            or_done: only_missing,
            any_of,
            ..Refusals::default()
        };
        (!refusals.any_of.is_empty()).then_some(refusals)
    }

    /// Learns from an answer whether an image is there that a failed step may have left behind.
    fn find_out_image(&mut self, name: &ImageName, reply: Reply, if_done: Presence) {
        let Some(id) = self.images.find(name) else {
            return;
        };
        if self.images.get(id).presence == Presence::Unknown {
            self.images.get_mut(id).presence = match reply {
                Reply::Refused(Refusal::ImageExists) => Presence::Present,
                Reply::Refused(Refusal::ImageMissing) => Presence::Absent,
                Reply::Refused(Refusal::CannotDrain) => Presence::Unknown,
                _ => if_done,
            };
        }
    }

    /// Learns from an answer that a backing file is not there that a failed step may have left
    /// behind.
    fn find_out_base(&mut self, backing: Option<&ImageName>, reply: Reply) {
        if let Some(id) = backing.and_then(|name| self.images.find(name))
            && self.images.get(id).presence == Presence::Unknown
            && reply == Reply::Refused(Refusal::ImageMissing)
        {
            self.images.get_mut(id).presence = Presence::Absent;
        }
    }

    /// Tells whether a failed step may have left an image of this name behind.
    fn is_unknown(&self, name: Option<&ImageName>) -> bool {
        name.and_then(|name| self.images.find(name))
            .is_some_and(|id| self.images.get(id).presence == Presence::Unknown)
    }

    /// Judges a change of an image's backing file, and makes it.
    pub(super) fn rebase(
        &mut self,
        name: &ImageName,
        backing: Option<&ImageName>,
        seen: &Observation<'_>,
        out: &mut Judgement,
    ) {
        let unknown = self.is_unknown(Some(name));
        // What is missing may also be what lies below the new backing file.
        let base = backing.map(|base| self.images.find(base));
        let broken = base.is_some_and(|base| base.is_none_or(|id| !self.images.is_complete(id)));
        if !(broken && seen.reply == Reply::Refused(Refusal::ImageMissing)) {
            self.find_out_image(name, seen.reply, Presence::Present);
        }
        if !unknown {
            self.find_out_base(backing, seen.reply);
        }
        let found = self.images.find(name);
        let why = match found {
            None => Some(Refusal::ImageMissing.into()),
            Some(id) if self.is_open(id) => {
                let also = self.refuse_base(id, backing).unwrap_or_default();
                let mut why = Refusals {
                    or_done: false,
                    ..also
                };
                why.any_of.insert(0, Refusal::ImageInUse);
                Some(why)
            }
            Some(id) => self.refuse_base(id, backing),
        };
        // A fault may strike before anybody finds that it has to be refused.
        let failed = matches!(seen.reply, Reply::Failed(_)) && !seen.fired.is_empty();
        let why = why.filter(|_| !failed);
        if self.admit_command(why, seen, out)
            && let Some(id) = found
        {
            self.retire(id);
            self.images.rebase(id, backing.cloned());
            self.settle_doubt(name);
            self.rebased_durably(name);
        } else if let Some(id) = found
            && failed
        {
            // It may stand on either base now.
            self.retire(id);
            self.doubt_backing(name);
            if self.images.get(id).backing.as_ref() != backing {
                self.suspect(name, backing.cloned());
            }
            self.images.get_mut(id).presence = Presence::Unknown;
        }
    }

    /// Returns why an image cannot have this backing file. QEMU does not look at it.
    fn refuse_base(&self, id: ImageId, backing: Option<&ImageName>) -> Option<Refusals> {
        if self.images.get(id).geometry.format == Format::Raw {
            let why = Refusals::any();
            return Some(match backing {
                Some(_) => why,
                None => why.or_done(),
            });
        }
        let backing = backing?;
        match self.images.find(backing) {
            None => Some(Refusals::from(Refusal::ImageMissing).or_done()),
            // What a failed step may have left behind need not be there, nor be readable.
            Some(base) if self.images.is_doubtful(base) || !self.images.is_complete(base) => {
                let why = [Refusal::ImageMissing, Refusal::ImageUnreadable];
                Some(Refusals::from(why.as_slice()).or_done())
            }
            Some(base) if self.images.reaches(base, id) => Some(Refusals::any().or_done()),
            Some(_) => None,
        }
    }

    /// Judges the deletion of an image, and deletes it.
    pub(super) fn remove(&mut self, name: &ImageName, seen: &Observation<'_>, out: &mut Judgement) {
        self.find_out_image(name, seen.reply, Presence::Present);
        let found = self.images.find(name);
        let why = match found {
            None => Some(Refusal::ImageMissing.into()),
            Some(id) => self.is_open(id).then(|| Refusal::ImageInUse.into()),
        };
        if self.admit_command(why, seen, out)
            && let Some(id) = found
        {
            self.retire(id);
            self.settle_doubt(name);
            self.images.get_mut(id).presence = Presence::Absent;
        }
    }
}
