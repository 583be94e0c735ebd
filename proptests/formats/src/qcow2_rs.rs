//! The crate `qcow2-rs`, whose requests are futures.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use blkproof::format::{
    Capabilities, Files, Handled, Image, Library, NewImage, OpenOptions, Request, RequestError,
};
use blkproof_device::{BlockDevice, Durability};
use blkproof_spec::{ByteRange, Format, Length, Offset};
use qcow2_rs::dev::{Qcow2Dev, Qcow2DevParams};
use qcow2_rs::error::Qcow2Result;
use qcow2_rs::helpers::Qcow2IoBuf;
use qcow2_rs::ops::Qcow2IoOps;
use qcow2_rs::utils::qcow2_alloc_dev;

use crate::imago::told;

/// qcow2-rs.
#[derive(Debug, Default)]
pub struct Qcow2Rs;

/// How often a future is polled that nobody wakes: its devices answer at once.
const POLLS_MAX: u32 = 10_000;

impl Library for Qcow2Rs {
    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::MINIMAL;
        can.makes = &[];
        can.refcount_bits = &[16, 1, 2, 4, 8, 32, 64];
        can.clusters = &[4 << 10, 8 << 10, 16 << 10, 64 << 10];
        can.bases = &[Format::Qcow2];
        can.aligns = &[512, 4096];
        can.drop_caches = true;
        can.cache_sizes = true;
        can.flush_syncs = false;
        can.survives_kills = true;
        can.survives_cuts = true;
        can
    }

    /// It has a function that formats an image "for test purpose", which does not count.
    fn create(&mut self, _: Box<dyn BlockDevice>, _: &NewImage) -> Result<(), RequestError> {
        Err(RequestError::Unsupported)
    }

    fn open(
        &mut self,
        files: Files,
        options: &OpenOptions,
    ) -> Result<Box<dyn Image>, RequestError> {
        let bits = u8::try_from(options.align.max(512).trailing_zeros()).unwrap_or(9);
        // Two slices of a block are the least that it takes.
        let small = options.cache == blkproof::format::CacheSize::Small;
        let cache = small.then_some((bits, 2_usize << bits));
        let params = Qcow2DevParams::new(bits, cache, cache, false, false);
        let device = Device::new(files.image);
        let mut devices = vec![device.clone()];
        let mut image = open(device, &params)?;
        if let Some((device, _)) = files.base {
            let below = params.clone();
            below.mark_backing_dev(Some(true));
            let device = Device::new(device);
            devices.push(device.clone());
            image.set_backing_dev(Box::new(open(device, &below)?));
        }
        let prepared = wait_for(image.qcow2_prep_io());
        devices.iter().for_each(Device::settle);
        prepared?.map_err(RequestError::failed)?;
        Ok(Box::new(Open { image, devices }))
    }
}

fn open(device: Device, params: &Qcow2DevParams) -> Result<Qcow2Dev<Device>, RequestError> {
    let opened = wait_for(qcow2_alloc_dev(Path::new("image"), device.clone(), params));
    device.settle();
    opened?.map(|(dev, _)| dev).map_err(RequestError::failed)
}

struct Open {
    image: Qcow2Dev<Device>,
    devices: Vec<Device>,
}

impl Image for Open {
    fn size(&self) -> Length {
        Length(self.image.info.virtual_size())
    }

    fn request(&mut self, request: Request<'_>) -> Result<Handled, RequestError> {
        let result = self.ask(request);
        self.devices.iter().for_each(Device::settle);
        result
    }

    fn close(self: Box<Self>) -> Result<(), RequestError> {
        let flushed = wait_for(self.image.flush_meta());
        let unwound = self.give_up();
        if let Some(payload) = unwound {
            resume_unwind(payload);
        }
        flushed?.map_err(RequestError::failed)
    }

    fn abandon(self: Box<Self>) {
        self.give_up();
    }
}

impl Open {
    /// Frees what the library has in memory; returns what a device was to be unwound with.
    ///
    /// It asserts that nothing is dirty when it is dropped, for each table anew, which ends the
    /// whole process where that does not hold for two of them. So it flushes once more, to devices
    /// that take everything; where even that fails, its memory is given up.
    fn give_up(self) -> Option<Box<dyn Any + Send>> {
        let Self { image, devices } = self;
        let mut unwound = None;
        for device in &devices {
            if let State::Unwound(payload) = device.0.replace(State::Sink) {
                unwound = Some(payload);
            }
        }
        match wait_for(image.flush_meta()) {
            Ok(Ok(())) => drop(image),
            _ => core::mem::forget(image),
        }
        unwound
    }

    fn ask(&self, request: Request<'_>) -> Result<Handled, RequestError> {
        let image = &self.image;
        let done = |result: Qcow2Result<()>| result.map(|()| Handled::All);
        let result = match request {
            Request::Read { offset, buf } => {
                let mut aligned = Qcow2IoBuf::<u8>::new(buf.len());
                aligned.copy_from_slice(buf);
                let read = wait_for(image.read_at(&mut aligned, offset.0))?;
                buf.copy_from_slice(&aligned);
                read.map(|len| match len == buf.len() {
                    true => Handled::All,
                    false => Handled::Part(len as u64),
                })
            }
            Request::Write { offset, data } => {
                let mut aligned = Qcow2IoBuf::<u8>::new(data.len());
                aligned.copy_from_slice(data);
                done(wait_for(image.write_at(&aligned, offset.0))?)
            }
            Request::Flush => done(wait_for(image.flush_meta())?),
            Request::Sync => done(wait_for(image.fsync_range(0, usize::MAX))?),
            Request::DropCaches => done(wait_for(image.shrink_caches())?),
            _ => return Err(RequestError::Unsupported),
        };
        result.map_err(RequestError::failed)
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.image.fmt(f)
    }
}

/// Polls a future to its end.
///
/// # Errors
///
/// Where it waits for something that does not come: nothing goes on beside it.
fn wait_for<F: Future>(future: F) -> Result<F::Output, RequestError> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
    }
    Err(RequestError::failed("the request waits for ever"))
}

/// A device as qcow2-rs asks for it, as long as somebody has it open.
///
/// The library must not be unwound by a loss of power: it holds tables whose destructors assert
/// that they are clean, as none is in a process that is killed. It sees an error instead, and is
/// unwound when it comes back.
#[derive(Clone)]
struct Device(Rc<RefCell<State>>);

enum State {
    Open(Box<dyn BlockDevice>),
    Unwound(Box<dyn Any + Send>),
    Closed,
    /// It takes everything and keeps nothing: there is no image any more.
    Sink,
}

impl Device {
    fn new(device: Box<dyn BlockDevice>) -> Self {
        Self(Rc::new(RefCell::new(State::Open(device))))
    }

    fn ask<T>(&self, ask: impl FnOnce(&mut dyn BlockDevice) -> T) -> Qcow2Result<T> {
        let mut state = self.0.borrow_mut();
        let State::Open(device) = &mut *state else {
            return Err("the device is closed".into());
        };
        let result = catch_unwind(AssertUnwindSafe(|| ask(&mut **device)));
        result.map_err(|payload| {
            *state = State::Unwound(payload);
            "the device is closed".into()
        })
    }

    /// Closes it; goes on unwinding where that was begun.
    fn settle(&self) {
        let is_unwound = matches!(*self.0.borrow(), State::Unwound(_));
        if is_unwound && let State::Unwound(payload) = self.close() {
            resume_unwind(payload);
        }
    }

    fn is_sink(&self) -> bool {
        matches!(*self.0.borrow(), State::Sink)
    }

    fn close(&self) -> State {
        self.0.replace(State::Closed)
    }
}

impl Qcow2IoOps for Device {
    /// As `pread` does: what lies behind the end of the file is not read.
    async fn read_to(&self, offset: u64, buf: &mut [u8]) -> Qcow2Result<usize> {
        if self.is_sink() {
            buf.fill(0);
            return Ok(buf.len());
        }
        self.ask(|device| {
            let left = device.size().0.saturating_sub(offset);
            told(device.read_at(Offset(offset), buf))?;
            let len = usize::try_from(left).unwrap_or(usize::MAX);
            Ok(len.min(buf.len()))
        })?
    }

    async fn write_from(&self, offset: u64, buf: &[u8]) -> Qcow2Result<()> {
        if self.is_sink() {
            return Ok(());
        }
        let write =
            |device: &mut dyn BlockDevice| device.write_at(Offset(offset), buf, Durability::Later);
        Ok(told(self.ask(write)?)?)
    }

    async fn fallocate(&self, offset: u64, len: usize, _: u32) -> Qcow2Result<()> {
        if self.is_sink() {
            return Ok(());
        }
        let range = ByteRange::new(offset, len as u64);
        Ok(told(self.ask(|device| device.write_zeroes(range, true))?)?)
    }

    async fn fsync(&self, _: u64, _: usize, _: u32) -> Qcow2Result<()> {
        if self.is_sink() {
            return Ok(());
        }
        Ok(told(self.ask(|device| device.flush())?)?)
    }
}
