//! The tests of the devices' public interface.

mod mem_disk;

mod mem_store;
