//! What the engine does, seen through the seam.

mod bench;

mod bitmaps;

mod copy_before_write;

mod golden;

mod guest;

mod images;

mod jobs;

mod start;

mod transactions;
