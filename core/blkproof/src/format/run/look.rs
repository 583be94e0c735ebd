//! Looking at all of an image: through the library, and with other eyes.

use blkproof_spec::{ByteRange, Format};

use super::super::outcome::{Property, UNREAD};
use super::super::seam::{Image, Request};
use super::super::watch::Unwound;
use super::{Run, Stop, file};
use crate::inspect::{InspectError, Inspected};

/// How much is read at once.
const PIECE: u64 = 256 << 10;

/// How many complaints about an image's structure are told.
const COMPLAINTS_MAX: usize = 4;

impl Run<'_, '_> {
    /// Reads all of the image through the library; no fault acts meanwhile.
    pub(super) fn look_through(&mut self, property: Property) -> Result<(), Stop> {
        let Some(mut image) = self.image.take() else {
            return Ok(());
        };
        self.store.set_quiet(true);
        let watch = self.watch.clone();
        let result = watch.call(|| read_all(&mut *image));
        self.store.set_quiet(false);
        self.image = Some(image);
        match result {
            // Reading may write something back first.
            Ok(_) if self.store.is_off() => return self.lose(),
            Err(Unwound::Lost) => return self.lose(),
            Err(unwound) => return Err(self.broken(unwound)),
            Ok(Ok(data)) => {
                self.counts.looks += 1;
                self.compare(0, &data, property);
            }
            Ok(Err(message)) => {
                let seen = format!("reading all of it without faults: {message}");
                self.note(Property::ErrorsCaused, seen);
            }
        }
        self.judged()
    }

    /// Has somebody else look at the file of an image that nobody has open.
    pub(super) fn inspect(&mut self, property: Property) -> Result<(), Stop> {
        let seen_before = self.counts.masked.clone();
        let Some(inspector) = self.judge.inspector.as_mut() else {
            return Ok(());
        };
        let mut image = match inspector.open(&self.store, &file(), Format::Qcow2) {
            Ok(image) => image,
            Err(error) => {
                self.note(Property::ImageSound, error.to_string());
                return Err(self.stop());
            }
        };
        self.inspect_structure(&mut *image)?;
        self.see_size(image.size().0);
        match read_inspected(&mut *image) {
            Ok(data) => {
                self.counts.looks += 1;
                self.compare(0, &data, property);
            }
            Err(error) => self.note(Property::ImageSound, error.to_string()),
        }
        self.judged()?;
        if self.counts.masked == seen_before {
            self.trail.clear();
        }
        Ok(())
    }

    fn inspect_structure(&mut self, image: &mut dyn Inspected) -> Result<(), Stop> {
        let soundness = match image.soundness() {
            Ok(soundness) => soundness,
            Err(error) => {
                self.note(Property::ImageSound, error.to_string());
                return Err(self.stop());
            }
        };
        if !soundness.errors.is_empty() {
            let told = &soundness.errors[..soundness.errors.len().min(COMPLAINTS_MAX)];
            self.note(Property::ImageSound, told.join("; "));
            return Err(self.stop());
        }
        if soundness.leaks > 0 && self.is_undisturbed() {
            self.note(
                Property::NoLeaks,
                format!("{} clusters leak", soundness.leaks),
            );
        }
        Ok(())
    }
}

fn read_all(image: &mut dyn Image) -> Result<Vec<u8>, String> {
    let size = image.size().0;
    let mut data = vec![UNREAD; usize::try_from(size).unwrap_or(0)];
    for range in pieces(size) {
        let request = Request::Read {
            offset: range.start.into(),
            buf: part(&mut data, range),
        };
        match image.request(request) {
            Ok(super::super::seam::Handled::All) => {}
            Ok(other) => return Err(format!("{other:?} of {range}")),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(data)
}

fn read_inspected(image: &mut dyn Inspected) -> Result<Vec<u8>, InspectError> {
    let size = image.size().0;
    let mut data = vec![0; usize::try_from(size).unwrap_or(0)];
    for range in pieces(size) {
        image.read(range.start, part(&mut data, range))?;
    }
    Ok(data)
}

fn pieces(size: u64) -> impl Iterator<Item = ByteRange> {
    let starts = (0..size.div_ceil(PIECE)).map(|index| index * PIECE);
    starts.map(move |start| ByteRange::between(start, (start + PIECE).min(size)))
}

fn part(data: &mut [u8], range: ByteRange) -> &mut [u8] {
    let index = |position| usize::try_from(position).unwrap_or(usize::MAX);
    &mut data[index(range.start)..index(range.end())]
}
