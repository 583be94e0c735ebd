//! Scenario text: what it reads, what it prints, what it says of errors.

mod corpora;
mod page;
