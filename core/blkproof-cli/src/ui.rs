//! The two streams: results on stdout, everything else on stderr.

use core::fmt;
use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use owo_colors::OwoColorize as _;

use crate::args::Color;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::Record;

/// Where the program prints, and in which form.
#[derive(Debug)]
pub(crate) struct Ui {
    out: AutoStream<io::Stdout>,
    err: AutoStream<io::Stderr>,
    json: bool,
}

impl Ui {
    /// Returns the streams.
    pub(crate) fn new(color: Color, json: bool) -> Self {
        let choice = match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self {
            out: AutoStream::new(io::stdout(), choice),
            err: AutoStream::new(io::stderr(), choice),
            json,
        }
    }

    /// Prints a line for people, or nothing where a program reads.
    pub(crate) fn say(&mut self, line: impl fmt::Display) -> Result<(), Error> {
        if self.json {
            return Ok(());
        }
        writeln!(self.out, "{line}").map_err(Error::Output)
    }

    /// Prints a record for a program, or nothing where people read.
    pub(crate) fn emit(&mut self, record: &Record<'_>) -> Result<(), Error> {
        if !self.json {
            return Ok(());
        }
        let line = record.line().map_err(io::Error::from)?;
        writeln!(self.out, "{line}").map_err(Error::Output)
    }

    /// Prints text as it is, whoever reads.
    pub(crate) fn print(&mut self, text: &[u8]) -> Result<(), Error> {
        self.out.write_all(text).map_err(Error::Output)?;
        self.out.flush().map_err(Error::Output)
    }

    /// Prints a line on stderr.
    pub(crate) fn note(&mut self, line: impl fmt::Display) {
        // There is no third stream on which to say that this one is closed.
        let _ = writeln!(self.err, "{line}");
    }

    /// Prints an error on stderr, and tells how the program ends with it.
    pub(crate) fn fail(&mut self, error: &Error) -> Exit {
        if !error.is_quiet() {
            self.note(format_args!("{}: {error}", "error".red().bold()));
            if let Some(hint) = error.hint() {
                self.note(format_args!("{}: {hint}", "hint".cyan().bold()));
            }
        }
        error.exit()
    }
}
