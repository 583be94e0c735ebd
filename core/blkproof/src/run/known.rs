//! Which images there are, of which format and size: what the runner needs to look at them.

use std::collections::BTreeMap;

use blkproof_spec::scenario::Role;
use blkproof_spec::step::{Action, Backup, TargetMode, TransactionAction};
use blkproof_spec::{Format, ImageName, Length, Setup};

/// The images that the scenario brought about. An image that a refused step may have made or not is
/// among them: whether it is there, the store knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    images: BTreeMap<ImageName, Image>,
    /// How often an image came about or changed its size.
    births: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) format: Format,
    pub(super) size: Length,
    /// Whether a guest has it open.
    pub(super) is_disk: bool,
    /// Different for images of the same name that came about one after the other.
    pub(super) birth: u64,
}

impl Known {
    pub(super) fn clear(&mut self) {
        self.images.clear();
    }

    pub(super) fn get(&self, name: &ImageName) -> Option<&Image> {
        self.images.get(name)
    }

    pub(super) fn setup(&mut self, setup: &Setup) {
        self.images.extend(setup.disks.iter().map(|disk| {
            let image = Image {
                format: disk.geometry.format,
                size: disk.geometry.size,
                is_disk: disk.role != Role::Image,
                birth: 0,
            };
            (disk.name.clone(), image)
        }));
    }

    /// Takes in a step that was done.
    pub(super) fn note(&mut self, action: &Action) {
        match action {
            Action::Create(create) => {
                let backing = create.backing.as_ref().and_then(|name| self.get(name));
                let size = create.size.or(backing.map(|image| image.size));
                self.insert(&create.image, create.format, size.unwrap_or_default());
            }
            Action::Remove { image } => self.forget(image),
            Action::Resize { at, size } => self.resize(at.name(), *size),
            other => self.note_targets(other),
        }
    }

    /// Takes in that an image is gone.
    pub(super) fn forget(&mut self, name: &ImageName) {
        self.images.remove(name);
    }

    /// Takes in that an image has this size.
    pub(super) fn resize(&mut self, name: &ImageName, size: Length) {
        self.births += 1;
        if let Some(image) = self.images.get_mut(name) {
            image.size = size;
            image.birth = self.births;
        }
    }

    /// Takes in the targets that a step names, whether or not it was done.
    pub(super) fn note_targets(&mut self, action: &Action) {
        match action {
            Action::Backup { backup, .. } => self.target(backup),
            Action::Transaction { actions, .. } => {
                for action in actions {
                    if let TransactionAction::Backup(backup) = action {
                        self.target(backup);
                    }
                }
            }
            _ => {}
        }
    }

    fn target(&mut self, backup: &Backup) {
        let TargetMode::Create { format } = backup.mode else {
            return;
        };
        let Some(source) = self.get(backup.at.name()) else {
            return;
        };
        let (format, size) = (format.unwrap_or(source.format), source.size);
        if self.get(&backup.target).is_none() {
            self.insert(&backup.target, format, size);
        }
    }

    fn insert(&mut self, name: &ImageName, format: Format, size: Length) {
        self.births += 1;
        let image = Image {
            format,
            size,
            is_disk: false,
            birth: self.births,
        };
        self.images.insert(name.clone(), image);
    }
}
