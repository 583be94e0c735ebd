//! The image as a block device.

use blkproof_device::{BlockDevice, BlockStatus, Durability, IoResult, Load, Parcel};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, DiscardMode, Errno, Length, Offset};

use crate::error::Inner;
use crate::image::Qcow2;
use crate::mistake::Mistake;
use crate::read::Sink;
use crate::zero::Erase;

impl<D: BlockDevice> Qcow2<D> {
    /// Refuses what does not lie within the image.
    fn check_range(&self, start: u64, len: u64) -> Inner<ByteRange> {
        match ByteRange::checked(start, len) {
            Some(range) if range.end() <= self.header.size => Ok(range),
            _ => Err(Errno::EIO.into()),
        }
    }

    /// Refuses to change what does not lie within the image, or may not be changed.
    pub(crate) fn check_change(&self, start: u64, len: u64) -> Inner<ByteRange> {
        let range = self.check_range(start, len)?;
        self.check_writable()?;
        Ok(range)
    }

    pub(crate) fn check_writable(&self) -> Inner<()> {
        if self.options.read_only {
            return Err(Errno::EPERM.into());
        }
        Ok(())
    }

    fn try_read(&mut self, offset: u64, len: u64, mut sink: Sink<'_>) -> Inner<()> {
        self.check_range(offset, len)?;
        self.read(offset, len, &mut sink)
    }

    fn try_write(&mut self, offset: u64, load: Load<'_>, durability: Durability) -> Inner<()> {
        let range = self.check_change(offset, load.len())?;
        if range.is_empty() {
            return Ok(());
        }
        self.begin_change()?;
        self.write(offset, load)?;
        self.finish(durability)
    }

    /// Makes a finished change durable where that was asked for.
    pub(crate) fn finish(&mut self, durability: Durability) -> Inner<()> {
        match durability {
            Durability::Later => Ok(()),
            Durability::Now if self.makes(Mistake::ThroughWithoutTables) => {
                self.file.flush().map_err(Into::into)
            }
            Durability::Now => self.flush_quietly(),
        }
    }

    fn try_write_zeroes(&mut self, range: ByteRange, unmap: bool) -> Inner<()> {
        let range = self.check_change(range.start, range.len)?;
        if range.is_empty() {
            return Ok(());
        }
        self.begin_change()?;
        self.zero(range, unmap)
    }

    fn try_discard(&mut self, range: ByteRange) -> Inner<()> {
        let range = self.check_change(range.start, range.len)?;
        if range.is_empty() || self.options.discard == DiscardMode::Ignore {
            return Ok(());
        }
        self.begin_change()?;
        self.erase(self.whole_clusters(range), Erase::Discard)
    }

    fn try_status(&mut self, range: ByteRange) -> Inner<BlockStatus> {
        let range = self.check_range(range.start, range.len)?;
        self.status(range)
    }
}

impl<D: BlockDevice> BlockDevice for Qcow2<D> {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        let result = self.try_read(offset.0, buf.len() as u64, Sink::Bytes(buf));
        self.settle(result)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        let result = self.try_write(offset.0, Load::Bytes(data), durability);
        self.settle(result)
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        let result = self.try_write_compressed(offset.0, data);
        self.settle(result)
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        let result = self.try_write_zeroes(range, unmap);
        self.settle(result)
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        let result = self.try_discard(range);
        self.settle(result)
    }

    fn flush(&mut self) -> IoResult<()> {
        let result = self.flush_node();
        self.settle(result)
    }

    fn size(&self) -> Length {
        Length(self.header.size)
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        let result = self.resize(size.0);
        self.settle(result)
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        let result = self.try_status(range);
        self.settle(result)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.file.event(event)
    }

    fn read_parcel(&mut self, range: ByteRange, parcel: &mut Parcel) -> IoResult<()> {
        let result = self.try_read(range.start, range.len, Sink::Parcel(parcel));
        self.settle(result)
    }

    fn write_load(
        &mut self,
        offset: Offset,
        load: Load<'_>,
        durability: Durability,
    ) -> IoResult<()> {
        let result = self.try_write(offset.0, load, durability);
        self.settle(result)
    }
}
