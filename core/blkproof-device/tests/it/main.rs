//! The tests of the devices' public interface.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod mem_disk;

mod mem_store;
