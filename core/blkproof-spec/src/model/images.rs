//! Images, their backing chains, and what they hold.
//!
//! An image's layer maps ranges to values; a byte without a value falls through to the backing
//! file, and reads as zero where there is none or where it ends; after a whole backup it is zero
//! whatever lies below. A value is certain, or a *cell*: one of two older values, each sector on
//! its own. Copies of a layer refer to the same cell, so that pinning a sector of it (by a read
//! that shows which value it has) pins it everywhere.

mod candidates;

mod pinning;

mod setup;

pub(crate) use pinning::Source;

use super::power::Unflushed;
use super::ranges::{RangeMap, RangeSet};
use crate::content::Bytes;
use crate::geometry::{DiscardMode, Format, Geometry};
use crate::name::ImageName;
use crate::scenario::Role;
use crate::units::{ByteRange, Length, SECTOR};

/// An image that is or was there: names may be used again, these numbers are not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ImageId(pub(crate) u32);

/// A set of sectors of which each holds one of two values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CellId(u32);

/// What stands at a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// This, for certain.
    Bytes(Bytes),
    /// What the cell says.
    Cell(CellId),
}

impl Value {
    pub(crate) const ZERO: Self = Self::Bytes(Bytes::ZERO);
}

impl Default for Value {
    fn default() -> Self {
        Self::ZERO
    }
}

/// The contents of a range, or of a whole image, by value.
pub(crate) type Contents = RangeMap<Value>;

/// Which of a cell's values a sector has.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    #[default]
    Old,
    New,
}

/// What a byte has that a layer, or a cell, gives no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Absent {
    /// It is zero.
    Zero,
    /// It falls through to the image's backing file.
    Through,
}

/// The two values of some sectors.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) range: ByteRange,
    old: Contents,
    new: Contents,
    /// What absence in `old` means; in `new` it is zero.
    absent: Absent,
    pins: RangeMap<Choice>,
    /// The write that made it may still be applying sectors: what is old now may be new later.
    pub(crate) open: bool,
    /// The disk that was written and the moment of the write, by which bitmaps learn of a pin.
    pub(crate) written: Option<(ImageId, u64)>,
}

/// Whether an image is in the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Presence {
    Present,
    /// A step that failed may have left it behind.
    Unknown,
    Absent,
}

/// One image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) name: ImageName,
    pub(crate) geometry: Geometry,
    pub(crate) backing: Option<ImageName>,
    pub(crate) role: Role,
    pub(crate) presence: Presence,
    pub(crate) layer: Contents,
    /// What absence in the layer means.
    pub(crate) absent: Absent,
    /// What may be allocated besides what the layer says.
    pub(crate) kept: RangeSet,
    /// How often its contents changed: the name of a moment of this disk.
    pub(crate) moment: u64,
    /// What a loss of power may take back; `None` where all is durable, or no loss is expected.
    pub(crate) unflushed: Option<Box<Unflushed>>,
    /// The sizes that it may have, where a loss of power left that open.
    pub(crate) sizes: Vec<u64>,
    /// The disk, and its moment, that the image shows through its chain.
    pub(crate) shows: Option<(ImageId, u64)>,
}

impl Image {
    pub(crate) fn new(name: ImageName, geometry: Geometry, backing: Option<ImageName>) -> Self {
        Self {
            name,
            geometry,
            backing,
            role: Role::Image,
            presence: Presence::Present,
            layer: Contents::default(),
            absent: Absent::Through,
            kept: RangeSet::default(),
            moment: 0,
            unflushed: None,
            sizes: Vec::new(),
            shows: None,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.geometry.size.0
    }

    pub(crate) fn whole(&self) -> ByteRange {
        ByteRange::between(0, self.size())
    }

    /// Takes in that it was to grow and may not have: what lies behind its end in the last cluster
    /// is zeroed before, which may have allocated that.
    pub(crate) fn keep_end(&mut self, size: u64) {
        let (end, cluster) = (self.size(), self.cluster());
        let behind = ByteRange::between(end, end.next_multiple_of(cluster));
        if size > end && !behind.is_empty() {
            self.kept.insert(behind.outward(cluster));
        }
    }

    pub(crate) fn is_disk(&self) -> bool {
        self.role != Role::Image
    }

    /// Returns the bytes that a discard of `range` zeroes: its whole clusters, the last of which
    /// may end where the disk does.
    pub(crate) fn discarded(&self, range: ByteRange) -> ByteRange {
        if self.geometry.discard == DiscardMode::Ignore {
            return ByteRange::default();
        }
        let cluster = self.cluster();
        let Some(start) = range.start.checked_next_multiple_of(cluster) else {
            return ByteRange::default();
        };
        let end = if range.end() == self.size() {
            self.size()
        } else {
            range.end() - range.end() % cluster
        };
        ByteRange::between(start, end)
    }

    /// Returns the cluster size in which the image allocates; a raw image counts as having the
    /// default.
    pub(crate) fn cluster(&self) -> u64 {
        match self.geometry.format {
            Format::Qcow2 => self.geometry.cluster.0,
            Format::Raw => Geometry::DEFAULT_CLUSTER.0,
        }
    }
}

/// All images, by number and by name, and the cells they refer to.
#[derive(Clone, Default, Debug)]
pub(crate) struct Images {
    all: Vec<Image>,
    /// By name, in order.
    names: Vec<(ImageName, ImageId)>,
    /// Every name that is or was a backing file, in order.
    bases: Vec<ImageName>,
    cells: Vec<Cell>,
}

/// Backing chains that are longer than this are taken for loops.
const CHAIN_MAX: usize = 256;

impl Images {
    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.all.clear();
        self.names.clear();
        self.bases.clear();
        self.cells.clear();
    }

    /// Adds an image; one that had its name is forgotten under that name.
    pub(crate) fn add(&mut self, image: Image) -> ImageId {
        let id = ImageId(u32::try_from(self.all.len()).expect("a scenario has few images"));
        match self.position(&image.name) {
            Ok(index) => self.names[index].1 = id,
            Err(index) => self.names.insert(index, (image.name.clone(), id)),
        }
        self.add_base(image.backing.as_ref());
        self.all.push(image);
        id
    }

    pub(crate) fn get(&self, id: ImageId) -> &Image {
        &self.all[id.0 as usize]
    }

    pub(crate) fn get_mut(&mut self, id: ImageId) -> &mut Image {
        &mut self.all[id.0 as usize]
    }

    /// Returns the image of this name that is, or may be, in the store.
    pub(crate) fn find(&self, name: &ImageName) -> Option<ImageId> {
        let (_, id) = self.names[self.position(name).ok()?];
        (self.get(id).presence != Presence::Absent).then_some(id)
    }

    /// Returns where a name stands among all, or would have to.
    fn position(&self, name: &ImageName) -> Result<usize, usize> {
        self.names.binary_search_by(|(known, _)| known.cmp(name))
    }

    fn add_base(&mut self, backing: Option<&ImageName>) {
        if let Some(name) = backing
            && let Err(index) = self.bases.binary_search(name)
        {
            self.bases.insert(index, name.clone());
        }
    }

    /// Returns all images that are, or may be, in the store.
    pub(crate) fn present(&self) -> impl Iterator<Item = (ImageId, &Image)> + '_ {
        self.names
            .iter()
            .map(|(_, id)| (*id, self.get(*id)))
            .filter(|(_, image)| image.presence != Presence::Absent)
    }

    /// Returns all disks, in the order of the setup.
    pub(crate) fn disks(&self) -> impl Iterator<Item = (ImageId, &Image)> + '_ {
        (0u32..)
            .zip(&self.all)
            .map(|(id, image)| (ImageId(id), image))
            .filter(|(_, image)| image.is_disk())
    }

    pub(crate) fn backing_of(&self, id: ImageId) -> Option<ImageId> {
        self.find(self.get(id).backing.as_ref()?)
    }

    /// Tells whether an image of this name may be another one's backing file.
    pub(crate) fn is_base(&self, name: &ImageName) -> bool {
        self.bases.binary_search(name).is_ok()
    }

    /// Gives an image another backing file, or none.
    pub(crate) fn rebase(&mut self, id: ImageId, backing: Option<ImageName>) {
        self.add_base(backing.as_ref());
        self.get_mut(id).backing = backing;
    }

    /// Tells `see` every image below this one; `None` if an image of the chain is missing or the
    /// chain has no end.
    pub(crate) fn descend(&self, id: ImageId, mut see: impl FnMut(ImageId)) -> Option<()> {
        let mut at = id;
        let mut depth = 1;
        while let Some(name) = &self.get(at).backing {
            at = self.find(name)?;
            if depth == CHAIN_MAX {
                return None;
            }
            depth += 1;
            see(at);
        }
        Some(())
    }

    /// Tells whether all images below this one are there.
    pub(crate) fn is_complete(&self, id: ImageId) -> bool {
        self.descend(id, |_| {}).is_some()
    }

    /// Tells whether an image, or one below it, may or may not be there.
    pub(crate) fn is_doubtful(&self, id: ImageId) -> bool {
        let mut at = Some(id);
        for _ in 0..CHAIN_MAX {
            match at {
                Some(id) if self.get(id).presence == Presence::Unknown => return true,
                Some(id) => at = self.backing_of(id),
                None => return false,
            }
        }
        false
    }

    /// Tells whether `part` is `id` or lies below it.
    pub(crate) fn reaches(&self, id: ImageId, part: ImageId) -> bool {
        let mut at = Some(id);
        for _ in 0..CHAIN_MAX {
            match at {
                Some(id) if id == part => return true,
                Some(id) => at = self.backing_of(id),
                None => return false,
            }
        }
        false
    }

    pub(crate) fn cell(&self, id: CellId) -> &Cell {
        &self.cells[id.0 as usize]
    }

    /// Returns the cell for change.
    pub(crate) fn cell_mut(&mut self, id: CellId) -> &mut Cell {
        &mut self.cells[id.0 as usize]
    }

    /// Tells whether any contents are, or were, uncertain.
    pub(crate) fn has_cells(&self) -> bool {
        !self.cells.is_empty()
    }

    /// Returns how many images there are or were.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.all.len()).expect("a scenario has few images")
    }

    /// Makes every sector of `range` of the image's layer one that holds its old or its new value.
    pub(crate) fn blur(
        &mut self,
        id: ImageId,
        range: ByteRange,
        new: Contents,
        written: Option<(ImageId, u64)>,
    ) -> CellId {
        // Frozen contents of a disk outlive its layer, so its cells stand on their own; a target's
        // may be rebased and keep falling through.
        let (old, absent) = if self.get(id).is_disk() {
            (self.shown(id, range), Absent::Zero)
        } else {
            let image = self.get(id);
            (image.layer.cut(range), image.absent)
        };
        let cell = Cell {
            range,
            old,
            new,
            absent,
            pins: RangeMap::default(),
            open: false,
            written,
        };
        let cell = self.add_cell(cell);
        self.get_mut(id).layer.set(range, Value::Cell(cell));
        cell
    }

    pub(crate) fn add_cell(&mut self, cell: Cell) -> CellId {
        let number = u32::try_from(self.cells.len()).expect("a scenario has few cells");
        self.cells.push(cell);
        CellId(number)
    }

    /// Says which value the sectors of `range` have. What is pinned already stays.
    pub(crate) fn pin(&mut self, id: CellId, range: ByteRange, choice: Choice) {
        let cell = self.cell_mut(id);
        let gaps: Vec<_> = cell
            .pins
            .stretches(range.intersect(cell.range))
            .filter(|(_, pin)| pin.is_none())
            .map(|(gap, _)| gap)
            .collect();
        for gap in gaps {
            cell.pins.set(gap, choice);
        }
    }

    /// Returns what the image shows through its chain, with a value for every byte that is not
    /// zero.
    pub(crate) fn flatten(&self, id: ImageId) -> Contents {
        let image = self.get(id);
        if image.backing.is_none() || image.absent == Absent::Zero {
            return image.layer.clone();
        }
        self.shown(id, image.whole())
    }

    /// Returns what the image shows of `range` through its chain.
    fn shown(&self, id: ImageId, range: ByteRange) -> Contents {
        let mut out = Contents::default();
        self.show(id, range, 0, &mut |range, value| out.set(range, value));
        out
    }

    /// Tells `see` every stretch of `range` that the image shows with a value through its chain.
    ///
    /// Cells keep referring to the image whose layer holds them: what falls through a cell of a
    /// backing file falls through to what backs that file.
    pub(crate) fn show(
        &self,
        id: ImageId,
        range: ByteRange,
        depth: usize,
        see: &mut dyn FnMut(ByteRange, Value),
    ) {
        let image = self.get(id);
        for (stretch, value) in image.layer.stretches(range.intersect(image.whole())) {
            match value {
                Some(value) => see(stretch, value),
                None => {
                    if image.absent == Absent::Through
                        && let Some(backing) = self.backing_of(id)
                        && depth < CHAIN_MAX
                    {
                        self.show(backing, stretch, depth + 1, see);
                    }
                }
            }
        }
    }
}

impl Cell {
    /// Returns a cell of the same values of which as much is known.
    pub(crate) fn twin(&self) -> Self {
        Self {
            open: false,
            written: None,
            ..self.clone()
        }
    }

    /// Returns both of its values for change.
    pub(crate) fn sides_mut(&mut self) -> [&mut Contents; 2] {
        [&mut self.old, &mut self.new]
    }

    fn side(&self, choice: Choice) -> &Contents {
        match choice {
            Choice::Old => &self.old,
            Choice::New => &self.new,
        }
    }

    /// Returns where it is known to have this value.
    pub(crate) fn pinned(&self, choice: Choice) -> Vec<ByteRange> {
        let pins = self.pins.iter().filter(|pin| pin.value == choice);
        pins.map(|pin| pin.range()).collect()
    }

    /// Returns the part of the sector at `position` that the cell decides as one.
    pub(crate) fn unit(&self, position: u64) -> ByteRange {
        let sector = ByteRange::new(position - position % SECTOR, SECTOR);
        sector.intersect(self.range)
    }
}

/// Returns the default geometry of a new image of this format.
pub(crate) fn fresh_geometry(size: Length, format: Format, cluster: Length) -> Geometry {
    Geometry {
        size,
        cluster,
        format,
        discard: DiscardMode::Unmap,
    }
}
