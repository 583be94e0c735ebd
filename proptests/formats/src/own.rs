//! blkproof-qcow2 as a subject.

use blkproof::format::{
    BASE, CacheSize, Capabilities, Discards, Files, Handled, Image, Library, NewImage, OpenOptions,
    Request, RequestError, Resizes,
};
use blkproof_device::{BlockDevice, Durability};
use blkproof_qcow2::{BackingName, CreateOptions, Mistake, Qcow2};
use blkproof_spec::{DiscardMode, Format, Length};

/// The library of this repository, with a mistake or without.
#[derive(Debug, Default)]
pub struct Own {
    /// What it does wrong.
    pub mistake: Option<Mistake>,
}

const CLUSTERS: [u64; 7] = [
    512,
    1 << 10,
    4 << 10,
    8 << 10,
    32 << 10,
    64 << 10,
    256 << 10,
];

impl Library for Own {
    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::MINIMAL;
        can.refcount_bits = &[16, 1, 2, 4, 8, 32, 64];
        can.clusters = &CLUSTERS;
        can.bases = &[Format::Raw, Format::Qcow2];
        can.guest_align = Some(1);
        can.write_zeroes = true;
        can.discards = Some(Discards::Some);
        can.resizes = Resizes::Any;
        can.cache_sizes = true;
        can.survives_kills = true;
        can.survives_cuts = true;
        can
    }

    fn create(
        &mut self,
        mut file: Box<dyn BlockDevice>,
        image: &NewImage,
    ) -> Result<(), RequestError> {
        if image.refcount_bits != 16 {
            return Err(RequestError::Unsupported);
        }
        let options = CreateOptions {
            size: image.size,
            cluster: image.cluster,
            backing: image.base.map(|format| BackingName {
                name: BASE.to_owned(),
                format: Some(word(format).to_owned()),
            }),
        };
        blkproof_qcow2::create(&mut file, &options).map_err(failed)
    }

    fn open(
        &mut self,
        files: Files,
        options: &OpenOptions,
    ) -> Result<Box<dyn Image>, RequestError> {
        let mut open = blkproof_qcow2::OpenOptions {
            discard: DiscardMode::Unmap,
            ..blkproof_qcow2::OpenOptions::default()
        };
        if options.cache == CacheSize::Small {
            open.l2_cache = Length(1);
        }
        let mut image = Qcow2::open(files.image, &open).map_err(failed)?;
        image.set_mistake(self.mistake);
        if let Some((device, format)) = files.base {
            let base: Box<dyn BlockDevice> = match format {
                Format::Raw => device,
                Format::Qcow2 => {
                    open.read_only = true;
                    Box::new(Qcow2::open(device, &open).map_err(failed)?)
                }
            };
            image.set_backing(Some(base));
        }
        Ok(Box::new(Open(image)))
    }
}

#[derive(Debug)]
struct Open(Qcow2<Box<dyn BlockDevice>>);

impl Image for Open {
    fn size(&self) -> Length {
        self.0.size()
    }

    fn request(&mut self, request: Request<'_>) -> Result<Handled, RequestError> {
        let image = &mut self.0;
        let result = match request {
            Request::Read { offset, buf } => image.read_at(offset, buf),
            Request::Write { offset, data } => image.write_at(offset, data, Durability::Later),
            Request::WriteZeroes(range) => image.write_zeroes(range, true),
            Request::Discard(range) => image.discard(range),
            Request::Flush => image.flush(),
            Request::Resize(size) => image.set_size(size),
            _ => return Err(RequestError::Unsupported),
        };
        result.map(|()| Handled::All).map_err(RequestError::failed)
    }

    fn close(mut self: Box<Self>) -> Result<(), RequestError> {
        self.0.flush().map_err(RequestError::failed)
    }

    fn abandon(self: Box<Self>) {}
}

pub(crate) fn word(format: Format) -> &'static str {
    match format {
        Format::Raw => "raw",
        Format::Qcow2 => "qcow2",
    }
}

fn failed(error: blkproof_qcow2::Qcow2Error) -> RequestError {
    RequestError::failed(error)
}
