//! Dirty bitmaps: which granules have to be dirty, and which may be.

use super::images::ImageId;
use super::ranges::RangeSet;
use crate::name::{BitmapName, JobName};
use crate::units::ByteRange;

/// To whom a bitmap belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// A disk's node.
    Disk(ImageId),
    /// The filter that this job put above its source; the bitmap vanishes with it.
    Filter(JobName),
}

/// What the clean bits of a bitmap say: these bytes are as they were then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Base {
    /// As the disk was at this moment.
    Moment(u64),
    /// As this image shows, the target of a job that failed with bitmap mode `always`.
    Image(ImageId),
}

/// The bits of a bitmap, or of the successor that records in its place while a job holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Track {
    /// The granules that have to be dirty, as ranges of whole granules.
    pub(crate) must: RangeSet,
    /// The granules that may be dirty besides.
    pub(crate) extra: RangeSet,
    /// Granules that nothing made dirty but changes of the disk since it was last flushed: a loss
    /// of power may take these back, and with them all reason to be dirty.
    pub(crate) loose: RangeSet,
    /// Those that the loss of power in the step at hand left open: what the disk is found to hold
    /// tells, and no report before.
    pub(crate) lost: RangeSet,
    pub(crate) recording: bool,
    pub(crate) base: Base,
    /// The moment of the disk from which on it counts.
    pub(crate) since: u64,
    /// The moment of the disk at which it was last enabled; 0 where it recorded from the start.
    pub(crate) enabled: u64,
    /// Whether it recorded every change since.
    pub(crate) gapless: bool,
    /// The largest size the disk had since, in bytes.
    pub(crate) high: u64,
}

impl Track {
    /// Returns a clean track that counts from the disk's `moment`.
    pub(crate) fn new(recording: bool, moment: u64, size: u64) -> Self {
        Self {
            must: RangeSet::default(),
            extra: RangeSet::default(),
            loose: RangeSet::default(),
            lost: RangeSet::default(),
            recording,
            base: Base::Moment(moment),
            since: moment,
            enabled: 0,
            gapless: true,
            high: size,
        }
    }

    /// Returns the moment of the disk from which on it has seen every change.
    pub(crate) fn records_since(&self) -> u64 {
        self.since.max(self.enabled)
    }

    /// Takes in a change of these whole granules that has to be seen.
    pub(crate) fn dirty(&mut self, granules: ByteRange) {
        self.must.insert(granules);
        if !self.extra.is_empty() {
            self.extra.remove(granules);
        }
    }

    /// Takes in that what is to make these whole granules dirty, or may, is not flushed.
    pub(crate) fn loosen(&mut self, granules: ByteRange) {
        let fresh: Vec<_> = self.must.gaps(granules).collect();
        self.loose.extend(fresh);
    }

    /// Takes in a loss of power, after which nothing but what is in `firm` has to be dirty because
    /// of changes that were not flushed.
    pub(crate) fn lose(&mut self, firm: &RangeSet) {
        let mut open = self.loose.clone();
        open.subtract(firm);
        for range in open.iter() {
            let lost: Vec<_> = self.must.within(range).collect();
            for range in lost {
                self.must.remove(range);
                self.extra.insert(range);
            }
        }
        self.lost = open;
    }

    /// Takes in that these whole granules may have changed.
    pub(crate) fn doubt(&mut self, granules: ByteRange) {
        let gaps: Vec<_> = self.must.gaps(granules).collect();
        self.extra.extend(gaps);
    }

    /// Takes in that what may have changed did change: those of the granules that may be dirty
    /// must.
    pub(crate) fn confirm(&mut self, granules: ByteRange) {
        let confirmed: Vec<_> = self.extra.within(granules).collect();
        for range in confirmed {
            self.dirty(range);
        }
    }

    /// Adds the bits of another track, rounded outward to this one's granules.
    pub(crate) fn merge(&mut self, other: &Self, size: u64, granularity: u64) {
        for range in other.must.outward(size, granularity).iter() {
            self.dirty(range);
            self.loose.remove(range);
        }
        for range in other.extra.outward(size, granularity).iter() {
            self.doubt(range);
        }
    }

    /// Takes in a new size of the disk.
    ///
    /// What shrinks away loses its bits but for a granule that is partly left. What grows is clean,
    /// unless the disk was larger since the bitmap began to count: there its base may still hold
    /// data where the disk now has zeroes.
    pub(crate) fn resize(&mut self, old: u64, new: u64, granularity: u64) {
        let kept = ByteRange::between(0, new).outward(granularity).end();
        self.must.truncate(kept);
        self.extra.truncate(kept);
        self.loose.truncate(kept);
        let regrown = ByteRange::between(old, new.min(self.high));
        if !regrown.is_empty() {
            if self.recording {
                self.dirty(regrown.outward(granularity));
                self.loose.remove(regrown.outward(granularity));
            } else {
                self.gapless = false;
            }
        }
        self.high = self.high.max(new);
    }

    /// Returns the granules that may be dirty, those that have to be among them.
    pub(crate) fn may(&self) -> RangeSet {
        let mut out = self.must.clone();
        out.extend(self.extra.iter());
        out
    }

    /// Returns how many bytes the granules make: at least, at most.
    pub(crate) fn count(&self) -> (u64, u64) {
        let least = self.must.total();
        (least, least + self.extra.total())
    }
}

/// Whether the image's file has a bitmap, true or flagged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stored {
    No,
    Unknown,
    Yes,
}

/// A dirty bitmap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bitmap {
    pub(crate) owner: Owner,
    pub(crate) name: BitmapName,
    /// Bytes per bit.
    pub(crate) granularity: u64,
    pub(crate) persistent: bool,
    pub(crate) inconsistent: bool,
    pub(crate) stored: Stored,
    /// It came back after a restart, and was not cleared or given back by a job since.
    pub(crate) came_back: bool,
    /// It outlived an end that went wrong: it may be true or inconsistent or, unless it has to be
    /// in the file, gone. What is seen of it next tells.
    pub(crate) open: bool,
    /// Its bits; while it is busy, as they were when the job froze them.
    pub(crate) track: Track,
    /// What records in its place while a job holds it.
    pub(crate) successor: Option<Track>,
    /// An earlier action of the transaction under way removed it: nobody can use it any more.
    pub(crate) removed: bool,
    /// A kill left open whether its file has it, and the file was not flushed since: what the file
    /// says of it now the next cut may take back.
    pub(crate) volatile: bool,
}

impl Bitmap {
    pub(crate) fn busy(&self) -> bool {
        self.successor.is_some() || self.removed
    }

    /// Returns the track that records now.
    pub(crate) fn active(&mut self) -> &mut Track {
        self.successor.as_mut().unwrap_or(&mut self.track)
    }

    /// Tells whether writes are recorded.
    pub(crate) fn recording(&self) -> bool {
        self.successor.as_ref().unwrap_or(&self.track).recording
    }

    /// Takes in a new size of the disk.
    ///
    /// A file does not say how large its disk once was. So what grows of a bitmap that came back
    /// may be dirty, and has to be only where the disk was larger before.
    pub(crate) fn resize(&mut self, old: u64, new: u64) {
        let granularity = self.granularity;
        let grown = ByteRange::between(old, new).outward(granularity);
        if self.came_back && self.track.recording && !grown.is_empty() {
            self.track.doubt(grown);
        }
        self.track.resize(old, new, granularity);
    }

    /// Returns the whole granules that `range` touches.
    pub(crate) fn granules(&self, range: ByteRange) -> ByteRange {
        range.outward(self.granularity)
    }

    /// Hands the bits to a job: from now on a successor records.
    pub(crate) fn freeze(&mut self, moment: u64, size: u64) {
        let recording = self.track.recording;
        self.successor = Some(Track::new(recording, moment, size));
    }

    /// Ends a job's hold so that what was written since it began is all that is dirty.
    pub(crate) fn sync(&mut self) {
        self.came_back = false;
        if let Some(successor) = self.successor.take() {
            self.track = successor;
        }
    }

    /// Ends a job's hold so that nothing is lost: what was written since it began is added.
    pub(crate) fn reclaim(&mut self) {
        if let Some(successor) = self.successor.take() {
            let mut loose = successor.loose.clone();
            loose.subtract(&self.track.must);
            loose.extend(self.track.loose.iter());
            self.track.merge(&successor, u64::MAX, self.granularity);
            self.track.loose = loose;
            self.track.recording = successor.recording;
            self.track.gapless &= successor.gapless;
            self.track.high = self.track.high.max(successor.high);
        }
    }
}
