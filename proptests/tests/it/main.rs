//! Suites over the public interfaces, on the built-in engine.

mod bugs;
mod campaign;
mod cases;
mod chance;
mod claims;
mod corpora;
mod exhaustive;
mod fronts;
mod fuzz;
mod planted;
mod power;
mod qemu;
mod real_bitmaps;
mod real_cuts;

mod real_files;
mod runtimes;
mod shrinking;
mod write_logs;
