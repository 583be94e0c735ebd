//! The tests of the qcow2 crate's public interface.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a helper of tests fails and speaks as they do"
)]

mod basic;

mod bitmaps;

mod cases;

mod cuts;

mod events;

mod growth;

mod hostile;

mod model;

mod probe;

mod qemu;

mod qemu_bitmaps;

mod rules;

mod support;
