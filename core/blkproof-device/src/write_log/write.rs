//! Writing logs.

use blkproof_spec::{ByteRange, Errno, Length, Offset};

use super::{DISCARD, ENTRY, FLUSH, FUA, MAGIC, MARK, RESIZE, SECTORS, SUPER, VERSION};
use crate::block_device::{BlockDevice, Durability, IoResult};

/// Writes a log, entry by entry. There is no log before [`Writer::finish`].
#[derive(Debug)]
pub struct Writer<D> {
    log: D,
    sector: u64,
    count: u64,
    at: u64,
}

impl<D: BlockDevice> Writer<D> {
    /// Begins a log with sectors of this size on `log`, which is empty. `EINVAL` where sectors
    /// cannot have it.
    pub fn new(log: D, sector: Length) -> IoResult<Self> {
        if !SECTORS.contains(&sector.0) || !sector.0.is_power_of_two() {
            return Err(Errno::EINVAL.into());
        }
        Ok(Self {
            log,
            sector: sector.0,
            count: 0,
            at: sector.0,
        })
    }

    /// Returns how many entries there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the size of the log's sectors.
    #[must_use]
    pub fn sector(&self) -> Length {
        Length(self.sector)
    }

    /// Adds that everything before is durable.
    pub fn flush(&mut self) -> IoResult<()> {
        self.entry(ByteRange::default(), FLUSH, &[])
    }

    /// Adds that whole sectors were written. `EINVAL` where they are not whole.
    pub fn write(&mut self, start: u64, data: &[u8], durability: Durability) -> IoResult<()> {
        let flags = match durability {
            Durability::Later => 0,
            Durability::Now => FUA,
        };
        self.entry(ByteRange::new(start, data.len() as u64), flags, &[])?;
        self.log
            .write_at(Offset(self.at), data, Durability::Later)?;
        self.at += data.len() as u64;
        Ok(())
    }

    /// Adds that whole sectors were zeroed; they take no space where the log can be sparse.
    pub fn write_zeroes(&mut self, range: ByteRange) -> IoResult<()> {
        self.entry(range, 0, &[])?;
        let end = self.at.checked_add(range.len).ok_or(Errno::EFBIG)?;
        self.log
            .write_zeroes(ByteRange::between(self.at, end), true)?;
        self.at = end;
        Ok(())
    }

    /// Adds that whole sectors were given up.
    pub fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.entry(range, DISCARD, &[])
    }

    /// Adds a note. `EINVAL` where it is too long.
    pub fn mark(&mut self, text: &str) -> IoResult<()> {
        self.entry(ByteRange::default(), MARK, text.as_bytes())
    }

    /// Adds that the device has another size from now on.
    pub fn resize(&mut self, size: Length) -> IoResult<()> {
        self.mark(&format!("{RESIZE}{size}"))
    }

    fn entry(&mut self, range: ByteRange, flags: u64, text: &[u8]) -> IoResult<()> {
        let (sector, text_len) = (self.sector, text.len() as u64);
        let is_whole = range.start.is_multiple_of(sector) && range.len.is_multiple_of(sector);
        if !is_whole || text_len > sector - ENTRY as u64 {
            return Err(Errno::EINVAL.into());
        }
        let words = [range.start / sector, range.len / sector, flags, text_len];
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        bytes.extend_from_slice(text);
        self.put(self.at, bytes)?;
        self.at += sector;
        self.count += 1;
        Ok(())
    }

    /// Writes a sector that begins with these bytes.
    fn put(&mut self, at: u64, mut bytes: Vec<u8>) -> IoResult<()> {
        let len = usize::try_from(self.sector).map_err(|_| Errno::EINVAL)?;
        bytes.resize(len, 0);
        self.log.write_at(Offset(at), &bytes, Durability::Later)
    }

    /// Ends the log, makes it durable and gives the device back that holds it.
    pub fn finish(mut self) -> IoResult<D> {
        let mut bytes = Vec::with_capacity(SUPER);
        for word in [MAGIC, VERSION, self.count] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        let sector = u32::try_from(self.sector).map_err(|_| Errno::EINVAL)?;
        bytes.extend_from_slice(&sector.to_le_bytes());
        self.log.flush()?;
        self.put(0, bytes)?;
        self.log.flush()?;
        Ok(self.log)
    }
}
