//! The raw format: the bytes of the image file as they are, within a fixed size.

use blkproof_device::{BlockDevice, BlockStatus, Durability, IoResult, Load, Parcel, StatusKind};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Errno, Geometry, Length, Offset};

/// A raw image.
///
/// It raises `read_aio`, `write_aio` and the two events of a flush. A discard works in clusters of
/// 64 KiB, as it would on a qcow2 image of that cluster size; it is carried out as an unmapping
/// write of zeroes, because what a file does with a discard is up to the file.
#[derive(Debug)]
pub(crate) struct Raw<D> {
    file: D,
    size: u64,
    /// Something was written since the last flush that succeeded.
    written: bool,
    /// It was not flushed since it was opened: whoever had it open before may have been killed, and
    /// what it left is no less to be durable.
    inherited: bool,
}

impl<D: BlockDevice> Raw<D> {
    /// Opens the image that `file` is.
    pub(crate) fn open(file: D) -> Self {
        let size = file.size().0;
        Self {
            file,
            size,
            written: false,
            inherited: true,
        }
    }

    fn check(&self, start: u64, len: u64) -> IoResult<()> {
        match start.checked_add(len) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(Errno::EIO.into()),
        }
    }

    /// Returns the whole clusters of `range`; the last cluster of the disk may be a short one.
    fn whole_clusters(&self, range: ByteRange) -> ByteRange {
        let cluster = Geometry::DEFAULT_CLUSTER.0;
        let mut whole = range.inward(cluster);
        if range.end() == self.size && !self.size.is_multiple_of(cluster) {
            let start = range.start.next_multiple_of(cluster);
            whole = ByteRange::between(start, self.size);
        }
        whole
    }
}

impl<D: BlockDevice> BlockDevice for Raw<D> {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        self.check(offset.0, buf.len() as u64)?;
        self.file.event(Event::ReadAio)?;
        self.file.read_at(offset, buf)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        self.write_load(offset, Load::Bytes(data), durability)
    }

    fn write_compressed(&mut self, _: Offset, _: &[u8]) -> IoResult<()> {
        Err(Errno::ENOTSUP.into())
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        self.check(range.start, range.len)?;
        self.written = true;
        self.file.write_zeroes(range, unmap)
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.check(range.start, range.len)?;
        let whole = self.whole_clusters(range);
        if whole.is_empty() {
            return Ok(());
        }
        self.written = true;
        self.file.write_zeroes(whole, true)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.file.event(Event::FlushToOs)?;
        if self.written {
            self.file.event(Event::FlushToDisk)?;
            self.file.flush()?;
            self.written = false;
        } else if self.inherited {
            self.file.flush()?;
        }
        self.inherited = false;
        Ok(())
    }

    fn size(&self) -> Length {
        Length(self.size)
    }

    /// Changes the size, durably: what is written behind the old end would be lost with it. Growing
    /// that cannot be made durable is taken back; what was cut off cannot be.
    fn set_size(&mut self, size: Length) -> IoResult<()> {
        self.written = true;
        self.file.set_size(size)?;
        if let Err(error) = self.file.flush()
            && size.0 > self.size
        {
            self.file.set_size(Length(self.size))?;
            return Err(error);
        }
        self.size = size.0;
        Ok(())
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        self.check(range.start, range.len)?;
        let mut status = self.file.block_status(range)?;
        if status.kind == StatusKind::Hole {
            status.kind = StatusKind::Zero;
        }
        Ok(status)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.file.event(event)
    }

    fn read_parcel(&mut self, range: ByteRange, parcel: &mut Parcel) -> IoResult<()> {
        self.check(range.start, range.len)?;
        self.file.event(Event::ReadAio)?;
        self.file.read_parcel(range, parcel)
    }

    fn write_load(
        &mut self,
        offset: Offset,
        load: Load<'_>,
        durability: Durability,
    ) -> IoResult<()> {
        self.check(offset.0, load.len())?;
        self.written = true;
        self.file.event(Event::WriteAio)?;
        self.file.write_load(offset, load, durability)
    }
}
