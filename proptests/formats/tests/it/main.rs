//! Image libraries as subjects.

mod own;
mod reach;
mod third_party;
