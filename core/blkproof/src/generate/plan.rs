//! What the generator keeps in mind while it makes up steps.

use blkproof_spec::scenario::Role;
use blkproof_spec::step::Action;
use blkproof_spec::{
    At, BitmapName, ByteRange, DiscardMode, DiskSetup, Format, Geometry, ImageName, JobName,
    Length, RequestId, RuleName, SECTOR,
};

use super::{Choices, Profile};

/// The steps so far, and what they probably led to.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Action>,
    pub(super) disks: Vec<Disk>,
    pub(super) rules: Vec<RuleName>,
    next_name: u32,
}

/// A disk, and what probably became of it.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) name: ImageName,
    pub(super) geometry: Geometry,
    pub(super) bitmaps: Vec<Tracked>,
    pub(super) jobs: Vec<JobName>,
    pub(super) requests: Vec<RequestId>,
    /// The last image that a backup without bitmap was told to write.
    pub(super) last_full: Option<ImageName>,
    /// Where guest requests went so far.
    pub(super) touched: Vec<ByteRange>,
}

/// A bitmap, and the image that its next incremental should stand on.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub(super) name: BitmapName,
    pub(super) base: Option<ImageName>,
}

impl Plan {
    pub(super) fn new(disks: &[DiskSetup]) -> Self {
        let disks = disks.iter().map(Disk::new).collect();
        Self {
            steps: Vec::new(),
            disks,
            rules: Vec::new(),
            next_name: 0,
        }
    }

    pub(super) fn push(&mut self, action: Action) {
        self.steps.push(action);
    }

    /// Returns a name that nothing has yet.
    pub(super) fn fresh(&mut self, stem: &str) -> String {
        self.next_name += 1;
        format!("{stem}{}", self.next_name)
    }
}

impl Disk {
    fn new(setup: &DiskSetup) -> Self {
        Self {
            name: setup.name.clone(),
            geometry: setup.geometry,
            bitmaps: Vec::new(),
            jobs: Vec::new(),
            requests: Vec::new(),
            last_full: None,
            touched: Vec::new(),
        }
    }

    /// Addresses it as a device, or now and then as a node.
    pub(super) fn at(&self, choices: &mut Choices) -> At {
        if choices.chance(15) {
            At::Node(self.name.clone())
        } else {
            At::Device(self.name.clone())
        }
    }

    /// Makes up a range to touch: near what was touched before, at borders, at the end, or
    /// anywhere.
    pub(super) fn range(&mut self, choices: &mut Choices) -> ByteRange {
        let size = self.geometry.size.0;
        let cluster = self.geometry.cluster.0;
        let start = match choices.below(8) {
            0 => self.touched.last().map_or(0, |range| range.start),
            1 => choices
                .maybe_pick(&self.touched)
                .map_or(0, |range| range.end()),
            2 => size.saturating_sub(SECTOR * choices.between(1, 4)),
            3 => (choices.below(size / cluster + 1) * cluster).saturating_sub(SECTOR),
            4 => choices.below(size / SECTOR + 1) * SECTOR,
            _ => choices.below(size / cluster + 1) * cluster,
        };
        let start = start.min(size.saturating_sub(SECTOR));
        let len = match choices.below(6) {
            0 => SECTOR,
            1 => cluster + SECTOR,
            2 => cluster.saturating_mul(choices.between(2, 4)),
            3 => choices.between(1, 2 * cluster / SECTOR) * SECTOR,
            _ => cluster,
        };
        let range = ByteRange::new(start, len.min(size - start));
        self.touched.push(range);
        range
    }

    /// Returns the size of the disk's next image.
    pub(super) fn resized(&self, choices: &mut Choices) -> Length {
        let cluster = self.geometry.cluster.0;
        let size = self.geometry.size.0;
        let by = choices.between(1, 3 * cluster / SECTOR) * SECTOR;
        let size = if choices.chance(70) {
            size + by
        } else {
            size.saturating_sub(by).max(SECTOR)
        };
        Length(size)
    }
}

/// Makes up a disk.
pub(super) fn disk(index: u64, choices: &mut Choices, profile: &Profile) -> DiskSetup {
    let format = *choices.pick(profile.formats);
    let cluster = match format {
        Format::Raw => Geometry::DEFAULT_CLUSTER.0,
        Format::Qcow2 => *choices.pick(&[64 << 10, 64 << 10, 64 << 10, 4 << 10, 128 << 10, 512]),
    };
    let clusters = choices.between(profile.clusters.0, profile.clusters.1);
    let odd = if choices.chance(30) {
        choices.between(1, cluster / SECTOR) * SECTOR
    } else {
        0
    };
    let discard = if choices.chance(80) {
        DiscardMode::Unmap
    } else {
        DiscardMode::Ignore
    };
    DiskSetup {
        name: ImageName::new(&format!("drive{index}")),
        geometry: Geometry {
            size: Length(clusters * cluster + odd),
            cluster: Length(cluster),
            format,
            discard,
        },
        backing: None,
        role: Role::Device,
        contents: Vec::new(),
    }
}
