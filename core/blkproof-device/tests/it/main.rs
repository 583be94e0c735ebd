//! The tests of the devices' public interface.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;

mod chance;

mod digests;
mod effects;

mod folder;

mod ini;

mod mem_disk;

mod mem_store;

mod naive;
mod power;

mod parcels;

mod program;

mod qemu;

mod raw;

mod rules;

mod spellings;

mod waits;

mod write_log;
