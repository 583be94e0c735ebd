//! What is seen in an image of which nobody knows what it has to hold.

use std::collections::BTreeSet;

use blkproof_device::MemStore;
use blkproof_spec::scenario::{DiskSetup, Role};
use blkproof_spec::{
    At, BitmapStatus, ByteRange, Format, Geometry, ImageName, Length, SECTOR, Setup, Status,
};

use crate::inspect::{InspectError, Inspected, Inspector};
use crate::run::caught;
use crate::subject::Subject;

/// How many bytes are compared at a time.
const CHUNK: u64 = 64 << 10;
/// How many sectors of one kind are told.
const TOLD: usize = 4;

/// What is known since an image was last flushed.
#[derive(Debug)]
pub(super) struct Since {
    /// The store then.
    flushed: MemStore,
    /// The sectors that a guest would have seen hold something else since.
    changed: BTreeSet<u64>,
    /// The sizes that the image had.
    sizes: BTreeSet<u64>,
    /// The bitmaps that were consistent then.
    bitmaps: Vec<BitmapStatus>,
    /// Those that were since, and that are others or of the same contents.
    others: Vec<BitmapStatus>,
}

/// The eyes.
pub(super) struct Looks<'a, S> {
    pub(super) image: &'a ImageName,
    pub(super) format: Format,
    pub(super) inspector: &'a mut dyn Inspector,
    pub(super) fresh: &'a mut dyn FnMut() -> S,
}

impl<S: Subject> Looks<'_, S> {
    fn open(&mut self, store: &MemStore) -> Result<Box<dyn Inspected>, InspectError> {
        self.inspector.open_alone(store, self.image, self.format)
    }

    /// Begins anew with a store of which everything is durable, if there is an image.
    pub(super) fn begin(&mut self, store: &MemStore) -> Option<Since> {
        let flushed = store.fork();
        let mut image = self.open(&flushed).ok()?;
        if !image.soundness().ok()?.errors.is_empty() {
            return None;
        }
        let bitmaps = self.bitmaps(&flushed, &*image).ok()?;
        Some(Since {
            changed: BTreeSet::new(),
            sizes: BTreeSet::from([image.size().0]),
            bitmaps,
            others: Vec::new(),
            flushed,
        })
    }

    /// Adds what is seen in a store of which nothing is lost. Where nothing can be seen, that is
    /// for the judgement of it to tell.
    pub(super) fn add(&mut self, since: &mut Since, store: &MemStore) {
        let (Ok(mut before), Ok(mut image)) = (self.open(&since.flushed), self.open(store)) else {
            return;
        };
        since.sizes.insert(image.size().0);
        let mut is_same = before.size() == image.size();
        let changed = &mut since.changed;
        let compared = differences(&mut *before, &mut *image, |sector| {
            is_same = false;
            changed.insert(sector);
        });
        let (Ok(()), Ok(bitmaps)) = (compared, self.bitmaps(store, &*image)) else {
            return;
        };
        for bitmap in bitmaps {
            if is_same || !since.bitmaps.contains(&bitmap) {
                since.others.push(bitmap);
            }
        }
    }

    /// Says what is wrong with what a cut left.
    pub(super) fn judge(&mut self, since: &Since, store: &MemStore) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(error) = self.judge_into(since, store, &mut problems) {
            problems.push(error.message);
        }
        problems
    }

    fn judge_into(
        &mut self,
        since: &Since,
        store: &MemStore,
        problems: &mut Vec<String>,
    ) -> Result<(), InspectError> {
        let mut image = self.open(store)?;
        problems.append(&mut image.soundness()?.errors);
        let size = image.size().0;
        if !since.sizes.contains(&size) {
            problems.push(format!(
                "the image has a size of {size} bytes, as never before"
            ));
        }
        let mut before = self.open(&since.flushed)?;
        let (mut wrong, mut differing) = (Vec::new(), before.size() != image.size());
        differences(&mut *before, &mut *image, |sector| {
            differing = true;
            if !since.changed.contains(&sector) {
                wrong.push(sector);
            }
        })?;
        tell(
            &wrong,
            "held something else when they were flushed",
            problems,
        );
        if image.backing().is_some() {
            // Only the image itself was logged; what lies below it is not there.
            return Ok(());
        }
        let (opened, wrong) = self.by_subject(store, &mut *image)?;
        tell(&wrong, "are shown differently by the engine", problems);
        for bitmap in opened {
            let is_old = since.bitmaps.contains(&bitmap) && !differing;
            if !is_old && !since.others.contains(&bitmap) {
                let name = &bitmap.name;
                problems.push(format!("bitmap {name} is called consistent and is not"));
            }
        }
        Ok(())
    }

    /// Opens what is left by a subject; returns the bitmaps that it calls consistent and the
    /// sectors that it shows differently.
    fn by_subject(
        &mut self,
        store: &MemStore,
        image: &mut dyn Inspected,
    ) -> Result<(Vec<BitmapStatus>, Vec<u64>), InspectError> {
        let opened = caught(|| self.start(store, image.size()));
        let mut subject = opened.map_err(|_| InspectError::new("the engine panics"))??;
        let mut ranges = Vec::new();
        image.data(&mut ranges)?;
        let (at, mut wrong) = (At::Node(self.image.clone()), Vec::new());
        let (mut shown, mut found) = (Vec::new(), Vec::new());
        for chunk in chunks(&ranges, image.size().0) {
            read(image, chunk, &mut found)?;
            shown.clear();
            shown.resize(found.len(), 0);
            let peeked = caught(|| subject.peek(&at, chunk, &mut shown));
            peeked
                .map_err(|_| InspectError::new("the engine panics"))?
                .map_err(|error| InspectError::new(format!("the engine: {}", error.message)))?;
            compare(chunk, &found, &shown, |sector| wrong.push(sector));
        }
        Ok((consistent(&mut subject), wrong))
    }

    /// Returns the bitmaps that a subject calls consistent.
    fn bitmaps(
        &mut self,
        store: &MemStore,
        image: &dyn Inspected,
    ) -> Result<Vec<BitmapStatus>, InspectError> {
        if image.backing().is_some() {
            return Ok(Vec::new());
        }
        let opened = caught(|| self.start(store, image.size()));
        let mut subject = opened.map_err(|_| InspectError::new("the engine panics"))??;
        Ok(consistent(&mut subject))
    }

    /// Starts a subject on a copy of a store: opening an image may change it.
    fn start(&mut self, store: &MemStore, size: Length) -> Result<S, InspectError> {
        let disk = DiskSetup {
            name: self.image.clone(),
            geometry: Geometry {
                format: self.format,
                ..Geometry::qcow2(size)
            },
            backing: None,
            role: Role::Node,
            contents: Vec::new(),
        };
        let setup = Setup {
            disks: vec![disk],
            ..Setup::default()
        };
        let mut subject = (self.fresh)();
        let opened = subject.open(store.fork().subject_handle(), &setup);
        match opened {
            Ok(()) => Ok(subject),
            Err(error) => {
                let message = format!("the engine cannot open it: {}", error.message);
                Err(InspectError::new(message))
            }
        }
    }
}

fn consistent(subject: &mut impl Subject) -> Vec<BitmapStatus> {
    let mut status = Status::default();
    subject.status(&mut status);
    let bitmaps = status.bitmaps.into_iter();
    bitmaps.filter(|bitmap| !bitmap.inconsistent).collect()
}

/// Tells of sectors, some of them by number.
fn tell(sectors: &[u64], what: &str, problems: &mut Vec<String>) {
    if sectors.is_empty() {
        return;
    }
    let named: Vec<String> = sectors.iter().take(TOLD).map(ToString::to_string).collect();
    let (count, named) = (sectors.len(), named.join(", "));
    let more = if count > TOLD { ", ..." } else { "" };
    problems.push(format!("{count} sectors ({named}{more}) {what}"));
}

/// Tells of every sector in which two images differ that both have.
fn differences(
    before: &mut dyn Inspected,
    after: &mut dyn Inspected,
    mut differs: impl FnMut(u64),
) -> Result<(), InspectError> {
    let mut ranges = Vec::new();
    before.data(&mut ranges)?;
    after.data(&mut ranges)?;
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for chunk in chunks(&ranges, before.size().0.min(after.size().0)) {
        read(before, chunk, &mut old)?;
        read(after, chunk, &mut new)?;
        compare(chunk, &old, &new, &mut differs);
    }
    Ok(())
}

/// Returns the pieces of what is in any of these ranges and below `size`, ascending.
fn chunks(ranges: &[ByteRange], size: u64) -> Vec<ByteRange> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let (mut chunks, mut position) = (Vec::new(), 0);
    for range in sorted {
        let end = range.outward(SECTOR).end().min(size);
        position = position.max(range.outward(SECTOR).start);
        while position < end {
            let chunk = ByteRange::between(position, end.min(position + CHUNK));
            chunks.push(chunk);
            position = chunk.end();
        }
    }
    chunks
}

fn read(
    image: &mut dyn Inspected,
    chunk: ByteRange,
    buf: &mut Vec<u8>,
) -> Result<(), InspectError> {
    buf.clear();
    buf.resize(usize::try_from(chunk.len).unwrap_or(0), 0);
    image.read(chunk.start, buf)
}

/// Tells of every sector in which two pieces differ.
fn compare(chunk: ByteRange, left: &[u8], right: &[u8], mut differs: impl FnMut(u64)) {
    if left == right {
        return;
    }
    let sector = usize::try_from(SECTOR).unwrap_or(usize::MAX);
    let pairs = left.chunks(sector).zip(right.chunks(sector));
    for ((left, right), number) in pairs.zip(chunk.start / SECTOR..) {
        if left != right {
            differs(number);
        }
    }
}
