//! Reading logs.

use blkproof_spec::{ByteRange, Length, Offset};

use super::{
    DISCARD, ENTRY, Entry, FLUSH, FUA, LogError, LogProblem, Logged, MAGIC, MARK, METADATA,
    SECTORS, SUPER, VERSION,
};
use crate::block_device::{BlockDevice, IoResult, StatusKind};

/// How many bytes of data an entry may have.
const DATA_MAX: u64 = 256 << 20;
/// How many of them are looked at at a time.
const PIECE: usize = 16 << 10;
/// Where the largest device ends.
const END_MAX: u64 = i64::MAX.unsigned_abs();

/// Reads a log, entry by entry. It takes no more memory than the data of one entry, of which there
/// are 256 MiB at most.
#[derive(Debug)]
pub struct Reader<D> {
    log: D,
    sector: u64,
    count: u64,
    /// How many entries were read.
    read: u64,
    /// Where the next one begins.
    at: u64,
}

impl<D: BlockDevice> Reader<D> {
    /// Begins to read the log that `log` holds.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or does not begin as a log does.
    pub fn new(mut log: D) -> Result<Self, LogError> {
        let wrong = |offset, problem| LogError {
            offset,
            entry: None,
            problem,
        };
        let len = log.size().0;
        if len < SUPER as u64 {
            let needed = Some(SUPER as u64);
            return Err(wrong(0, LogProblem::Truncated { needed, len }));
        }
        let mut bytes = [0; SUPER];
        log.read_at(Offset(0), &mut bytes)
            .map_err(|error| wrong(0, LogProblem::Io(error)))?;
        let (magic, version, count) = (word(&bytes, 0), word(&bytes, 8), word(&bytes, 16));
        let sector = word(&bytes, 20) >> 32;
        if magic != MAGIC {
            return Err(wrong(0, LogProblem::Magic(magic)));
        }
        if version != VERSION {
            return Err(wrong(8, LogProblem::Version(version)));
        }
        if !SECTORS.contains(&sector) || !sector.is_power_of_two() {
            return Err(wrong(24, LogProblem::SectorSize(sector)));
        }
        let most = (len / sector).saturating_sub(1);
        if count > most {
            return Err(wrong(16, LogProblem::Entries { count, most }));
        }
        Ok(Self {
            log,
            sector,
            count,
            read: 0,
            at: sector,
        })
    }

    /// Returns the size of the log's sectors.
    #[must_use]
    pub fn sector(&self) -> Length {
        Length(self.sector)
    }

    /// Returns how many entries the log has.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Reads the next entry; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is none. Nothing can be read behind it then.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, LogError> {
        if self.read == self.count {
            return Ok(None);
        }
        let (number, offset) = (self.read + 1, self.at);
        match self.entry(number, offset) {
            Ok(entry) => {
                self.read = number;
                Ok(Some(entry))
            }
            Err(problem) => Err(LogError {
                offset,
                entry: Some(number),
                problem,
            }),
        }
    }

    fn entry(&mut self, number: u64, offset: u64) -> Result<Entry, LogProblem> {
        let data = self.within(offset, self.sector)?;
        let mut head = [0; ENTRY];
        self.log
            .read_at(Offset(offset), &mut head)
            .map_err(LogProblem::Io)?;
        let (position, sectors) = (word(&head, 0), word(&head, 8));
        let (flags, text_len) = (word(&head, 16), word(&head, 24));
        if flags & !(FLUSH | FUA | DISCARD | MARK | METADATA) != 0 {
            return Err(LogProblem::Flags(flags));
        }
        let far = LogProblem::TooFar {
            sector: position,
            sectors,
        };
        let start = position.checked_mul(self.sector);
        let len = sectors.checked_mul(self.sector);
        let (Some(start), Some(len)) = (start, len) else {
            return Err(far);
        };
        if start.checked_add(len).is_none_or(|end| end > END_MAX) {
            return Err(far);
        }
        let has_data = flags & DISCARD == 0;
        self.at = self.within(data, if has_data { len } else { 0 })?;
        let range = ByteRange::new(start, len);
        let what = if flags & MARK != 0 {
            Logged::Mark(self.text(offset + ENTRY as u64, text_len)?)
        } else if len == 0 {
            Logged::Nothing
        } else if has_data {
            self.data(data, range, flags & FUA != 0)?
        } else {
            Logged::Discard(range)
        };
        Ok(Entry {
            number,
            offset,
            flush: flags & FLUSH != 0,
            fua: flags & FUA != 0,
            what,
        })
    }

    /// Returns the end of `len` bytes from `start` on, if the log has them.
    fn within(&self, start: u64, len: u64) -> Result<u64, LogProblem> {
        let (needed, len) = (start.checked_add(len), self.log.size().0);
        match needed {
            Some(end) if end <= len => Ok(end),
            _ => Err(LogProblem::Truncated { needed, len }),
        }
    }

    fn text(&mut self, at: u64, len: u64) -> Result<String, LogProblem> {
        if len > self.sector - ENTRY as u64 {
            return Err(LogProblem::MarkTooLong(len));
        }
        let text = self.bytes(at, len)?;
        String::from_utf8(text).map_err(|_| LogProblem::MarkNotText)
    }

    /// Reads what was written to `range`, which lies at `at` in the log.
    fn data(&mut self, at: u64, range: ByteRange, fua: bool) -> Result<Logged, LogProblem> {
        if !fua && self.is_zero(at, range.len).map_err(LogProblem::Io)? {
            return Ok(Logged::Zeroes(range));
        }
        self.bytes(at, range.len)
            .map(|data| Logged::Data(range.start, data))
    }

    /// Tells whether the log holds nothing but zeroes there; holes are not read.
    fn is_zero(&mut self, at: u64, len: u64) -> IoResult<bool> {
        let (end, mut position) = (at + len, at);
        let mut piece = [0; PIECE];
        while position < end {
            let rest = ByteRange::between(position, end);
            let status = self.log.block_status(rest)?;
            let mut run = status.len.0.min(rest.len);
            if status.kind == StatusKind::Data {
                let most = usize::try_from(run).unwrap_or(PIECE).min(PIECE);
                self.log.read_at(Offset(position), &mut piece[..most])?;
                if piece[..most].iter().any(|byte| *byte != 0) {
                    return Ok(false);
                }
                run = most as u64;
            }
            position += run;
        }
        Ok(true)
    }

    fn bytes(&mut self, at: u64, len: u64) -> Result<Vec<u8>, LogProblem> {
        let most = DATA_MAX;
        let room = usize::try_from(len).ok().filter(|_| len <= most);
        let mut bytes = vec![0; room.ok_or(LogProblem::TooLarge { len, most })?];
        self.log
            .read_at(Offset(at), &mut bytes)
            .map_err(LogProblem::Io)?;
        Ok(bytes)
    }
}

/// Returns the number that stands at `at`.
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
