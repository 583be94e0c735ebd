//! Image libraries as subjects.

mod gone;
mod own;
mod reach;
mod third_party;
