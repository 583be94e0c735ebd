//! Another backing file in the header, without a look at what either contains.

use blkproof_device::BlockDevice;

use crate::error::Qcow2Error;
use crate::header::BackingName;
use crate::image::Qcow2;

impl<D: BlockDevice> Qcow2<D> {
    /// Has the header name another backing file, or none. What is attached stays as it is, and
    /// stored bitmaps stay what they were.
    ///
    /// # Errors
    ///
    /// If the name does not fit into the header, or the write fails; the name stays as it was
    /// then, and the file has either.
    pub fn write_backing_name(&mut self, backing: Option<BackingName>) -> Result<(), Qcow2Error> {
        let prepared = self
            .check_writable()
            .and_then(|()| self.begin_change_of_header());
        self.settle(prepared)?;
        let old = core::mem::replace(&mut self.header.backing, backing);
        let written = match self.header.to_bytes() {
            Ok(_) => {
                let written = self.write_header();
                self.settle(written).map_err(Into::into)
            }
            Err(error) => Err(error),
        };
        if written.is_err() {
            self.header.backing = old;
        }
        written
    }
}
