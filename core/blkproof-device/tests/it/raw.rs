//! A `raw` format as QEMU has it, above a device: it raises `read_aio` and `write_aio`, and flushes
//! only what was written. Its requests are resumed where they stopped, as coroutines are.

use blkproof_device::{BlockDevice, Durability, IoError, IoResult, Wait};
use blkproof_spec::fault::{Event, IoType};
use blkproof_spec::{ByteRange, Errno, Offset, Tag};

/// Makes a request of a device.
pub(crate) fn request(
    device: &mut dyn BlockDevice,
    kind: IoType,
    range: ByteRange,
) -> IoResult<()> {
    let start = Offset(range.start);
    let len = usize::try_from(range.len).unwrap();
    match kind {
        IoType::Read => device.read_at(start, &mut vec![0; len]),
        IoType::Write => device.write_at(start, &vec![0xcd; len], Durability::Later),
        IoType::WriteZeroes => device.write_zeroes(range, false),
        IoType::Discard => device.discard(range),
        IoType::Flush => device.flush(),
        IoType::BlockStatus => device.block_status(range).map(drop),
    }
}

/// A node's account of what it has written and flushed.
#[derive(Clone, Copy, Default)]
struct Generation {
    written: u64,
    flushed: u64,
}

/// The format.
pub(crate) struct Raw {
    device: Box<dyn BlockDevice>,
    above: Generation,
    below: Generation,
}

/// A request that a breakpoint holds.
pub(crate) struct Stopped {
    kind: IoType,
    range: ByteRange,
}

impl Raw {
    pub(crate) fn new(device: Box<dyn BlockDevice>) -> Self {
        Self {
            device,
            above: Generation::default(),
            below: Generation::default(),
        }
    }

    /// Makes a request that no breakpoint can hold.
    pub(crate) fn request(&mut self, kind: IoType, range: ByteRange) -> Result<(), Errno> {
        match self.start(kind, range) {
            Ok(result) => result,
            Err((tag, _)) => panic!("suspended under {tag}"),
        }
    }

    /// Makes a request; if a breakpoint holds it, returns what is needed to go on.
    pub(crate) fn start(
        &mut self,
        kind: IoType,
        range: ByteRange,
    ) -> Result<Result<(), Errno>, (Tag, Stopped)> {
        if kind == IoType::Flush {
            return Ok(self.flush());
        }
        let own = match kind {
            IoType::Read => Some(Event::ReadAio),
            IoType::Write => Some(Event::WriteAio),
            _ => None,
        };
        if let Some(event) = own
            && let Err(IoError::Wait(Wait::Tag(tag))) = self.device.event(event)
        {
            return Err((tag, Stopped { kind, range }));
        }
        self.below(kind, range)
    }

    /// Goes on with a request.
    pub(crate) fn resume(&mut self, stopped: &Stopped) -> Result<(), Errno> {
        match self.below(stopped.kind, stopped.range) {
            Ok(result) => result,
            Err((tag, _)) => panic!("suspended again under {tag}"),
        }
    }

    fn below(
        &mut self,
        kind: IoType,
        range: ByteRange,
    ) -> Result<Result<(), Errno>, (Tag, Stopped)> {
        let result = match request(&mut *self.device, kind, range) {
            Ok(()) => Ok(()),
            Err(IoError::Failed(errno)) => Err(errno),
            Err(IoError::Wait(Wait::Tag(tag))) => {
                return Err((tag, Stopped { kind, range }));
            }
            Err(other) => panic!("{other}"),
        };
        if matches!(kind, IoType::Write | IoType::WriteZeroes | IoType::Discard) {
            self.above.written += 1;
            self.below.written += 1;
        }
        Ok(result)
    }

    fn flush(&mut self) -> Result<(), Errno> {
        let (above, below) = (self.above.written, self.below.written);
        self.device.event(Event::FlushToOs).unwrap();
        if self.above.flushed != above {
            self.device.event(Event::FlushToDisk).unwrap();
        }
        if self.below.flushed != below {
            match self.device.flush() {
                Ok(()) => self.below.flushed = below,
                Err(IoError::Failed(errno)) => return Err(errno),
                Err(other) => panic!("{other}"),
            }
        }
        self.above.flushed = above;
        Ok(())
    }
}
