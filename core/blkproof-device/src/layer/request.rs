//! Requests as values, so that a rule can look at them and an effect can bend them.

use blkproof_spec::{ByteRange, IoType, Offset};

use crate::block_device::{BlockDevice, BlockStatus, Durability, IoResult};
use crate::desk::Desk;

/// What identifies a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub(crate) kind: IoType,
    pub(crate) range: ByteRange,
}

impl Request {
    pub(crate) fn new(kind: IoType, range: ByteRange) -> Self {
        Self { kind, range }
    }
}

/// A request on its way through a layer.
pub(crate) struct Call<'a, 'io, D: ?Sized> {
    pub(crate) disk: &'a mut D,
    pub(crate) request: Request,
    pub(crate) io: Io<'io>,
    pub(crate) desk: &'a Desk,
}

/// What a request carries.
pub(crate) enum Io<'a> {
    Read(&'a mut [u8]),
    Write(&'a [u8], Durability),
    Compressed(&'a [u8]),
    WriteZeroes { unmap: bool },
    Discard,
    Flush,
    BlockStatus(&'a mut Option<BlockStatus>),
}

impl Io<'_> {
    /// Returns the kind of request that carries this.
    pub(crate) fn kind(&self) -> IoType {
        match self {
            Self::Read(_) => IoType::Read,
            Self::Write(..) | Self::Compressed(_) => IoType::Write,
            Self::WriteZeroes { .. } => IoType::WriteZeroes,
            Self::Discard => IoType::Discard,
            Self::Flush => IoType::Flush,
            Self::BlockStatus(_) => IoType::BlockStatus,
        }
    }

    /// Carries out the request on a device.
    pub(crate) fn carry_out<D: BlockDevice + ?Sized>(
        &mut self,
        disk: &mut D,
        range: ByteRange,
    ) -> IoResult<()> {
        match self {
            Self::Read(buf) => disk.read_at(Offset(range.start), buf),
            Self::Write(data, durability) => disk.write_at(Offset(range.start), data, *durability),
            Self::Compressed(data) => disk.write_compressed(Offset(range.start), data),
            Self::WriteZeroes { unmap } => disk.write_zeroes(range, *unmap),
            Self::Discard => disk.discard(range),
            Self::Flush => disk.flush(),
            Self::BlockStatus(answer) => {
                **answer = Some(disk.block_status(range)?);
                Ok(())
            }
        }
    }

    /// Returns what is left of it on `piece`, a part of the request's `range`.
    pub(crate) fn part(&mut self, range: ByteRange, piece: ByteRange) -> Io<'_> {
        let within = || {
            let at = |position| usize::try_from(position).expect("a request's bytes fit memory");
            at(piece.start - range.start)..at(piece.end() - range.start)
        };
        match self {
            Self::Read(buf) => Io::Read(&mut buf[within()]),
            Self::Write(data, durability) => Io::Write(&data[within()], *durability),
            // What is less than a cluster cannot be compressed.
            Self::Compressed(data) if piece == range => Io::Compressed(data),
            Self::Compressed(data) => Io::Write(&data[within()], Durability::Later),
            Self::WriteZeroes { unmap } => Io::WriteZeroes { unmap: *unmap },
            Self::Discard => Io::Discard,
            Self::Flush => Io::Flush,
            Self::BlockStatus(answer) => Io::BlockStatus(answer),
        }
    }
}
