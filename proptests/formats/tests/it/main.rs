//! Image libraries as subjects.

mod own;
mod third_party;
