//! Scenario text, version 1: the form in which people read, edit, commit and replay scenarios.
//!
//! One statement a line; the grammar is documented in `SCENARIO.md` beside this crate. [`parse`]
//! and [`print()`] are inverse to each other for every scenario whose setup is valid. A
//! [`Document`] is a scenario together with the lines it stood on: it knows which line a step is
//! on, and prints the text in canonical form with its comments.

pub(crate) mod diagnostic;

pub(crate) mod lex;

pub(crate) mod table;

pub(crate) mod value;

pub(crate) mod args;

mod document;

pub(crate) mod parse;

pub(crate) mod print;

use blkproof_spec::Scenario;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use document::Document;
pub(crate) use print::at_open;
pub use print::{describe, describe_rule, keyword};

/// The version of the language that this crate reads and writes.
pub const VERSION: u32 = 1;

/// The longest text that is read, in bytes.
pub const MAX_TEXT: usize = 16 << 20;

/// The longest line that is read, in bytes.
pub const MAX_LINE: usize = 16 << 10;

/// The most disks, and the most actions of one transaction.
pub const MAX_GROUP: usize = 1024;

/// The most steps.
pub const MAX_STEPS: usize = 1_000_000;

/// Parses a scenario.
///
/// # Errors
///
/// All errors of the text, up to a limit; any bytes may come in.
///
/// ```
/// let text = "blkproof 1\ndisk drive0 64M qcow2\nwrite drive0 0 512 fill=0x41\n";
/// let scenario = blkproof::text::parse(text.as_bytes())?;
/// assert_eq!(blkproof::text::print(&scenario), text);
/// # Ok::<(), blkproof::text::Diagnostics>(())
/// ```
pub fn parse(text: &[u8]) -> Result<Scenario, Diagnostics> {
    Document::parse(text).map(|document| document.scenario)
}

/// Parses what can be parsed of any bytes, leaving out lines that are wrong.
///
/// For inputs that nobody wrote: a program that changes texts blindly should still get a scenario.
/// The header may be missing; what [`print()`] prints comes out as [`parse`] has it.
#[must_use]
pub fn parse_leniently(text: &[u8]) -> Scenario {
    parse::parse_leniently(text)
}

/// Prints a scenario in canonical form.
#[must_use]
pub fn print(scenario: &Scenario) -> String {
    Document::of(scenario.clone()).print()
}
