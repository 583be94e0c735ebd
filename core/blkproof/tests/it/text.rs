//! Scenario text: what it reads, what it prints, what it says of errors.

pub(crate) mod arbitrary;
mod corpora;
mod diagnostics;
mod formatting;
mod page;
mod round_trip;
