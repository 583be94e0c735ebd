//! What the engine reports of its bitmaps and jobs.

use blkproof_spec::{BitmapStatus, ByteRange, Length, Status};

use crate::bitmap::Bitmap;
use crate::machine::Machine;
use crate::node::Node;
use crate::runs::Runs;

impl Machine {
    /// Reports all bitmaps of named nodes, and all jobs. Filters have no name; their bitmaps are
    /// not reported.
    pub(crate) fn report(&self, status: &mut Status) {
        for node in self.nodes.iter().filter(|node| node.is_named()) {
            let bitmaps = node.bitmaps.iter().rev();
            status
                .bitmaps
                .extend(bitmaps.map(|bitmap| bitmap_status(node, bitmap)));
        }
        let jobs = self.jobs.iter().rev();
        status.jobs.extend(jobs.map(|job| job.status()));
    }
}

fn bitmap_status(node: &Node, bitmap: &Bitmap) -> BitmapStatus {
    let successor = bitmap.successor.as_ref();
    BitmapStatus {
        node: node.name().clone(),
        name: bitmap.name.clone(),
        count: Length(bitmap.count()),
        granularity: Length(bitmap.granularity),
        recording: bitmap.recording(),
        busy: bitmap.busy,
        persistent: bitmap.persistent,
        inconsistent: bitmap.inconsistent,
        dirty: Some(ranges(&bitmap.dirty, bitmap.granularity)),
        successor: successor.map(|successor| ranges(&successor.dirty, bitmap.granularity)),
    }
}

fn ranges(dirty: &Runs, granularity: u64) -> Vec<ByteRange> {
    let bytes =
        |(start, end): (u64, u64)| ByteRange::between(start * granularity, end * granularity);
    dirty.iter().map(bytes).collect()
}
