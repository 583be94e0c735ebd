//! The seam to an image library.

use core::fmt;

use blkproof_device::BlockDevice;
use blkproof_spec::{ByteRange, Format, Length, Offset};

use super::scenario::CacheSize;

/// A library that makes and opens images on devices that it is given.
///
/// It never sees a scenario. Whatever it asks of a device goes through the scenario's faults and
/// may be cut off by a loss of power, which unwinds it: it holds nothing that would not survive
/// that, and does not catch it. Devices answer at once and never with a wait.
pub trait Library: fmt::Debug {
    /// Says what it can do and what it promises.
    fn capabilities(&self) -> Capabilities;

    /// Makes an empty image on `file`, durably. It may name a base, which is on the device
    /// [`BASE`](super::BASE).
    ///
    /// # Errors
    ///
    /// Where it cannot; such a scenario is not judged.
    fn create(&mut self, file: Box<dyn BlockDevice>, image: &NewImage) -> Result<(), RequestError>;

    /// Opens an image for reading and writing.
    ///
    /// # Errors
    ///
    /// Where a device fails, or the image is none.
    fn open(&mut self, files: Files, options: &OpenOptions)
    -> Result<Box<dyn Image>, RequestError>;
}

/// An open image.
///
/// It is given up without being closed where its process is killed or its power cut.
pub trait Image: fmt::Debug {
    /// Returns the size that a guest sees.
    fn size(&self) -> Length;

    /// Carries out one request to its end. Its range lies within the image and has the alignment
    /// that the library asks for.
    ///
    /// # Errors
    ///
    /// Where it failed: any part of it may have been carried out.
    fn request(&mut self, request: Request<'_>) -> Result<Handled, RequestError>;

    /// Closes the image as its documentation says, so that others can read it: writes back whatever
    /// the library keeps in memory.
    ///
    /// # Errors
    ///
    /// Where something could not be written back. The image is closed all the same.
    fn close(self: Box<Self>) -> Result<(), RequestError>;

    /// Gives the image up: the process that had it open is gone, so that nothing of the library
    /// runs any more. What it asks its devices for all the same fails.
    fn abandon(self: Box<Self>);
}

/// The devices of an image.
#[derive(Debug)]
pub struct Files {
    /// The image's file.
    pub image: Box<dyn BlockDevice>,
    /// What lies below the image, with its format.
    pub base: Option<(Box<dyn BlockDevice>, Format)>,
}

/// An image that is to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct NewImage {
    /// The size that a guest sees.
    pub size: Length,
    /// The cluster size.
    pub cluster: Length,
    /// The width of the reference counts in bits.
    pub refcount_bits: u32,
    /// The format of its base, if it has one.
    pub base: Option<Format>,
    /// The alignment that its device asks for.
    pub align: u64,
}

/// How an image is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The alignment that its device asks for, in positions and lengths.
    pub align: u64,
    /// How much is kept in memory.
    pub cache: CacheSize,
    /// The cluster size of the image, which says how small a cache can be.
    pub cluster: Length,
}

/// A request to an open image. One that a library does not know is [`RequestError::Unsupported`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Request<'a> {
    /// Reads.
    Read {
        /// Where.
        offset: Offset,
        /// What is to be filled.
        buf: &'a mut [u8],
    },
    /// Writes.
    Write {
        /// Where.
        offset: Offset,
        /// What.
        data: &'a [u8],
    },
    /// Makes a range read as zeroes.
    WriteZeroes(ByteRange),
    /// Gives up a range.
    Discard(ByteRange),
    /// Hands everything on to the device.
    Flush,
    /// Makes durable what was handed on to the device.
    Sync,
    /// Changes the size.
    Resize(Length),
    /// Drops what is kept in memory, having written back what must not be lost.
    DropCaches,
}

/// What a request that succeeded says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handled {
    /// All of it was carried out.
    All,
    /// So many bytes of it were.
    Part(u64),
}

/// Why a library could not do what it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// It failed; what the library says.
    Failed(String),
    /// The library does not do such things; nothing happened.
    Unsupported,
}

impl RequestError {
    /// Makes a failure of what a library says.
    #[must_use]
    pub fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) => f.write_str(message),
            Self::Unsupported => f.write_str("not supported"),
        }
    }
}

impl core::error::Error for RequestError {}

/// What a library can do and what it promises. It is asked for nothing else.
///
/// ```
/// use blkproof::format::{Capabilities, Discards};
///
/// let mut can = Capabilities::MINIMAL;
/// can.clusters = &[4 << 10, 64 << 10];
/// can.discards = Some(Discards::Zero);
/// can.survives_kills = true;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a capability of its own"
)]
pub struct Capabilities {
    /// The widths of reference counts of the images that it makes itself; none where it makes none.
    pub makes: &'static [u32],
    /// The widths of reference counts of the images that it can be given.
    pub refcount_bits: &'static [u32],
    /// The cluster sizes that it can be given.
    pub clusters: &'static [u64],
    /// The formats of the bases that it can be given.
    pub bases: &'static [Format],
    /// The alignments of devices that it can be given.
    pub aligns: &'static [u64],
    /// The alignment of its requests; `None` where it is that of the device.
    pub guest_align: Option<u64>,
    /// It writes zeroes.
    pub write_zeroes: bool,
    /// What its discards do, if it has them.
    pub discards: Option<Discards>,
    /// Which sizes it can change to.
    pub resizes: Resizes,
    /// It drops its caches on request.
    pub drop_caches: bool,
    /// It can be told how much to keep in memory.
    pub cache_sizes: bool,
    /// A flush makes everything durable; else a sync behind it does.
    pub flush_syncs: bool,
    /// The image is consistent, and what was flushed is there, when its process was killed.
    pub survives_kills: bool,
    /// The image is consistent, and what was synced is there, when the power was cut.
    pub survives_cuts: bool,
}

impl Capabilities {
    /// A library that makes images with clusters of 64 KiB and reference counts of 16 bits, reads,
    /// writes and flushes at the alignment of its device, and promises nothing beyond that: no
    /// bases, no other requests, and what is left when its process is killed or its power cut may
    /// be anything.
    pub const MINIMAL: Self = Self {
        makes: &[16],
        refcount_bits: &[16],
        clusters: &[64 << 10],
        bases: &[],
        aligns: &[1],
        guest_align: None,
        write_zeroes: false,
        discards: None,
        resizes: Resizes::None,
        drop_caches: false,
        cache_sizes: false,
        flush_syncs: true,
        survives_kills: false,
        survives_cuts: false,
    };
}

/// What a discard does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Discards {
    /// The range reads as zeroes.
    Zero,
    /// Any part of the range reads as zeroes, the rest as before.
    Some,
}

/// Which sizes an image can be given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Resizes {
    /// None but its own.
    None,
    /// Larger ones.
    Grow,
    /// Any.
    Any,
}
