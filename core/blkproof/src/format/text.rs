//! The text of scenarios of the format level, version 1.
//!
//! The same small language as for backups, with words of its own: `FORMAT.md` beside this crate
//! documents it. [`parse`] and [`print()`] are inverse to each other but for comments.

mod parse;

mod print;

pub(super) use parse::STEPS;

use super::scenario::{Scenario, Step};
use crate::text::Diagnostics;

/// The version of the language.
pub const VERSION: u32 = 1;

/// The first word of a text.
pub(crate) const HEADER: &str = "blkproof-format";

/// The largest image, in bytes: all of it is read again and again.
pub const SIZE_MAX: u64 = 64 << 20;

/// Parses a scenario.
///
/// # Errors
///
/// All errors of the text, up to a limit; any bytes may come in.
pub fn parse(text: &[u8]) -> Result<Scenario, Diagnostics> {
    parse::parse(text)
}

/// Prints a scenario in canonical form.
#[must_use]
pub fn print(scenario: &Scenario) -> String {
    print::scenario(scenario)
}

/// Prints a step on one line.
#[must_use]
pub fn describe(step: &Step) -> String {
    print::step(step)
}
