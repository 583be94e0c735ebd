//! The tests of the qcow2 crate's public interface.

mod basic;
mod qemu;
mod support;
