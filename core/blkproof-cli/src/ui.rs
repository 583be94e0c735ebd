//! The two streams: results on stdout, everything else on stderr.

use core::fmt;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};
use owo_colors::OwoColorize as _;

use crate::args::Color;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::Record;

/// Where the program prints, and in which form.
pub(crate) struct Ui {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    json: bool,
    program: String,
}

impl Ui {
    /// Returns the streams; `program` is the name that the program was called by.
    pub(crate) fn new(color: Color, json: bool, program: Option<&OsString>) -> Self {
        let choice = match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        let program = program.map_or("blkproof".into(), |name| name.to_string_lossy());
        Self {
            out: Box::new(AutoStream::new(io::stdout(), choice)),
            err: Box::new(AutoStream::new(io::stderr(), choice)),
            json,
            program: quoted(&program),
        }
    }

    /// Tells whether a person sees stderr as it comes.
    pub(crate) fn is_watched(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// Returns the command line that calls this program again with these arguments.
    pub(crate) fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> String {
        args.into_iter().fold(self.program.clone(), |line, arg| {
            format!("{line} {}", quoted(arg))
        })
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

impl fmt::Debug for Ui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ui")
            .field("json", &self.json)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// Returns a word as a shell has to see it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+,:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
pub(crate) mod tests;
