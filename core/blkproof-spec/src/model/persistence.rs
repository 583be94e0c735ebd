//! Bitmaps that outlive the subject: what becomes of them when it ends, well or not.

use super::Model;
use super::bitmaps::{Bitmap, Owner, Stored, Track};
use super::images::ImageId;
use super::judgement::{Judgement, Observation};
use super::names::Refusals;
use crate::name::BitmapName;
use crate::property::{bitmap_honest, refusal_harmless};
use crate::reply::{Refusal, Reply};
use crate::status::Status;
use crate::step::{Action, At, BitmapCommand, BitmapStep, TransactionAction};

/// The most bytes that the bits of a stored bitmap may take.
const BITS_MAX: u64 = 1 << 29;

/// Tells whether an image's file can hold a bitmap of a disk of `size`. That there is nothing to
/// track is found out only when it is stored.
pub(super) fn fits_in_file(size: u64, granularity: u64) -> bool {
    size.div_ceil(granularity).div_ceil(8) <= BITS_MAX
}

/// Judges the answer to a command that must be refused.
pub(super) fn judge_refusal(why: &Refusals, reply: Reply, out: &mut Judgement) {
    refusal_harmless::check(why, reply, out);
    let refused = matches!(reply, Reply::Refused(_));
    if why.any_of.contains(&Refusal::BitmapInconsistent) && !refused {
        bitmap_honest::trusted(reply, out);
    }
}

impl Model {
    /// Tells whether a bitmap of a disk cannot be known.
    pub(super) fn has_inconsistent(&self, disk: ImageId) -> bool {
        let mut bitmaps = self.bitmaps.iter();
        bitmaps.any(|bitmap| bitmap.owner == Owner::Disk(disk) && bitmap.inconsistent)
    }

    /// Takes in that the subject was shut down and started again: what is stored is left.
    ///
    /// Storing may have failed where a fault struck the image, or where one of its bitmaps does not
    /// fit into the file.
    pub(super) fn keep_stored(&mut self, seen: &Observation<'_>) {
        self.bitmaps.retain(|bitmap| bitmap.persistent);
        for index in 0..self.bitmaps.len() {
            let Owner::Disk(disk) = self.bitmaps[index].owner else {
                continue;
            };
            let image = self.images.get(disk);
            let struck = seen
                .fired
                .iter()
                .any(|fault| fault.place.image == image.name);
            let size = image.size();
            let unstorable = |bitmap: &Bitmap| {
                bitmap.owner == Owner::Disk(disk)
                    && (size == 0 || !fits_in_file(size, bitmap.granularity))
            };
            let doubtful = struck || self.bitmaps.iter().any(unstorable);
            let bitmap = &mut self.bitmaps[index];
            if bitmap.inconsistent {
                bitmap.doubt_removal();
                continue;
            }
            bitmap.came_back = true;
            if doubtful {
                bitmap.doubt_end();
            } else if !bitmap.open {
                bitmap.stored = Stored::Yes;
            }
        }
    }

    /// Takes in that the subject ended without a word: what is stored is left, and whether its file
    /// had flagged it, or had it at all, shows.
    ///
    /// After a `kill` the file shows what had been issued and may not be durable; a cut may bring
    /// back what was found to be gone then.
    pub(super) fn lose_bitmaps(&mut self, kill: bool) {
        self.bitmaps
            .retain(|bitmap| bitmap.persistent && matches!(bitmap.owner, Owner::Disk(_)));
        if !kill {
            for bitmap in std::mem::take(&mut self.power.vanished) {
                if self.bitmap_index(&bitmap.owner, &bitmap.name).is_none() {
                    self.bitmaps.push(bitmap);
                }
            }
        }
        for bitmap in &mut self.bitmaps {
            bitmap.reclaim();
            bitmap.removed = false;
            if bitmap.volatile && !kill {
                bitmap.stored = Stored::Unknown;
            }
            bitmap.volatile = kill && (bitmap.volatile || bitmap.stored != Stored::Yes);
            if bitmap.inconsistent {
                bitmap.doubt_removal();
            } else {
                bitmap.came_back = true;
                bitmap.doubt_end();
            }
        }
    }

    /// Leaves open whether the file still has what a transaction removed that was taken back.
    pub(super) fn doubt_removed(&mut self, actions: &[TransactionAction]) {
        for action in actions {
            if let TransactionAction::Bitmap(step) = action {
                self.doubt_file(step);
            }
        }
    }

    /// Leaves open whether the file still has what a command tried to remove.
    pub(super) fn doubt_file(&mut self, step: &BitmapStep) {
        if step.command == BitmapCommand::Remove
            && let Some(index) = self.bitmap_at(&step.at, &step.name)
            && self.bitmaps[index].stored == Stored::Yes
        {
            self.bitmaps[index].stored = Stored::Unknown;
        }
    }

    fn bitmap_at(&self, at: &At, name: &BitmapName) -> Option<usize> {
        let found = self.resolve(at)?;
        self.bitmap_index(&found.owner(), name)
    }

    /// Learns from a report what became of bitmaps that outlived an end that went wrong.
    pub(super) fn settle_open(&mut self, status: &Status) {
        let mut index = 0;
        while index < self.bitmaps.len() {
            let bitmap = &self.bitmaps[index];
            let Owner::Disk(disk) = bitmap.owner else {
                index += 1;
                continue;
            };
            if !bitmap.open {
                index += 1;
                continue;
            }
            match status.bitmap(&self.images.get(disk).name, &bitmap.name) {
                None if bitmap.stored != Stored::Yes => {
                    self.vanish(index);
                    continue;
                }
                None => {}
                Some(seen) if seen.inconsistent => self.lose(index),
                Some(_) => self.find_true(index),
            }
            index += 1;
        }
    }

    /// Learns from the answer to a command what became of bitmaps that outlived an end that went
    /// wrong, where no report told.
    pub(super) fn find_out_bitmaps(&mut self, step: &Action, reply: Reply) {
        if !self.bitmaps.iter().any(|bitmap| bitmap.open) {
            return;
        }
        match step {
            Action::Bitmap(step) => self.find_out_by(step, reply),
            Action::Backup { backup, .. } => {
                if let Some(name) = &backup.bitmap {
                    self.find_out_one(&backup.at, name, reply);
                }
            }
            Action::Resize { at, .. } => self.find_out_by_resize(at, reply),
            Action::Transaction { actions, .. } => {
                for action in actions {
                    match action {
                        TransactionAction::Abort => {}
                        TransactionAction::Bitmap(step) => self.find_out_by(step, reply),
                        TransactionAction::Backup(backup) => {
                            if let Some(name) = &backup.bitmap {
                                self.find_out_one(&backup.at, name, reply);
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn find_out_by(&mut self, step: &BitmapStep, reply: Reply) {
        match &step.command {
            // Whatever had the name is gone.
            BitmapCommand::Add { .. } if reply == Reply::Done => {
                if let Some(index) = self.bitmap_at(&step.at, &step.name)
                    && self.bitmaps[index].open
                {
                    self.vanish(index);
                }
            }
            BitmapCommand::Add { .. } => {}
            BitmapCommand::Remove if reply == Reply::Done => {}
            BitmapCommand::Merge { sources } => {
                for (at, name) in sources {
                    self.find_out_one(at.as_ref().unwrap_or(&step.at), name, reply);
                }
                // A merge of nothing is done whatever the state of the bitmap.
                if !sources.is_empty() || reply != Reply::Done {
                    self.find_out_one(&step.at, &step.name, reply);
                }
            }
            _ => self.find_out_one(&step.at, &step.name, reply),
        }
    }

    fn find_out_one(&mut self, at: &At, name: &BitmapName, reply: Reply) {
        let Some(index) = self.bitmap_at(at, name) else {
            return;
        };
        let bitmap = &self.bitmaps[index];
        if !bitmap.open {
            return;
        }
        match reply {
            Reply::Done | Reply::Failed(_) | Reply::Pending => self.find_true(index),
            Reply::Refused(Refusal::BitmapInconsistent) => self.lose(index),
            Reply::Refused(Refusal::NoSuchBitmap | Refusal::BackupBitmapNotFound)
                if bitmap.stored != Stored::Yes =>
            {
                self.vanish(index);
            }
            Reply::Refused(_) | Reply::Cut => {}
        }
    }

    /// A disk changes its size only if none of its bitmaps is inconsistent: one that was is gone,
    /// one that has to be there is true, and others are true or gone.
    fn find_out_by_resize(&mut self, at: &At, reply: Reply) {
        let Some(disk) = self.images.find(at.name()) else {
            return;
        };
        let of_disk = |bitmap: &Bitmap| bitmap.owner == Owner::Disk(disk) && bitmap.open;
        if reply == Reply::Done {
            self.bitmaps
                .retain(|bitmap| !(of_disk(bitmap) && bitmap.inconsistent));
            for bitmap in self.bitmaps.iter_mut().filter(|bitmap| of_disk(bitmap)) {
                bitmap.open = bitmap.stored != Stored::Yes;
            }
        } else if reply == Reply::Refused(Refusal::BitmapInconsistent)
            && !self.has_inconsistent(disk)
            && let Some(index) = self.bitmaps.iter().position(of_disk)
        {
            self.lose(index);
        }
    }

    /// A bitmap turned out to be gone.
    fn vanish(&mut self, index: usize) {
        let bitmap = self.bitmaps.remove(index);
        if bitmap.volatile {
            self.power.vanished.push(bitmap);
        }
    }

    /// Takes in that what the file of a disk says of its bitmaps is durable.
    pub(super) fn bitmaps_flushed(&mut self, disk: ImageId) {
        let owner = Owner::Disk(disk);
        self.power.vanished.retain(|bitmap| bitmap.owner != owner);
        for bitmap in &mut self.bitmaps {
            bitmap.volatile &= bitmap.owner != owner;
        }
    }

    /// A bitmap turned out to be true.
    fn find_true(&mut self, index: usize) {
        let bitmap = &mut self.bitmaps[index];
        bitmap.open = false;
        bitmap.stored = Stored::Yes;
    }

    /// A bitmap turned out to be inconsistent.
    fn lose(&mut self, index: usize) {
        let bitmap = &mut self.bitmaps[index];
        bitmap.open = false;
        bitmap.inconsistent = true;
        bitmap.stored = Stored::Yes;
        bitmap.track = Track::new(false, bitmap.track.since, bitmap.track.high);
        bitmap.track.gapless = false;
    }
}

impl Bitmap {
    /// Takes in, of one that is inconsistent and so is never stored anew, that it is gone if its
    /// removal from the file came about.
    fn doubt_removal(&mut self) {
        self.open |= self.stored == Stored::Unknown;
    }

    /// Takes in that storing it may have failed.
    fn doubt_end(&mut self) {
        self.open = true;
        if self.stored == Stored::No {
            self.stored = Stored::Unknown;
        }
    }
}
