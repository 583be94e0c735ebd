//! What the images of a setup hold.

use super::{Image, ImageId, Images, Value};
use crate::content::Bytes;
use crate::geometry::Format;
use crate::model::ranges::RangeSet;
use crate::scenario::{DiskSetup, Role};

impl Images {
    pub(crate) fn add_setup(&mut self, disk: &DiskSetup) -> ImageId {
        let mut image = Image::new(disk.name.clone(), disk.geometry, disk.backing.clone());
        image.role = disk.role;
        for (range, byte) in &disk.contents {
            image.layer.set(*range, Value::Bytes(Bytes::Fill(*byte)));
        }
        image.layer.truncate(disk.geometry.size.0);
        let id = self.add(image);
        if disk.role == Role::Image && disk.geometry.format == Format::Qcow2 {
            self.fill_clusters(id);
        }
        id
    }

    /// Gives the rest of each cluster that the image's contents touch the value that shows there:
    /// it is written with them, and stays when the image gets another base.
    fn fill_clusters(&mut self, id: ImageId) {
        let image = self.get(id);
        let held: RangeSet = image.layer.iter().map(|run| run.range()).collect();
        let clusters = held.outward(image.size(), image.cluster());
        let gaps: Vec<_> = clusters
            .within(image.whole())
            .flat_map(|range| held.gaps(range).collect::<Vec<_>>())
            .collect();
        for gap in gaps {
            let shown = self.shown(id, gap);
            let layer = &mut self.get_mut(id).layer;
            layer.set(gap, Value::ZERO);
            for run in shown.iter() {
                layer.set(run.range(), run.value);
            }
        }
    }
}
