//! Eyes of the harness's own: what images hold, read without the engine and without the driver that
//! wrote them.

use core::error::Error;

use blkproof::device::Piece;
use blkproof::{Backing, FilePart, Images, InspectError, Inspected, Inspector, Soundness};
use blkproof_qcow2::inspect::{Contents, Found, Layer, Limits, inspect, parts};
use blkproof_qcow2::probe;
use blkproof_spec::{ByteRange, Format, ImageName, Length, Offset};

/// The longest backing chain that is followed.
const CHAIN_MAX: usize = 200;

/// Opens raw and qcow2 images independently of the engine.
#[derive(Clone, Copy, Default, Debug)]
pub struct ImageInspector;

impl ImageInspector {
    /// Makes an inspector.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Inspector for ImageInspector {
    fn open(
        &mut self,
        images: &dyn Images,
        image: &ImageName,
        format: Format,
    ) -> Result<Box<dyn Inspected>, InspectError> {
        let (layers, names) = layers(images, image, format)?;
        Ok(Box::new(Image {
            names,
            contents: Contents::new(layers),
            format,
        }))
    }

    fn open_alone(
        &mut self,
        images: &dyn Images,
        image: &ImageName,
        format: Format,
    ) -> Result<Box<dyn Inspected>, InspectError> {
        let layer = layer(images, image, Some(format))?;
        Ok(Box::new(Image {
            names: vec![image.clone()],
            contents: Contents::new(vec![layer]),
            format,
        }))
    }
}

/// Opens an image and its chain, each image before its backing file, with their names.
fn layers(
    images: &dyn Images,
    image: &ImageName,
    format: Format,
) -> Result<(Vec<Layer>, Vec<ImageName>), InspectError> {
    let mut names: Vec<ImageName> = Vec::new();
    let mut layers = Vec::new();
    let mut next = Some((image.clone(), Some(format)));
    while let Some((name, format)) = next {
        if names.contains(&name) || names.len() == CHAIN_MAX {
            return Err(InspectError::new(format!(
                "the chain of image {image} does not end"
            )));
        }
        let layer = layer(images, &name, format)?;
        next = backing(&layer).map(|backing| (backing.image, backing.format));
        layers.push(layer);
        names.push(name);
    }
    Ok((layers, names))
}

/// Opens one image.
fn layer(
    images: &dyn Images,
    name: &ImageName,
    format: Option<Format>,
) -> Result<Layer, InspectError> {
    let mut device = images.plain(name).map_err(message)?;
    let is_qcow2 = match format {
        Some(format) => format == Format::Qcow2,
        None => probe(&mut *device).map_err(|error| InspectError::new(format!("{error:?}")))?,
    };
    if is_qcow2 {
        Layer::qcow2(device).map_err(message)
    } else {
        Ok(Layer::raw(device))
    }
}

/// Returns what an image says about its backing file.
fn backing(layer: &Layer) -> Option<Backing> {
    layer.backing().map(|backing| Backing {
        image: ImageName::new(&backing.name),
        format: match backing.format.as_deref() {
            Some("qcow2") => Some(Format::Qcow2),
            Some("raw") => Some(Format::Raw),
            _ => None,
        },
    })
}

/// An image with its chain.
#[derive(Debug)]
struct Image {
    names: Vec<ImageName>,
    contents: Contents,
    format: Format,
}

impl Image {
    fn top(&mut self) -> &mut Layer {
        let layers = self.contents.layers_mut();
        layers.first_mut().expect("a chain has its first image")
    }
}

impl Inspected for Image {
    fn size(&self) -> Length {
        self.contents.size()
    }

    fn chain(&self) -> &[ImageName] {
        &self.names
    }

    fn backing(&self) -> Option<Backing> {
        self.contents.layers().first().and_then(backing)
    }

    fn allocated(&mut self, ranges: &mut Vec<ByteRange>) -> Result<(), InspectError> {
        let size = self.size().0;
        let top = self.top();
        let mut at = 0;
        while at < size {
            let (is_allocated, range) = top
                .allocation(ByteRange::between(at, size))
                .map_err(message)?;
            if is_allocated {
                add(ranges, range);
            }
            at = range.end();
        }
        Ok(())
    }

    fn data(&mut self, ranges: &mut Vec<ByteRange>) -> Result<(), InspectError> {
        let size = self.size().0;
        let mut at = 0;
        while at < size {
            let extent = self
                .contents
                .extent(ByteRange::between(at, size))
                .map_err(message)?;
            if extent.found != Found::Zero {
                add(ranges, extent.range);
            }
            at = extent.range.end();
        }
        Ok(())
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), InspectError> {
        self.contents.read(Offset(offset), buf).map_err(message)
    }

    fn visit(
        &mut self,
        range: ByteRange,
        see: &mut dyn FnMut(u64, Piece<'_>),
    ) -> Result<(), InspectError> {
        self.contents.visit(range, see).map_err(message)
    }

    fn parts(&mut self, wanted: &[ByteRange]) -> Result<Vec<FilePart>, InspectError> {
        if self.format == Format::Raw {
            let data = wanted.iter().map(|range| FilePart {
                range: *range,
                what: "data",
                led_by: None,
                guest: Some(range.start),
            });
            return Ok(data.collect());
        }
        let device = self.top().device_mut();
        let found = parts(device, wanted, &Limits::default()).map_err(message)?;
        let found = found.into_iter().map(|part| FilePart {
            range: part.range,
            what: part.what,
            led_by: part.led_by,
            guest: part.guest,
        });
        Ok(found.collect())
    }

    fn soundness(&mut self) -> Result<Soundness, InspectError> {
        if self.format == Format::Raw {
            return Ok(Soundness::default());
        }
        let device = self.top().device_mut();
        let report = inspect(device, &Limits::default()).map_err(message)?;
        let mut errors: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        let untold = report.problem_count - report.problems.len() as u64;
        if untold > 0 {
            errors.push(format!("and {untold} more problems"));
        }
        Ok(Soundness {
            errors,
            leaks: report.leaks,
        })
    }
}

/// Adds a range, merged with the one before it where they touch.
fn add(ranges: &mut Vec<ByteRange>, range: ByteRange) {
    match ranges.last_mut() {
        Some(last) if last.end() == range.start => {
            *last = ByteRange::between(last.start, range.end());
        }
        _ => ranges.push(range),
    }
}

/// Tells an error with all its causes.
fn message(error: impl Error) -> InspectError {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    InspectError::new(message)
}
