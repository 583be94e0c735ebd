//! What the engine does, seen through the seam.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;

mod bitmaps;

mod copy_before_write;

mod golden;

mod guest;

mod images;

mod inspector;

mod jobs;

mod memory;

mod persistence;

mod start;

mod transactions;
