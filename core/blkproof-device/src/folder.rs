//! A folder of real files as the media of a store.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Component, Path, PathBuf};

use blkproof_spec::{Errno, ImageName, Length};

use crate::block_device::BlockDevice;
use crate::fault_store::FaultStore;
use crate::file_disk::{FileDisk, errno};
use crate::media::Media;
use crate::store::StoreError;

/// A store of the files of a folder, which other programs can look at.
pub type FolderStore = FaultStore<Folder>;

/// A folder of real files.
///
/// An image's name is its file's name. Names that could lead out of the folder, and what is no
/// regular file, are refused.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Takes the folder at `path`, which must be there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the path of an image's file.
    pub fn path_of(&self, name: &ImageName) -> Result<PathBuf, StoreError> {
        let mut parts = Path::new(name.as_str()).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(part)), None) if part == name.as_str() => {
                Ok(self.path.join(part))
            }
            _ => Err(StoreError::Failed(name.clone(), Errno::EINVAL)),
        }
    }
}

impl FolderStore {
    /// Makes a store of the files of the folder at `path`, which must be there.
    #[must_use]
    pub fn in_folder(path: impl Into<PathBuf>) -> Self {
        Self::on(Folder::new(path))
    }
}

fn failed(name: &ImageName) -> impl Fn(io::Error) -> StoreError + '_ {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::Missing(name.clone()),
        io::ErrorKind::AlreadyExists => StoreError::Exists(name.clone()),
        _ => StoreError::Failed(name.clone(), errno(&error)),
    }
}

impl Media for Folder {
    type Disk = FileDisk;

    fn create(&mut self, name: &ImageName, size: Length) -> Result<FileDisk, StoreError> {
        let path = self.path_of(name)?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true);
        let mut disk = FileDisk::new(options.open(&path).map_err(failed(name))?);
        if disk.set_size(size).is_err() {
            fs::remove_file(&path).map_err(failed(name))?;
            return Err(StoreError::Failed(name.clone(), Errno::EFBIG));
        }
        Ok(disk)
    }

    fn find(&mut self, name: &ImageName) -> Result<FileDisk, StoreError> {
        let path = self.path_of(name)?;
        let kind = fs::symlink_metadata(&path).map_err(failed(name))?;
        if !kind.is_file() {
            return Err(StoreError::Failed(name.clone(), Errno::EINVAL));
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(&path);
        Ok(FileDisk::new(file.map_err(failed(name))?))
    }

    fn remove(&mut self, name: &ImageName) -> Result<(), StoreError> {
        fs::remove_file(self.path_of(name)?).map_err(failed(name))
    }

    fn list(&self) -> Vec<ImageName> {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return Vec::new();
        };
        entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .filter_map(|entry| Some(ImageName::new(entry.file_name().to_str()?)))
            .collect()
    }
}
