//! What the fuzz targets of this repository do with the bytes that they are handed.
//!
//! A fuzz target is a shim over a function of this library, which the suites of this package call
//! as well: what a fuzzer runs is compiled, linted and tested wherever `cargo test` is. Each
//! function panics where something does not hold, and tells whether the bytes are worth keeping in
//! a corpus: those that ask for more than a run may take are left alone.

mod judge;

mod scenario;

mod text;

mod blkdebug;

mod image;

mod nbd;

mod target;

pub use blkdebug::blkdebug_config;
pub use image::qcow2_image;
pub use nbd::{nbd, nbd_input};
pub use scenario::{bitmap, bitmap_profile, canary, scenario, transaction, transaction_profile};
pub use target::Target;
pub use text::scenario_text;
