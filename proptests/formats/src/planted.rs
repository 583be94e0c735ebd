//! Libraries with bugs that were planted in them, to see the judge find them.

use blkproof::format::{
    Capabilities, Files, Handled, Image, Library, NewImage, OpenOptions, Request, RequestError,
};
use blkproof_device::{BlockDevice, BlockStatus, Durability, IoResult};
use blkproof_spec::fault::Event;
use blkproof_spec::{ByteRange, Length, Offset};

use crate::own::Own;

/// A planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Plant {
    /// A flush that fails is reported as a success.
    FlushErrorSwallowed,
    /// What the device could not write counts as written.
    WriteErrorSwallowed,
    /// After the first error every request fails.
    StaysBroken,
    /// A read that fails succeeds with what it has.
    ShortRead,
    /// A write panics where its device fails.
    Panics,
    /// A write is tried again for ever.
    NeverGivesUp,
    /// The device is not flushed.
    NeverSyncs,
    /// Zeroes are taken for written where they begin within a sector.
    UnalignedZeroesLost,
    /// An image that grows shows one byte of what was cut off before.
    GrowsDirty,
    /// A write never returns where its device fails, and asks for nothing any more.
    Hangs,
    /// A write aborts the process where its device fails.
    Aborts,
    /// A write ends the process, as if all were well, where its device fails.
    Exits,
    /// A write overflows the stack where its device fails.
    OverflowsItsStack,
}

impl Plant {
    /// All of them but those of which only a clock can tell, or another process.
    pub const ALL: [Self; 9] = [
        Self::FlushErrorSwallowed,
        Self::WriteErrorSwallowed,
        Self::StaysBroken,
        Self::ShortRead,
        Self::Panics,
        Self::NeverGivesUp,
        Self::NeverSyncs,
        Self::UnalignedZeroesLost,
        Self::GrowsDirty,
    ];
}

/// The library of this repository with a planted bug.
#[derive(Debug)]
pub struct Planted {
    /// The bug.
    pub plant: Plant,
}

impl Library for Planted {
    fn capabilities(&self) -> Capabilities {
        Own::default().capabilities()
    }

    fn create(&mut self, file: Box<dyn BlockDevice>, image: &NewImage) -> Result<(), RequestError> {
        Own::default().create(file, image)
    }

    fn open(
        &mut self,
        files: Files,
        options: &OpenOptions,
    ) -> Result<Box<dyn Image>, RequestError> {
        let plant = self.plant;
        let files = Files {
            image: Box::new(Below {
                device: files.image,
                plant,
            }),
            base: files.base,
        };
        Ok(Box::new(Above {
            image: Own::default().open(files, options)?,
            plant,
            broken: false,
        }))
    }
}

/// An image that does not do as it should.
#[derive(Debug)]
struct Above {
    image: Box<dyn Image>,
    plant: Plant,
    broken: bool,
}

impl Image for Above {
    fn size(&self) -> Length {
        self.image.size()
    }

    fn request(&mut self, request: Request<'_>) -> Result<Handled, RequestError> {
        if self.broken {
            return Err(RequestError::failed("an earlier request failed"));
        }
        let is_flush = matches!(request, Request::Flush);
        let is_read = matches!(request, Request::Read { .. });
        let is_write = matches!(request, Request::Write { .. });
        let grown = match request {
            Request::Resize(size) if size > self.size() => Some(self.size()),
            _ => None,
        };
        if let (Plant::UnalignedZeroesLost, Request::WriteZeroes(range)) = (self.plant, &request)
            && !range.start.is_multiple_of(512)
        {
            return Ok(Handled::All);
        }
        let result = self.image.request(request);
        match (self.plant, &result) {
            (Plant::FlushErrorSwallowed, Err(_)) if is_flush => Ok(Handled::All),
            (Plant::ShortRead, Err(_)) if is_read => Ok(Handled::Part(0)),
            (Plant::Panics, Err(error)) if is_write => panic!("not written: {error}"),
            (Plant::Hangs, Err(_)) if is_write => loop {
                std::thread::park();
            },
            (Plant::Aborts, Err(_)) if is_write => std::process::abort(),
            (Plant::Exits, Err(_)) if is_write => std::process::exit(0),
            (Plant::OverflowsItsStack, Err(_)) if is_write => {
                Ok(Handled::Part(deeper(self.size().0)))
            }
            (Plant::StaysBroken, Err(_)) => {
                self.broken = true;
                result
            }
            (Plant::GrowsDirty, Ok(_)) => match grown {
                Some(offset) => self.image.request(Request::Write {
                    offset: Offset(offset.0),
                    data: &[1],
                }),
                None => result,
            },
            _ => result,
        }
    }

    fn close(self: Box<Self>) -> Result<(), RequestError> {
        self.image.close()
    }

    fn abandon(self: Box<Self>) {
        self.image.abandon();
    }
}

/// Calls itself until there is no stack left.
fn deeper(depth: u64) -> u64 {
    let kept = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    deeper(depth + 1).wrapping_add(kept[0])
}

/// A device that is not asked as it should be.
#[derive(Debug)]
struct Below {
    device: Box<dyn BlockDevice>,
    plant: Plant,
}

impl BlockDevice for Below {
    fn read_at(&mut self, offset: Offset, buf: &mut [u8]) -> IoResult<()> {
        self.device.read_at(offset, buf)
    }

    fn write_at(&mut self, offset: Offset, data: &[u8], durability: Durability) -> IoResult<()> {
        let result = self.device.write_at(offset, data, durability);
        match self.plant {
            Plant::WriteErrorSwallowed => Ok(()),
            Plant::NeverGivesUp if result.is_err() => loop {
                // Nothing that it is answered makes it give up.
                let _ = self.device.write_at(offset, data, durability);
            },
            _ => result,
        }
    }

    fn write_compressed(&mut self, offset: Offset, data: &[u8]) -> IoResult<()> {
        self.device.write_compressed(offset, data)
    }

    fn write_zeroes(&mut self, range: ByteRange, unmap: bool) -> IoResult<()> {
        self.device.write_zeroes(range, unmap)
    }

    fn discard(&mut self, range: ByteRange) -> IoResult<()> {
        self.device.discard(range)
    }

    fn flush(&mut self) -> IoResult<()> {
        match self.plant {
            Plant::NeverSyncs => Ok(()),
            _ => self.device.flush(),
        }
    }

    fn size(&self) -> Length {
        self.device.size()
    }

    fn set_size(&mut self, size: Length) -> IoResult<()> {
        self.device.set_size(size)
    }

    fn block_status(&mut self, range: ByteRange) -> IoResult<BlockStatus> {
        self.device.block_status(range)
    }

    fn event(&mut self, event: Event) -> IoResult<()> {
        self.device.event(event)
    }
}
