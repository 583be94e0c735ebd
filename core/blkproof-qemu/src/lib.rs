//! What blkproof speaks with QEMU and its kin.
//!
//! [`nbd`] is the server's side of the NBD protocol over a device that breaks on request, for any
//! client: `qemu-img`, `nbdcopy`, or a backup tool that was never meant to be tested.

pub mod nbd;
