//! Suites over the public interfaces, on the built-in engine.

mod corpora;
mod qemu;
mod real_files;
