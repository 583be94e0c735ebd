//! Small engines: one that is right, and canaries that lie in one way each.

use std::collections::{BTreeMap, BTreeSet};

use blkproof::device::{BlockDevice, Durability, IoResult};
use blkproof::spec::{ByteRange, Offset};
use blkproof::{SmallEngine, SmallSubject, Source};

const BLOCK: u64 = 4096;
const BLOCK_LEN: usize = 4096;

/// How an engine lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lie {
    /// It does not.
    Nothing,
    /// It forgets that the last block of a write is dirty.
    ForgetsTail,
    /// A backup that cannot read the disk says that it succeeded.
    HidesErrors,
    /// It writes the first byte of each write one off.
    WritesElsewhere,
    /// It backs up nothing the second time.
    SkipsSecond,
    /// Its reads of the disk return zeroes.
    ReadsZeroes,
    /// It asks its disk behind each write what lies there, and makes no use of it.
    Dawdles,
    /// It says that writes fail that succeed.
    ClaimsErrors,
    /// It panics when it is asked for an incremental backup.
    Panics,
    /// It forgets that the last block of a write is dirty, and panics at the third backup.
    ForgetsTailAndPanics,
    /// It reads its disk without end, whatever comes of that.
    ReadsForEver,
    /// It writes behind the end of its disk without end.
    WritesForEver,
    /// It waits for something that never comes about, when it is asked for an incremental backup.
    Hangs,
    /// It aborts when it is asked for an incremental backup.
    Aborts,
    /// It calls itself without end.
    OverflowsItsStack,
    /// It takes memory without end.
    TakesMemory,
    /// It ends the process.
    Exits,
}

/// Copies the blocks that were written since the last backup.
#[derive(Debug)]
pub(crate) struct Copier {
    lie: Lie,
    disk: Box<dyn BlockDevice>,
    dirty: BTreeSet<u64>,
    backups: BTreeMap<String, BTreeMap<u64, Vec<u8>>>,
    last: Option<String>,
}

/// Makes a subject of copiers.
pub(crate) fn copiers(
    lie: Lie,
) -> SmallSubject<Copier, impl FnMut(Box<dyn BlockDevice>) -> Copier> {
    SmallSubject::new(move |disk| Copier {
        lie,
        disk,
        dirty: BTreeSet::new(),
        backups: BTreeMap::new(),
        last: None,
    })
}

impl Copier {
    fn back_up(&mut self, name: &str, blocks: BTreeSet<u64>, base: Option<String>) -> IoResult<()> {
        let base = base.and_then(|base| self.backups.get(&base).cloned());
        let mut copy = base.unwrap_or_default();
        for block in blocks {
            let mut data = vec![0; BLOCK_LEN];
            match self.disk.read_at(Offset(block * BLOCK), &mut data) {
                Err(_) if self.lie == Lie::HidesErrors => {}
                result => result?,
            }
            copy.insert(block, data);
        }
        self.backups.insert(name.to_owned(), copy);
        self.last = Some(name.to_owned());
        self.dirty.clear();
        Ok(())
    }
}

impl Copier {
    /// Does what nobody may do.
    fn misbehave(&mut self) {
        match self.lie {
            Lie::ForgetsTailAndPanics => {
                assert!(self.backups.len() < 2, "a canary panics later");
            }
            Lie::ReadsForEver => loop {
                let _ = self.disk.read_at(Offset(0), &mut [0; 512]);
            },
            Lie::WritesForEver => {
                let megabyte = vec![1; 1 << 20];
                for offset in (0..).step_by(1 << 20) {
                    let _ = self
                        .disk
                        .write_at(Offset(offset), &megabyte, Durability::Later);
                }
            }
            Lie::Hangs => loop {
                std::thread::park();
            },
            Lie::Aborts => std::process::abort(),
            Lie::TakesMemory => {
                let mut taken: Vec<Vec<u8>> = Vec::new();
                loop {
                    taken.push(vec![1; 16 << 20]);
                }
            }
            Lie::OverflowsItsStack => {
                let before = self.backups.len();
                self.misbehave();
                // What comes behind the call keeps it from becoming a loop.
                assert_eq!(before, self.backups.len());
            }
            Lie::Exits => std::process::exit(0),
            _ => {}
        }
    }
}

impl SmallEngine for Copier {
    fn write(&mut self, offset: u64, data: &[u8]) -> IoResult<()> {
        let end = (offset + data.len() as u64).div_ceil(BLOCK);
        let forgets = [Lie::ForgetsTail, Lie::ForgetsTailAndPanics].contains(&self.lie);
        let tail = u64::from(forgets);
        self.dirty.extend(offset / BLOCK..end - tail);
        let moved = u64::from(self.lie == Lie::WritesElsewhere);
        self.disk
            .write_at(Offset(offset + moved), data, Durability::Later)?;
        match self.lie {
            Lie::ClaimsErrors => Err(blkproof::spec::Errno::EIO.into()),
            Lie::Dawdles => {
                let range = ByteRange::new(offset, data.len() as u64);
                // Whatever it answers.
                let _ = self.disk.block_status(range);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read(&mut self, from: Source<'_>, offset: u64, buf: &mut [u8]) -> IoResult<()> {
        let Source::Backup(name) = from else {
            self.disk.read_at(Offset(offset), buf)?;
            if self.lie == Lie::ReadsZeroes {
                buf.fill(0);
            }
            return Ok(());
        };
        for (at, byte) in (offset..).zip(buf) {
            let block = self.backups[name].get(&(at / BLOCK));
            *byte = block.map_or(0, |data| {
                data[usize::try_from(at % BLOCK).expect("it is small")]
            });
        }
        Ok(())
    }

    fn full(&mut self, name: &str) -> IoResult<()> {
        let blocks = self.disk.size().0.div_ceil(BLOCK);
        self.back_up(name, (0..blocks).collect(), None)
    }

    fn incremental(&mut self, name: &str) -> IoResult<()> {
        assert!(self.lie != Lie::Panics, "a canary panics");
        self.misbehave();
        let blocks = match self.lie {
            Lie::SkipsSecond => BTreeSet::new(),
            _ => self.dirty.clone(),
        };
        self.back_up(name, blocks, self.last.clone())
    }
}
