//! What the engine does, seen through the seam.

mod bench;

mod golden;
