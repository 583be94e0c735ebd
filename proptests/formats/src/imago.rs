//! The crate `imago`, without its async interface.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use blkproof::format::{
    BASE, Capabilities, Discards, Files, Handled, Image, Library, NewImage, OpenOptions, Request,
    RequestError, Resizes,
};
use blkproof_device::{BlockDevice, Durability, IoError, IoResult};
use blkproof_spec::{ByteRange, Errno, Format, Length, Offset};
use imago::format::PreallocateMode;
use imago::io_buffers::{IoVector, IoVectorMut};
use imago::qcow2::Qcow2;
use imago::raw::Raw;
use imago::storage::drivers::CommonStorageHelper;
use imago::{
    DenyImplicitOpenGate, FormatAccess, FormatCreateBuilder, FormatDriverBuilder, Storage,
};

use crate::own::word;

/// imago.
#[derive(Debug, Default)]
pub struct Imago;

const CLUSTERS: [u64; 6] = [512, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10];

impl Library for Imago {
    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::MINIMAL;
        can.makes = &[16, 1, 2, 4, 8, 32, 64];
        can.refcount_bits = &[16, 1, 2, 4, 8, 32, 64];
        can.clusters = &CLUSTERS;
        can.bases = &[Format::Raw, Format::Qcow2];
        can.aligns = &[1, 64, 512, 4096];
        can.guest_align = Some(1);
        can.write_zeroes = true;
        can.discards = Some(Discards::Zero);
        can.resizes = Resizes::Any;
        can.drop_caches = true;
        can.flush_syncs = false;
        can.survives_kills = true;
        // It never syncs between what depends on each other, and does not say that it does.
        can.survives_cuts = false;
        can
    }

    fn create(&mut self, file: Box<dyn BlockDevice>, image: &NewImage) -> Result<(), RequestError> {
        let cluster = usize::try_from(image.cluster.0).map_err(RequestError::failed)?;
        let width = usize::try_from(image.refcount_bits).map_err(RequestError::failed)?;
        let storage = Device::new(file, image.align);
        let mut builder = Qcow2::<Device>::create_builder(storage)
            .size(image.size.0)
            .cluster_size(cluster)
            .refcount_width(width);
        if let Some(format) = image.base {
            builder = builder.backing(BASE.to_owned(), word(format).to_owned());
        }
        builder.create().map_err(RequestError::failed)
    }

    fn open(
        &mut self,
        files: Files,
        options: &OpenOptions,
    ) -> Result<Box<dyn Image>, RequestError> {
        let align = options.align;
        let base = match files.base {
            Some((device, Format::Raw)) => {
                let raw = Raw::builder(Device::new(device, align))
                    .open(DenyImplicitOpenGate::default())
                    .map_err(RequestError::failed)?;
                Some(FormatAccess::new(raw))
            }
            Some((device, Format::Qcow2)) => Some(open(device, align, None, false)?),
            None => None,
        };
        Ok(Box::new(Open(open(files.image, align, base, true)?)))
    }
}

fn open(
    device: Box<dyn BlockDevice>,
    align: u64,
    base: Option<FormatAccess<Device>>,
    write: bool,
) -> Result<FormatAccess<Device>, RequestError> {
    let image = Qcow2::<Device>::builder(Device::new(device, align))
        .write(write)
        .backing(base)
        .open(DenyImplicitOpenGate::default())
        .map_err(RequestError::failed)?;
    Ok(FormatAccess::new(image))
}

struct Open(FormatAccess<Device>);

impl Image for Open {
    fn size(&self) -> Length {
        Length(self.0.size())
    }

    #[expect(unsafe_code, reason = "imago marks what drops unflushed buffers")]
    fn request(&mut self, request: Request<'_>) -> Result<Handled, RequestError> {
        let image = &mut self.0;
        let result = match request {
            Request::Read { offset, buf } => image.read(buf, offset.0),
            Request::Write { offset, data } => image.write(data, offset.0),
            Request::WriteZeroes(range) => image.write_zeroes(range.start, range.len),
            Request::Discard(range) => image.discard_to_zero(range.start, range.len),
            Request::Flush => image.flush(),
            Request::Sync => image.sync(),
            Request::Resize(size) => image.resize(size.0, PreallocateMode::Zero),
            Request::DropCaches => image.flush().and_then(|()| {
                // SAFETY: what must not be lost was written back just now.
                unsafe { image.invalidate_cache() }
            }),
            _ => return Err(RequestError::Unsupported),
        };
        match result {
            Ok(()) => Ok(Handled::All),
            Err(error) => Err(RequestError::failed(error)),
        }
    }

    fn close(self: Box<Self>) -> Result<(), RequestError> {
        self.0.flush().map_err(RequestError::failed)
    }

    /// Dropping it flushes, which its devices refuse.
    fn abandon(self: Box<Self>) {}
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Open").finish_non_exhaustive()
    }
}

/// A device as imago asks for it.
struct Device {
    device: Mutex<Box<dyn BlockDevice>>,
    align: usize,
    helper: CommonStorageHelper,
}

impl Device {
    fn new(device: Box<dyn BlockDevice>, align: u64) -> Self {
        Self {
            device: Mutex::new(device),
            align: usize::try_from(align).unwrap_or(1),
            helper: CommonStorageHelper::default(),
        }
    }

    /// A loss of power unwinds whoever asks the device; nothing of the device is halfway then.
    fn lock(&self) -> MutexGuard<'_, Box<dyn BlockDevice>> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Device").finish_non_exhaustive()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("device")
    }
}

#[expect(
    unsafe_code,
    reason = "imago's trait has unsafe methods; nothing here is"
)]
impl Storage for Device {
    fn req_align(&self) -> usize {
        self.align
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.lock().size().0)
    }

    unsafe fn pure_readv(&self, mut bufv: IoVectorMut<'_>, offset: u64) -> io::Result<()> {
        let mut data = buffer(bufv.len())?;
        told(self.lock().read_at(Offset(offset), &mut data))?;
        bufv.copy_from_slice(&data);
        Ok(())
    }

    unsafe fn pure_writev(&self, bufv: IoVector<'_>, offset: u64) -> io::Result<()> {
        let mut data = buffer(bufv.len())?;
        bufv.copy_into_slice(&mut data);
        told(
            self.lock()
                .write_at(Offset(offset), &data, Durability::Later),
        )
    }

    unsafe fn pure_write_zeroes(&self, offset: u64, length: u64) -> io::Result<()> {
        told(
            self.lock()
                .write_zeroes(ByteRange::new(offset, length), true),
        )
    }

    unsafe fn pure_write_allocated_zeroes(&self, offset: u64, length: u64) -> io::Result<()> {
        told(
            self.lock()
                .write_zeroes(ByteRange::new(offset, length), false),
        )
    }

    unsafe fn pure_discard(&self, offset: u64, length: u64) -> io::Result<()> {
        told(self.lock().discard(ByteRange::new(offset, length)))
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        told(self.lock().flush())
    }

    fn settle_writes(&self) -> io::Result<()> {
        Ok(())
    }

    unsafe fn invalidate_cache(&self) -> io::Result<()> {
        Ok(())
    }

    fn get_storage_helper(&self) -> &CommonStorageHelper {
        &self.helper
    }

    fn resize(&self, new_size: u64, _: imago::storage::PreallocateMode) -> io::Result<()> {
        told(self.lock().set_size(Length(new_size)))
    }
}

fn buffer(len: u64) -> io::Result<Vec<u8>> {
    let len = usize::try_from(len).map_err(io::Error::other)?;
    Ok(vec![0; len])
}

/// Tells an error as the operating system would.
pub(crate) fn told(result: IoResult<()>) -> io::Result<()> {
    result.map_err(|error| {
        let errno = match error {
            IoError::Failed(errno) => errno,
            IoError::Wait(_) => Errno::EIO,
        };
        io::Error::from_raw_os_error(i32::from(errno.0))
    })
}
