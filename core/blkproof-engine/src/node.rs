//! Nodes: the open images, each with its bitmaps and the filters above it.

use core::ops::{Index, IndexMut};

use blkproof_device::{BlockDevice, IoResult, StatusKind};
use blkproof_spec::{At, BitmapName, ByteRange, DiscardMode, DiskId, ImageName};

use crate::bitmap::Bitmap;
use crate::image::{Chain, Image};
use crate::job::JobSerial;
use crate::runs::Runs;

/// What a node is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    /// A disk of the setup with a device.
    Device,
    /// A disk of the setup without a device.
    Node,
    /// A job's target. It can be addressed where `blockdev-backup` would have named it.
    Target { named: bool },
}

/// An open image.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) disk: DiskId,
    pub(crate) image: Image,
    pub(crate) size: u64,
    pub(crate) discard: DiscardMode,
    pub(crate) used: Use,
    pub(crate) bitmaps: Vec<Bitmap>,
    /// The jobs whose filters lie between device and node, outermost (oldest) first.
    pub(crate) filters: Vec<JobSerial>,
    /// What was once found to be zeroes, where a seeded bug remembers it.
    pub(crate) stale: Option<Runs>,
    /// It counts as busy whatever happens, by a seeded bug.
    pub(crate) stuck: bool,
}

/// What a run of bytes holds, all layers considered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Extent {
    pub(crate) len: u64,
    pub(crate) zero: bool,
}

impl Node {
    pub(crate) fn new(disk: DiskId, image: Image, discard: DiscardMode, used: Use) -> Self {
        Self {
            disk,
            size: image.size(),
            image,
            discard,
            used,
            bitmaps: Vec::new(),
            filters: Vec::new(),
            stale: None,
            stuck: false,
        }
    }

    pub(crate) fn name(&self) -> &ImageName {
        &self.image.name
    }

    pub(crate) fn device(&mut self) -> &mut dyn BlockDevice {
        self.image.device()
    }

    /// Tells whether it is found under its name.
    pub(crate) fn is_named(&self) -> bool {
        self.used != Use::Target { named: false }
    }

    pub(crate) fn is_target(&self) -> bool {
        matches!(self.used, Use::Target { .. })
    }

    /// Takes note of a write that ended, whatever its result.
    pub(crate) fn record(&mut self, range: ByteRange) {
        for bitmap in &mut self.bitmaps {
            bitmap.record(range);
        }
    }

    /// Takes note of a discard that ended, whatever its result.
    pub(crate) fn record_discard(&mut self, range: ByteRange) {
        for bitmap in &mut self.bitmaps {
            bitmap.record_discard(range, self.size);
        }
    }

    pub(crate) fn bitmap(&mut self, name: &BitmapName) -> Option<&mut Bitmap> {
        self.bitmaps.iter_mut().find(|bitmap| bitmap.name == *name)
    }

    /// Tells what the first bytes of `range` read as. It lies within the disk and is not empty.
    pub(crate) fn extent(&mut self, range: ByteRange) -> IoResult<Extent> {
        let Some(stale) = &self.stale else {
            return self.look_up(range);
        };
        // By a seeded bug, what was zero once stays so.
        if let Some((start, end)) = stale.first_from(range.start)
            && start == range.start
        {
            return Ok(Extent {
                len: end.min(range.end()) - start,
                zero: true,
            });
        }
        let extent = self.look_up(range)?;
        if let Some(stale) = self.stale.as_mut().filter(|_| extent.zero) {
            stale.insert(range.start, range.start + extent.len);
        }
        Ok(extent)
    }

    fn look_up(&mut self, range: ByteRange) -> IoResult<Extent> {
        let status = self.image.device().block_status(range)?;
        let mut len = status.len.0.min(range.len);
        match status.kind {
            StatusKind::Data => return Ok(Extent { len, zero: false }),
            StatusKind::Zero => return Ok(Extent { len, zero: true }),
            StatusKind::Hole => {}
        }
        for layer in self.image.backing.downwards() {
            let size = layer.device.size().0;
            if range.start >= size {
                break;
            }
            len = len.min(size - range.start);
            let status = layer
                .device
                .block_status(ByteRange::new(range.start, len))?;
            len = len.min(status.len.0);
            match status.kind {
                StatusKind::Data => return Ok(Extent { len, zero: false }),
                StatusKind::Zero => break,
                StatusKind::Hole => {}
            }
        }
        Ok(Extent { len, zero: true })
    }

    /// Tells how many of the first bytes of `range` are alike in whether the top image has them
    /// allocated, and whether it has.
    pub(crate) fn allocation(&mut self, range: ByteRange) -> IoResult<(u64, bool)> {
        let status = self.image.device().block_status(range)?;
        Ok((status.len.0.min(range.len), status.kind != StatusKind::Hole))
    }
}

/// Where an address leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// To the node itself.
    Node(NodeId),
    /// To the outermost filter above the node.
    Filter(NodeId, JobSerial),
}

impl Place {
    /// Returns the node that it is, or that lies below it.
    pub(crate) fn node(self) -> NodeId {
        match self {
            Self::Node(node) | Self::Filter(node, _) => node,
        }
    }
}

/// The identity of an open node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct NodeId(usize);

/// The open nodes.
#[derive(Default, Debug)]
pub(crate) struct Nodes(Vec<Option<Node>>);

impl Nodes {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn add(&mut self, node: Node) -> NodeId {
        let slot = self.0.iter().position(Option::is_none);
        let slot = slot.unwrap_or(self.0.len());
        if slot == self.0.len() {
            self.0.push(None);
        }
        self.0[slot] = Some(node);
        NodeId(slot)
    }

    pub(crate) fn remove(&mut self, id: NodeId) {
        self.0[id.0] = None;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.0.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.0.iter_mut().flatten()
    }

    /// Returns two different nodes at once.
    pub(crate) fn pair(&mut self, a: NodeId, b: NodeId) -> (&mut Node, &mut Node) {
        match self.0.get_disjoint_mut([a.0, b.0]) {
            Ok([Some(a), Some(b)]) => (a, b),
            _ => unreachable!("a job's source and target are two open nodes"),
        }
    }

    /// Returns the node of this name that can be addressed.
    pub(crate) fn named(&self, name: &ImageName) -> Option<NodeId> {
        let of_that_name = |node: &Node| node.is_named() && node.name() == name;
        let index = self
            .0
            .iter()
            .position(|node| node.as_ref().is_some_and(of_that_name));
        index.map(NodeId)
    }

    /// Returns where an address leads. A device leads to the outermost filter above its node.
    pub(crate) fn find(&self, at: &At) -> Option<Place> {
        let node = self.named(at.name())?;
        let filter = match at {
            At::Device(_) if self[node].used == Use::Device => self[node].filters.first(),
            _ => None,
        };
        Some(match filter {
            Some(filter) => Place::Filter(node, *filter),
            None => Place::Node(node),
        })
    }

    /// Returns an open image and its chain as what another image can be backed by.
    pub(crate) fn share(&mut self, id: NodeId) -> Chain {
        let slot = &mut self.0[id.0];
        let node = slot.take().expect("a node in use is open");
        let (image, chain) = node.image.share();
        *slot = Some(Node { image, ..node });
        chain
    }

    /// Tells whether the image is open, itself or in the chain of something open.
    pub(crate) fn uses(&self, name: &ImageName) -> bool {
        self.iter()
            .any(|node| node.name() == name || node.image.backing.has(name))
    }

    /// Returns the node that has the image open for writing.
    pub(crate) fn writer(&self, name: &ImageName) -> Option<NodeId> {
        let index = self
            .0
            .iter()
            .position(|node| node.as_ref().is_some_and(|node| node.name() == name));
        index.map(NodeId)
    }
}

impl Index<NodeId> for Nodes {
    type Output = Node;

    fn index(&self, id: NodeId) -> &Node {
        self.0[id.0].as_ref().expect("a node in use is open")
    }
}

impl IndexMut<NodeId> for Nodes {
    fn index_mut(&mut self, id: NodeId) -> &mut Node {
        self.0[id.0].as_mut().expect("a node in use is open")
    }
}
