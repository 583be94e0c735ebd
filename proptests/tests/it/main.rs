//! Suites over the public interfaces, on the built-in engine.

mod qemu;
mod real_files;
