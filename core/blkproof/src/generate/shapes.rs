//! Where requests go and how large things are: edges more often than chance would have it.

use blkproof_spec::scenario::Role;
use blkproof_spec::{ByteRange, DiscardMode, DiskSetup, Format, Geometry, Length, SECTOR};

use super::account::{Account, Disk, Image};
use super::few::Few;
use super::label::Label;
use super::{Choices, Profile};

const CLUSTERS: [u64; 8] = [
    64 << 10,
    64 << 10,
    64 << 10,
    64 << 10,
    4 << 10,
    128 << 10,
    512,
    LARGEST,
];

/// Only large disks have clusters of this size: where disks are small these find no bug sooner, and
/// take half of the time.
const LARGEST: u64 = 1 << 20;

/// Up to so many clusters, a profile means small disks.
const SMALL: u64 = 64;

/// The size up to which disks are small, if they have more than two clusters.
const SMALL_MAX: u64 = 1 << 20;

/// The largest disk whose writes are drawn as a whole number of its clusters.
const LEN_MAX: u64 = 4 << 20;

/// Makes up the disks, and what they stand on.
pub(super) fn disks(
    account: &mut Account,
    choices: &mut Choices<'_>,
    profile: &Profile,
) -> Vec<DiskSetup> {
    let count = choices.between(profile.disks.0, profile.disks.1);
    let mut setups = Vec::with_capacity(2);
    for number in 0..u32::try_from(count).unwrap_or(1) {
        let geometry = geometry(choices, profile);
        let is_backed = geometry.format == Format::Qcow2 && choices.chance(profile.backed);
        let backing = is_backed.then(|| {
            let base = Label::new("base", number);
            setups.push(image(base, backing_geometry(geometry, choices), choices));
            base
        });
        let is_node = choices.chance(8);
        let disk = Disk {
            name: Label::new("drive", number),
            geometry,
            largest: geometry.size.0,
            is_node,
            backing,
            bitmaps: Few::default(),
            last_full: None,
            edges: profile.edges,
            touched: Few::default(),
        };
        setups.push(setup(&disk, choices));
        account.disks.push(disk);
        if choices.chance(4) {
            spare(account, &mut setups, number, geometry, choices);
        }
    }
    setups
}

/// An image that is there from the start and may become a target.
fn spare(
    account: &mut Account,
    setups: &mut Vec<DiskSetup>,
    number: u32,
    geometry: Geometry,
    choices: &mut Choices<'_>,
) {
    let name = Label::new("spare", number);
    setups.push(image(name, geometry, choices));
    account.images.push(Image {
        name,
        geometry,
        has_backing: false,
    });
}

fn setup(disk: &Disk, choices: &mut Choices<'_>) -> DiskSetup {
    DiskSetup {
        name: disk.name.image(),
        geometry: disk.geometry,
        backing: disk.backing.map(Label::image),
        role: if disk.is_node {
            Role::Node
        } else {
            Role::Device
        },
        contents: contents(disk.geometry, 30, choices),
    }
}

fn image(name: Label, geometry: Geometry, choices: &mut Choices<'_>) -> DiskSetup {
    DiskSetup {
        name: name.image(),
        geometry,
        backing: None,
        role: Role::Image,
        contents: contents(geometry, 90, choices),
    }
}

fn contents(geometry: Geometry, percent: u64, choices: &mut Choices<'_>) -> Vec<(ByteRange, u8)> {
    if !choices.chance(percent) {
        return Vec::new();
    }
    let cluster = geometry.cluster.0.min(LEN_MAX);
    if percent > 50 && choices.chance(50) {
        // What others stand on is most often full of data.
        return vec![(ByteRange::new(0, geometry.size.0.min(LEN_MAX)), 0xd5)];
    }
    let start = choices.below(geometry.size.0 / SECTOR) * SECTOR;
    let len = choices.between(1, 3 * cluster / SECTOR) * SECTOR;
    let range = ByteRange::new(start, len.min(geometry.size.0 - start));
    vec![(range, 0xd5)]
}

fn geometry(choices: &mut Choices<'_>, profile: &Profile) -> Geometry {
    let is_raw = choices.chance(profile.raw);
    let cluster = if is_raw {
        Geometry::DEFAULT_CLUSTER.0
    } else {
        cluster(choices, profile)
    };
    // Bugs need few clusters, not large ones.
    let most = match profile.clusters {
        (fewest, most) if most <= SMALL => fewest.max(most.min(SMALL_MAX / cluster).max(2)),
        (_, most) => most,
    };
    let clusters = choices.between(profile.clusters.0, most);
    let odd = if choices.chance(30) {
        choices.between(1, cluster / SECTOR) * SECTOR
    } else {
        0
    };
    let is_huge = choices.chance(profile.huge) && cluster >= 64 << 10;
    let size = if is_huge {
        (choices.between(1, 16) << 40) - odd
    } else {
        clusters * cluster + odd
    };
    let discard = if choices.chance(20) {
        DiscardMode::Ignore
    } else {
        DiscardMode::Unmap
    };
    Geometry {
        size: Length(size),
        cluster: Length(cluster),
        format: if is_raw { Format::Raw } else { Format::Qcow2 },
        discard,
    }
}

fn cluster(choices: &mut Choices<'_>, profile: &Profile) -> u64 {
    match choices.pick(&CLUSTERS) {
        LARGEST if profile.clusters.1 <= SMALL => 4 << 10,
        cluster => cluster,
    }
}

/// Most often of the overlay's size, at times shorter or longer.
fn backing_geometry(overlay: Geometry, choices: &mut Choices<'_>) -> Geometry {
    let size = overlay.size.0;
    let other = choices.between(1, 2 * overlay.cluster.0 / SECTOR) * SECTOR;
    let size = match choices.below(4) {
        0 | 1 => size,
        2 => size.saturating_sub(other).max(SECTOR),
        _ => size + other,
    };
    Geometry {
        size: Length(size),
        ..overlay
    }
}

impl Disk {
    /// Makes up a range to touch: near what was touched before, at borders, at the end, or
    /// anywhere.
    pub(super) fn range(&mut self, choices: &mut Choices<'_>) -> ByteRange {
        let size = self.geometry.size.0;
        let (start, len) = if choices.chance(self.edges) {
            let start = self.start(choices).min(size.saturating_sub(SECTOR));
            (start, self.len(start, choices))
        } else {
            let sectors = size / SECTOR;
            let start = choices.below(sectors) * SECTOR;
            let most = 2 * self.geometry.cluster.0 / SECTOR;
            (start, choices.between(1, most) * SECTOR)
        };
        let range = ByteRange::new(start, len.min(size - start));
        self.touched.push(range);
        range
    }

    fn start(&self, choices: &mut Choices<'_>) -> u64 {
        let size = self.geometry.size.0;
        let cluster = self.geometry.cluster.0;
        let border = |choices: &mut Choices<'_>, unit: u64| choices.below(size / unit + 1) * unit;
        match choices.below(11) {
            0..=3 => border(choices, cluster),
            4 => self.touch(choices).start,
            5 => self.touch(choices).end(),
            6 => size.saturating_sub(SECTOR * choices.between(1, 4)),
            7 => size - size % cluster,
            8 => border(choices, cluster).saturating_sub(SECTOR),
            9 => border(choices, cluster) + SECTOR,
            _ => border(choices, Geometry::DEFAULT_CLUSTER.0).saturating_sub(SECTOR),
        }
    }

    fn len(&self, start: u64, choices: &mut Choices<'_>) -> u64 {
        let cluster = self.geometry.cluster.0;
        match choices.below(9) {
            0..=3 => cluster,
            4 => SECTOR,
            5 => cluster + SECTOR,
            6 => cluster.saturating_sub(SECTOR).max(SECTOR),
            7 => cluster * choices.between(2, 4),
            _ => self.geometry.size.0.saturating_sub(start).min(LEN_MAX),
        }
    }

    fn touch(&self, choices: &mut Choices<'_>) -> ByteRange {
        match self.touched.len() {
            0 => ByteRange::default(),
            len => self.touched[choices.index(len)],
        }
    }

    /// Returns the size of the disk's next shape.
    pub(super) fn resized(&self, choices: &mut Choices<'_>) -> Length {
        let cluster = self.geometry.cluster.0;
        let size = self.geometry.size.0;
        let by = match choices.below(5) {
            0 => cluster,
            1 => SECTOR,
            2 => size % cluster,
            3 => (size / 2).next_multiple_of(SECTOR).min(LEN_MAX),
            _ => choices.between(1, 3 * cluster / SECTOR) * SECTOR,
        };
        let size = if choices.chance(35) {
            size.saturating_sub(by).max(SECTOR)
        } else {
            size + by
        };
        Length(size)
    }
}
