//! Another backing file in the header, without a look at what either contains.

use blkproof_device::BlockDevice;

use crate::error::{Inner, Qcow2Error, Trouble};
use crate::header::BackingName;
use crate::image::Qcow2;

impl<D: BlockDevice> Qcow2<D> {
    /// Has the header name another backing file, or none. What is attached stays as it is.
    ///
    /// # Errors
    ///
    /// If the name does not fit into the header, or the write fails; the name stays as it was
    /// then, and the file has either.
    pub fn write_backing_name(&mut self, backing: Option<BackingName>) -> Result<(), Qcow2Error> {
        let prepared = self.check_writable().and_then(|()| self.begin_change());
        self.settle(prepared)?;
        let table = self.refcounts.table().range();
        self.header.reftable_offset = table.start;
        self.header.reftable_clusters = self.layout.clusters(table.len);
        let old = core::mem::replace(&mut self.header.backing, backing);
        let written = self.write_header();
        if written.is_err() {
            self.header.backing = old;
        }
        written
    }

    fn write_header(&mut self) -> Result<(), Qcow2Error> {
        let bytes = self.header.to_bytes()?;
        let written = self.write_whole_header(&bytes);
        self.settle(written).map_err(Into::into)
    }

    /// Writes the header after everything that it may lead to.
    fn write_whole_header(&mut self, bytes: &[u8]) -> Inner<()> {
        self.write_metadata()?;
        self.file.barrier()?;
        self.file.write(0, bytes).map_err(Trouble::from)
    }
}
