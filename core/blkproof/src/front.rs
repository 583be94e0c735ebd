//! Fronts: scenarios in the test libraries that people use already.
//!
//! Each is a feature of its own name, and only adds to the crate. All of them make cases by the one
//! generator and make them smaller by the one shrinker.

#[cfg(feature = "arbitrary")]
mod arbitrary;

#[cfg(feature = "proptest")]
pub mod proptest;

#[cfg(feature = "quickcheck")]
mod quickcheck;
