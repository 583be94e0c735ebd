//! Making the image and what lies below it.

use blkproof_device::{BlockDevice, Durability, Store};
use blkproof_spec::{ByteRange, Format, ImageName, Length, Offset};

use super::super::model::BELOW;
use super::super::scenario::{Base, MadeBy};
use super::super::seam::{Files, NewImage, OpenOptions, Request};
use super::super::watch::{Unwound, Watched};
use super::{Run, Stop, base, file};

/// The width of the reference counts of bases: all libraries know it.
const BASE_REFCOUNT_BITS: u32 = 16;

/// How much is written at once.
const PIECE: u64 = 64 << 10;

impl Run<'_, '_> {
    /// Makes the devices as they are before the scenario.
    pub(super) fn prepare(&mut self) -> Result<(), Stop> {
        self.check_able()?;
        let setup = &self.scenario.setup;
        if let Some(base) = setup.base {
            self.make_base(base)?;
        }
        let image = NewImage {
            size: setup.size,
            cluster: setup.cluster,
            refcount_bits: setup.refcount_bits,
            base: setup.base.map(|base| base.format),
            align: setup.align,
        };
        self.create(&file(), &image)
    }

    /// Asks for nothing that the library does not have.
    fn check_able(&self) -> Result<(), Stop> {
        let able = self.judge.library.capabilities();
        let setup = &self.scenario.setup;
        let widths = match setup.made_by {
            MadeBy::Library => able.makes,
            MadeBy::QemuImg => able.refcount_bits,
        };
        let is_able = able.clusters.contains(&setup.cluster.0)
            && able.aligns.contains(&setup.align)
            && widths.contains(&setup.refcount_bits);
        let base = setup.base.map(|base| base.format);
        if is_able && base.is_none_or(|format| able.bases.contains(&format)) {
            return Ok(());
        }
        Err(not_judged("the library has no such images"))
    }

    /// Makes the base: every sector says where it stands.
    fn make_base(&mut self, wanted: Base) -> Result<(), Stop> {
        if wanted.format == Format::Raw {
            let mut device = self.new_device(&base())?;
            return stamp(wanted.size, |offset, data| {
                device
                    .write_at(offset, data, Durability::Later)
                    .map_err(not_judged)
            });
        }
        let setup = &self.scenario.setup;
        let (align, cluster, cache) = (setup.align, setup.cluster, setup.cache);
        let image = NewImage {
            size: wanted.size,
            cluster,
            refcount_bits: BASE_REFCOUNT_BITS,
            base: None,
            align,
        };
        self.create(&base(), &image)?;
        let files = Files {
            image: self.device(&base())?,
            base: None,
        };
        let options = OpenOptions {
            align,
            cache,
            cluster,
        };
        let library = &mut self.judge.library;
        let write = || {
            let mut image = library.open(files, &options).map_err(not_judged)?;
            stamp(wanted.size, |offset, data| {
                let request = Request::Write { offset, data };
                image.request(request).map(|_| ()).map_err(not_judged)
            })?;
            image.close().map_err(not_judged)
        };
        unwound(self.watch.call(write))
    }

    /// Has an image made by whoever makes images in this scenario.
    fn create(&mut self, name: &ImageName, image: &NewImage) -> Result<(), Stop> {
        let mut device = self.new_device(name)?;
        if self.scenario.setup.made_by == MadeBy::QemuImg {
            let maker = self.judge.maker.as_mut();
            let maker = maker.ok_or_else(|| not_judged("there is nobody to make the image"))?;
            let made = maker.make(image).map_err(not_judged)?;
            return put(&mut *device, &made);
        }
        let device = self.device(name)?;
        let library = &mut self.judge.library;
        let made = self.watch.call(|| library.create(device, image));
        unwound(made.map(|made| made.map_err(not_judged)))
    }

    fn new_device(&mut self, name: &ImageName) -> Result<Box<dyn BlockDevice>, Stop> {
        let mut store = self.store.clone();
        store.create(name, Length(0)).map_err(not_judged)
    }

    /// Opens a device for the library.
    pub(super) fn device(&mut self, name: &ImageName) -> Result<Box<dyn BlockDevice>, Stop> {
        let mut store = self.store.clone();
        let device = store.open(name).map_err(not_judged)?;
        Ok(Box::new(Watched {
            device,
            watch: self.watch.clone(),
            align: self.scenario.setup.align,
        }))
    }
}

pub(super) fn not_judged(reason: impl ToString) -> Stop {
    Stop::NotJudged(reason.to_string())
}

/// What goes wrong before a scenario begins is no finding about it.
fn unwound(result: Result<Result<(), Stop>, Unwound>) -> Result<(), Stop> {
    match result {
        Ok(result) => result,
        Err(Unwound::Panic(message)) => Err(not_judged(format!("panic: {message}"))),
        Err(_) => Err(not_judged("making the image does not end")),
    }
}

/// Writes a file, leaving out what is zero.
fn put(device: &mut dyn BlockDevice, data: &[u8]) -> Result<(), Stop> {
    device
        .set_size(Length(data.len() as u64))
        .map_err(not_judged)?;
    let piece = usize::try_from(PIECE).unwrap_or(1 << 16);
    for (index, chunk) in data.chunks(piece).enumerate() {
        if chunk.iter().any(|byte| *byte != 0) {
            let offset = Offset(index as u64 * PIECE);
            device
                .write_at(offset, chunk, Durability::Later)
                .map_err(not_judged)?;
        }
    }
    Ok(())
}

/// Hands out what stands on a base, piece by piece.
fn stamp(
    size: Length,
    mut write: impl FnMut(Offset, &[u8]) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut at = 0;
    while at < size.0 {
        let range = ByteRange::between(at, (at + PIECE).min(size.0));
        let mut data = vec![0; usize::try_from(range.len).unwrap_or(0)];
        BELOW.generate(range.start, &mut data);
        write(Offset(at), &data)?;
        at = range.end();
    }
    Ok(())
}
