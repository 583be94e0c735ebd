//! A disk that is a file.

use core::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno, Length, Offset};

use crate::block_device::{BlockDevice, BlockStatus, Durability, IoResult, StatusKind};
use crate::mem_disk::end_of;
use crate::visible::{Piece, Visible, visit_copy};

/// How many zeroes are written at a time where holes cannot be punched.
const CHUNK: usize = 1 << 16;

/// A disk that is a file, which other programs can look at.
pub struct FileDisk {
    file: File,
}

impl FileDisk {
    /// Makes a disk of an open file. It must be open for reading and writing.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Makes what lies of `range` within the file read as zeroes.
    fn zero(&mut self, range: ByteRange) -> io::Result<()> {
        let range = range.intersect(ByteRange::new(0, self.len()?));
        if range.is_empty() || sparse::punch(&self.file, range)? {
            return Ok(());
        }
        let zeroes = [0; CHUNK];
        let mut position = range.start;
        while position < range.end() {
            let rest = usize::try_from(range.end() - position).unwrap_or(CHUNK);
            let piece = &zeroes[..rest.min(CHUNK)];
            self.file.write_all_at(piece, position)?;
            position += piece.len() as u64;
        }
        Ok(())
    }

    /// Returns the position behind the run that `start`, which lies within the file, belongs to,
    /// and whether it is data.
    fn run(&self, start: u64) -> io::Result<(u64, bool)> {
        let len = self.len()?;
        match sparse::next_data(&self.file, start)? {
            None => Ok((len, false)),
            Some(data) if data > start => Ok((data, false)),
            Some(_) => Ok((sparse::next_hole(&self.file, start)?.unwrap_or(len), true)),
        }
    }
}

/// Returns the error number of what the system answered.
pub(crate) fn errno(error: &io::Error) -> Errno {
    let number = error
        .raw_os_error()
        .and_then(|code| u16::try_from(code).ok());
    number.map_or(Errno::EIO, Errno)
}

fn settle<T>(result: io::Result<T>) -> IoResult<T> {
    result.map_err(|error| errno(&error).into())
}

impl BlockDevice for FileDisk {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        end_of(offset.0, buf.len() as u64)?;
        let (mut position, mut rest) = (offset.0, buf);
        while !rest.is_empty() {
            match self.file.read_at(rest, position) {
                Ok(0) => {
                    rest.fill(0);
                    break;
                }
                Ok(count) => {
                    rest = &mut rest[count..];
                    position += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return settle(Err(error)),
            }
        }
        Ok(())
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        end_of(offset.0, data.len() as u64)?;
        settle(self.file.write_all_at(data, offset.0))?;
        match durability {
            Durability::Later => Ok(()),
            Durability::Now => self.flush(),
        }
    }

    fn write_compressed(&mut self, _: Offset, _: &[u8]) -> IoResult<()> {
        Err(Errno::ENOTSUP.into())
    }

    fn write_zeroes(&mut self, range: ByteRange, _: bool) -> IoResult<()> {
        let end = end_of(range.start, range.len)?;
        settle(self.zero(range))?;
        if !range.is_empty() && end > settle(self.len())? {
            settle(self.file.set_len(end))?;
        }
        Ok(())
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        settle(self.zero(range))
    }

    fn flush(&mut self) -> IoResult<()> {
        settle(self.file.sync_data())
    }

    fn size(&self) -> Length {
        Length(self.len().unwrap_or(0))
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        end_of(0, size.0)?;
        settle(self.file.set_len(size.0))
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        let (end, data) = if range.start < self.size().0 {
            settle(self.run(range.start))?
        } else {
            (range.end(), false)
        };
        Ok(BlockStatus {
            len: Length(end.min(range.end()) - range.start),
            kind: if data {
                StatusKind::Data
            } else {
                StatusKind::Hole
            },
        })
    }

    fn event(&mut self, _: Event) -> IoResult<()> {
        Ok(())
    }
}

impl fmt::Debug for FileDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileDisk").field(&self.file).finish()
    }
}

/// Holes in files.
#[cfg(target_os = "linux")]
mod sparse {
    use std::fs::File;
    use std::io;

    use blkproof_spec::ByteRange;
    use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
    use rustix::io::Errno;

    /// Gives up `range`, and tells whether the file system can do that.
    pub(super) fn punch(file: &File, range: ByteRange) -> io::Result<bool> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(file, flags, range.start, range.len) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns where the next data lies, at `start` or behind.
    pub(super) fn next_data(file: &File, start: u64) -> io::Result<Option<u64>> {
        found(seek(file, SeekFrom::Data(start)))
    }

    /// Returns where the next hole lies, at `start` or behind; the end of the file is one.
    pub(super) fn next_hole(file: &File, start: u64) -> io::Result<Option<u64>> {
        found(seek(file, SeekFrom::Hole(start)))
    }

    fn found(position: rustix::io::Result<u64>) -> io::Result<Option<u64>> {
        match position {
            Ok(position) => Ok(Some(position)),
            Err(Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Elsewhere than on Linux everything is data.
#[cfg(not(target_os = "linux"))]
mod sparse {
    use std::fs::File;
    use std::io;

    use blkproof_spec::ByteRange;

    pub(super) fn punch(_: &File, _: ByteRange) -> io::Result<bool> {
        Ok(false)
    }

    pub(super) fn next_data(_: &File, start: u64) -> io::Result<Option<u64>> {
        Ok(Some(start))
    }

    pub(super) fn next_hole(_: &File, _: u64) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

impl Visible for FileDisk {
    fn visit(&mut self, range: ByteRange, see: &mut dyn FnMut(Piece<'_>)) -> IoResult<()> {
        visit_copy(self, range, see)
    }
}
