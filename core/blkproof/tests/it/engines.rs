//! Small engines: one that is right, and canaries that lie in one way each.

use std::collections::{BTreeMap, BTreeSet};

use blkproof::device::{BlockDevice, Durability, IoResult};
use blkproof::spec::Offset;
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
    /// It says that writes fail that succeed.
    ClaimsErrors,
    /// It panics when it is asked for an incremental backup.
    Panics,
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

impl SmallEngine for Copier {
    fn write(&mut self, offset: u64, data: &[u8]) -> IoResult<()> {
        let end = (offset + data.len() as u64).div_ceil(BLOCK);
        let tail = u64::from(self.lie == Lie::ForgetsTail);
        self.dirty.extend(offset / BLOCK..end - tail);
        let moved = u64::from(self.lie == Lie::WritesElsewhere);
        self.disk
            .write_at(Offset(offset + moved), data, Durability::Later)?;
        match self.lie {
            Lie::ClaimsErrors => Err(blkproof::spec::Errno::EIO.into()),
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
        let blocks = match self.lie {
            Lie::SkipsSecond => BTreeSet::new(),
            _ => self.dirty.clone(),
        };
        self.back_up(name, blocks, self.last.clone())
    }
}
