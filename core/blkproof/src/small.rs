//! A seam of four methods, for engines that only write, read and back up.
//!
//! [`SmallSubject`] makes a [`Subject`] of a [`SmallEngine`]. It gives every disk of the setup an
//! engine of its own, on a device of the store, so that faults strike beneath it. The engine has no
//! bitmaps: its incremental backups hold what was written since its last backup. Steps that mean
//! anything else are answered with `refused(unsupported)`.

use core::fmt;

use blkproof_device::{BlockDevice, Durability, IoError, IoResult, Store};
use blkproof_spec::content::{Bytes, Content};
use blkproof_spec::scenario::Role;
use blkproof_spec::step::{
    Action, Backup, BitmapCommand, BitmapStep, Create, GuestOp, Run, Sync, TargetMode,
};
use blkproof_spec::{
    At, BitmapName, ByteRange, Capabilities, DiskId, Errno, ImageName, JobEvent, Offset, Refusal,
    Reply, Setup, Status, StepNumber, WriteNumber,
};

use crate::subject::{Subject, SubjectError};

/// The longest request that is carried out, as in QEMU.
const REQUEST_MAX: u64 = (1 << 31) - 512;

/// What a [`SmallEngine`] reads from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source<'a> {
    /// Its disk, as the guest sees it.
    Disk,
    /// A backup, restored with all that it builds on.
    Backup(&'a str),
}

/// A backup engine for one disk.
///
/// ```
/// use std::collections::{BTreeMap, BTreeSet};
///
/// use blkproof::device::{BlockDevice, Durability, IoResult};
/// use blkproof::spec::Offset;
/// use blkproof::{Options, Outcome, Runner, SmallEngine, SmallSubject, Source};
///
/// const BLOCK: usize = 4096;
///
/// /// Copies the blocks that were written since the last backup.
/// #[derive(Debug)]
/// struct Copier {
///     disk: Box<dyn BlockDevice>,
///     dirty: BTreeSet<u64>,
///     backups: BTreeMap<String, BTreeMap<u64, Vec<u8>>>,
///     last: Option<String>,
/// }
///
/// impl Copier {
///     fn copy(&mut self, to: &str, blocks: BTreeSet<u64>, on: Option<String>) -> IoResult<()> {
///         let on = on.and_then(|on| self.backups.get(&on).cloned());
///         let mut copy = on.unwrap_or_default();
///         for block in blocks {
///             let mut data = vec![0; BLOCK];
///             self.disk.read_at(Offset(block * BLOCK as u64), &mut data)?;
///             copy.insert(block, data);
///         }
///         self.backups.insert(to.to_owned(), copy);
///         self.last = Some(to.to_owned());
///         self.dirty.clear();
///         Ok(())
///     }
/// }
///
/// impl SmallEngine for Copier {
///     fn write(&mut self, offset: u64, data: &[u8]) -> IoResult<()> {
///         let end = offset + data.len() as u64;
///         self.dirty.extend(offset / BLOCK as u64..end.div_ceil(BLOCK as u64));
///         self.disk.write_at(Offset(offset), data, Durability::Later)
///     }
///
///     fn read(&mut self, from: Source<'_>, offset: u64, buf: &mut [u8]) -> IoResult<()> {
///         let Source::Backup(name) = from else {
///             return self.disk.read_at(Offset(offset), buf);
///         };
///         for (at, byte) in (offset..).zip(buf) {
///             let block = self.backups[name].get(&(at / BLOCK as u64));
///             *byte = block.map_or(0, |data| data[at as usize % BLOCK]);
///         }
///         Ok(())
///     }
///
///     fn full(&mut self, name: &str) -> IoResult<()> {
///         let blocks = self.disk.size().0.div_ceil(BLOCK as u64);
///         self.copy(name, (0..blocks).collect(), None)
///     }
///
///     fn incremental(&mut self, name: &str) -> IoResult<()> {
///         self.copy(name, self.dirty.clone(), self.last.clone())
///     }
/// }
///
/// let mut subject = SmallSubject::new(|disk| Copier {
///     disk,
///     dirty: BTreeSet::new(),
///     backups: BTreeMap::new(),
///     last: None,
/// });
/// let scenario = blkproof::text::parse(
///     b"blkproof 1
/// disk drive0 1M raw
/// write drive0 0 64k stamp
/// bitmap add drive0 b0
/// backup drive0 full to=full0
/// write drive0 32k 512 fill=0x41
/// create inc0 qcow2 backing=full0
/// backup drive0 incremental bitmap=b0 to=inc0 mode=existing
/// check inc0 == drive0
/// ",
/// )?;
/// let outcome = Runner::new(Options::default()).run(&scenario, &mut subject, None);
/// assert!(matches!(outcome, Outcome::Held(_)), "{outcome:?}");
/// # Ok::<(), blkproof::text::Diagnostics>(())
/// ```
pub trait SmallEngine: fmt::Debug {
    /// Writes to the disk. The range lies within it.
    ///
    /// # Errors
    ///
    /// Those of the device beneath it; each sector of the range is old or new then.
    fn write(&mut self, offset: u64, data: &[u8]) -> IoResult<()>;

    /// Reads what the disk holds, or what a backup restores to. The range lies within it.
    ///
    /// # Errors
    ///
    /// Those of the devices beneath it.
    fn read(&mut self, from: Source<'_>, offset: u64, buf: &mut [u8]) -> IoResult<()>;

    /// Backs up the whole disk.
    ///
    /// # Errors
    ///
    /// Those of the devices beneath it. There is no such backup then, and later ones are as if it
    /// had not been tried.
    fn full(&mut self, name: &str) -> IoResult<()>;

    /// Backs up what was written since the last backup that succeeded, on top of that one.
    ///
    /// # Errors
    ///
    /// As with [`SmallEngine::full`].
    fn incremental(&mut self, name: &str) -> IoResult<()>;
}

/// A [`Subject`] made of small engines, one for each disk.
pub struct SmallSubject<E, F> {
    make: F,
    disks: Vec<Disk<E>>,
    targets: Vec<Target>,
    data: Vec<u8>,
}

#[derive(Debug)]
struct Disk<E> {
    id: DiskId,
    name: ImageName,
    size: u64,
    engine: E,
    /// The bitmap that stands for what the engine records, if it stands for that already.
    bitmap: Option<BitmapName>,
    /// Whether the bitmap was there when the last backup was made.
    since_last: bool,
    last: Option<ImageName>,
}

/// An image that was created, and maybe written by a backup.
#[derive(Debug)]
struct Target {
    name: ImageName,
    backing: Option<ImageName>,
    /// The disk that is backed up in it.
    disk: Option<usize>,
}

impl<E, F> SmallSubject<E, F>
where
    E: SmallEngine,
    F: FnMut(Box<dyn BlockDevice>) -> E,
{
    /// Makes a subject whose engines come from `make`, which is given the device of a disk.
    pub fn new(make: F) -> Self {
        Self {
            make,
            disks: Vec::new(),
            targets: Vec::new(),
            data: Vec::new(),
        }
    }

    fn disk(&self, at: &At) -> Result<usize, Reply> {
        let found = self.disks.iter().position(|disk| disk.name == *at.name());
        found.ok_or(Reply::Refused(Refusal::NoSuchDevice))
    }

    fn guest(&mut self, at: &At, op: &GuestOp, number: StepNumber, read: &mut Vec<u8>) -> Reply {
        let index = match self.disk(at) {
            Ok(index) => index,
            Err(reply) => return reply,
        };
        let disk = &mut self.disks[index];
        let range = op.range();
        if range.end() > disk.size || range.len > REQUEST_MAX {
            return Reply::Failed(Errno::EIO);
        }
        let bytes = match op {
            GuestOp::Flush => return Reply::Done,
            GuestOp::Discard { .. }
            | GuestOp::Write {
                compressed: true, ..
            } => return Reply::Refused(Refusal::Unsupported),
            GuestOp::Read { .. } => {
                read.resize(memory(range.len), 0);
                return answer(disk.engine.read(Source::Disk, range.start, read));
            }
            GuestOp::Write { content, .. } => Bytes::of(*content, disk.id, WriteNumber(number.0)),
            GuestOp::WriteZeroes { .. } => Bytes::of(Content::Fill(0), disk.id, WriteNumber(0)),
        };
        self.data.resize(memory(range.len), 0);
        bytes.generate(range.start, &mut self.data);
        answer(disk.engine.write(range.start, &self.data))
    }

    fn bitmap(&mut self, step: &BitmapStep) -> Reply {
        let index = match self.disk(&step.at) {
            Ok(index) => index,
            Err(reply) => return reply,
        };
        let disk = &mut self.disks[index];
        let plain = BitmapCommand::Add {
            granularity: None,
            persistent: false,
            disabled: false,
        };
        if step.command != plain || disk.bitmap.is_some() {
            return Reply::Refused(Refusal::Unsupported);
        }
        disk.bitmap = Some(step.name.clone());
        disk.since_last = false;
        Reply::Done
    }

    fn create(&mut self, create: &Create) -> Reply {
        if self
            .targets
            .iter()
            .any(|target| target.name == create.image)
        {
            return Reply::Refused(Refusal::ImageExists);
        }
        self.targets.push(Target {
            name: create.image.clone(),
            backing: create.backing.clone(),
            disk: None,
        });
        Reply::Done
    }

    fn back_up(&mut self, backup: &Backup) -> Reply {
        let unsupported = Reply::Refused(Refusal::Unsupported);
        let index = match self.disk(&backup.at) {
            Ok(index) => index,
            Err(reply) => return reply,
        };
        // What is not copied over here is not understood, and stays at its default.
        let mut plain = Backup::new(backup.at.name().clone(), backup.sync, backup.target.clone());
        plain.at = backup.at.clone();
        plain.job = backup.job.clone();
        plain.bitmap = backup.bitmap.clone();
        plain.mode = backup.mode;
        if *backup != plain {
            return unsupported;
        }
        let target = match backup.sync {
            Sync::Full => self.fresh_target(backup),
            Sync::Incremental => self.continuing_target(backup, &self.disks[index]),
            _ => None,
        };
        match target {
            Some(target) => self.carry_out(index, target, backup.sync),
            None => unsupported,
        }
    }

    /// Returns the target of a full backup, which it makes itself.
    fn fresh_target(&mut self, backup: &Backup) -> Option<usize> {
        let is_there = self
            .targets
            .iter()
            .any(|target| target.name == backup.target);
        let makes_it = matches!(backup.mode, TargetMode::Create { .. });
        if is_there || !makes_it || backup.bitmap.is_some() {
            return None;
        }
        self.targets.push(Target {
            name: backup.target.clone(),
            backing: None,
            disk: None,
        });
        Some(self.targets.len() - 1)
    }

    /// Returns the target of an incremental backup, if that means what the engine does: its bitmap
    /// has counted since the last backup, on which the target stands.
    fn continuing_target(&self, backup: &Backup, disk: &Disk<E>) -> Option<usize> {
        let targets = &self.targets;
        let position = targets
            .iter()
            .position(|target| target.name == backup.target)?;
        let target = &targets[position];
        let continues = backup.mode == TargetMode::Existing
            && disk.since_last
            && backup.bitmap == disk.bitmap
            && target.disk.is_none()
            && target.backing.is_some()
            && target.backing == disk.last;
        continues.then_some(position)
    }

    fn carry_out(&mut self, index: usize, target: usize, sync: Sync) -> Reply {
        let disk = &mut self.disks[index];
        let name = self.targets[target].name.clone();
        let result = match sync {
            Sync::Full => disk.engine.full(name.as_str()),
            _ => disk.engine.incremental(name.as_str()),
        };
        if result.is_ok() {
            self.targets[target].disk = Some(index);
            disk.last = Some(name);
            disk.since_last = disk.bitmap.is_some();
        }
        answer(result)
    }
}

impl<E, F> Subject for SmallSubject<E, F>
where
    E: SmallEngine,
    F: FnMut(Box<dyn BlockDevice>) -> E,
{
    fn capabilities(&self) -> Capabilities {
        Capabilities::MINIMAL
    }

    fn prepare(&mut self, mut store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        let there = store.list();
        for disk in &setup.disks {
            if there.contains(&disk.name) {
                continue;
            }
            let mut device = store
                .create(&disk.name, disk.geometry.size)
                .map_err(|error| SubjectError::new(error.to_string()))?;
            for (range, byte) in &disk.contents {
                fill(&mut *device, *range, *byte)
                    .map_err(|error| SubjectError::new(error.to_string()))?;
            }
        }
        Ok(())
    }

    fn open(&mut self, mut store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.disks.clear();
        self.targets.clear();
        for (index, disk) in setup.disks.iter().enumerate() {
            if disk.role == Role::Image || disk.backing.is_some() {
                return Err(SubjectError::new(
                    "a small engine has neither images nor backing files",
                ));
            }
            let device = store
                .open(&disk.name)
                .map_err(|error| SubjectError::new(error.to_string()))?;
            self.disks.push(Disk {
                id: DiskId(u32::try_from(index).unwrap_or(u32::MAX)),
                name: disk.name.clone(),
                size: disk.geometry.size.0,
                engine: (self.make)(device),
                bitmap: None,
                since_last: false,
                last: None,
            });
        }
        Ok(())
    }

    fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        match action {
            Action::Guest { at, op } => self.guest(at, op, number, read),
            Action::Bitmap(step) => self.bitmap(step),
            Action::Create(create) => self.create(create),
            Action::Backup {
                backup,
                run: Run::Finish,
            } => self.back_up(backup),
            Action::Install(_) | Action::Lift(_) | Action::LiftAll | Action::Tick(_) => Reply::Done,
            _ => Reply::Refused(Refusal::Unsupported),
        }
    }

    fn peek(&mut self, at: &At, range: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError> {
        let (index, source) = match self.disk(at) {
            Ok(index) => (index, Source::Disk),
            Err(_) => {
                let target = self.targets.iter().find(|target| target.name == *at.name());
                let disk = target.and_then(|target| target.disk);
                let disk = disk.ok_or_else(|| SubjectError::new("there is no such backup"))?;
                (disk, Source::Backup(at.name().as_str()))
            }
        };
        let engine = &mut self.disks[index].engine;
        let result = engine.read(source, range.start, buf);
        result.map_err(|error| SubjectError::new(error.to_string()))
    }

    fn status(&mut self, _: &mut Status) {}

    fn drain_events(&mut self, _: &mut Vec<JobEvent>) {}

    fn close(&mut self) -> Result<(), SubjectError> {
        Ok(())
    }
}

impl<E: fmt::Debug, F> fmt::Debug for SmallSubject<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmallSubject")
            .field("disks", &self.disks)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

/// Returns how much memory holds `len` bytes. A step touches no more than memory can hold.
fn memory(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// Small engines have no requests in flight: one that would have to wait fails.
fn answer(result: IoResult<()>) -> Reply {
    match result {
        Ok(()) => Reply::Done,
        Err(IoError::Failed(errno)) => Reply::Failed(errno),
        Err(IoError::Wait(_)) => Reply::Failed(Errno::EIO),
    }
}

fn fill(device: &mut dyn BlockDevice, range: ByteRange, byte: u8) -> IoResult<()> {
    const PIECE: u64 = 64 << 10;
    let data = vec![byte; memory(PIECE.min(range.len))];
    let mut offset = range.start;
    while offset < range.end() {
        let len = PIECE.min(range.end() - offset);
        device.write_at(Offset(offset), &data[..memory(len)], Durability::Later)?;
        offset += len;
    }
    Ok(())
}
