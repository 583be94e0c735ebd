//! Lines of a configuration file, and pieces of them that know where they stand.
//!
//! QEMU reads such files with `fgets` and takes lines apart with `sscanf`, and which spellings it
//! takes follows from that: the pieces here are what `fgets` hands out, and what they say is what
//! `sscanf` finds in them. The test `spellings` holds both to each other.

use super::error::{IniError, IniProblem, nearest};

/// The most bytes of a line that are one piece; what follows is a piece of its own.
const PIECE_MAX: usize = 1023;

/// The most bytes of a group's name, of an id and of a key.
const WORD_MAX: usize = 63;

/// What a piece says.
pub(super) enum Line<'a> {
    Empty,
    Group {
        name: Text<'a>,
        id: Option<Text<'a>>,
    },
    /// A value that is not written as one must be counts as an empty one, which no key may have; it
    /// is none only if a later line gives the key another.
    Value {
        key: Text<'a>,
        value: Result<Text<'a>, IniError>,
    },
}

/// A piece of a line.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    line: &'a [u8],
    number: usize,
    start: usize,
    end: usize,
}

/// Cuts a file into pieces.
pub(super) fn pieces(input: &[u8]) -> impl Iterator<Item = Text<'_>> {
    let lines = input.split_inclusive(|byte| *byte == b'\n').enumerate();
    lines.flat_map(|(number, line)| {
        (0..line.len()).step_by(PIECE_MAX).map(move |start| {
            let whole = &line[start..line.len().min(start + PIECE_MAX)];
            // A piece is a string, so a NUL ends it.
            let len = whole.iter().position(|byte| *byte == 0);
            Text {
                line,
                number,
                start,
                end: start + len.unwrap_or(whole.len()),
            }
        })
    })
}

/// Tells whether a byte is a blank to C.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'\x0b'
}

impl<'a> Text<'a> {
    pub(super) fn bytes(self) -> &'a [u8] {
        &self.line[self.start..self.end]
    }

    /// Returns the text as it can be shown.
    pub(super) fn shown(self) -> Box<str> {
        String::from_utf8_lossy(self.bytes()).into()
    }

    pub(super) fn error(self, problem: IniProblem) -> IniError {
        let before = String::from_utf8_lossy(&self.line[..self.start]);
        IniError {
            line: self.number as u64 + 1,
            column: before.chars().count() as u64 + 1,
            problem,
        }
    }

    pub(super) fn unexpected(self, expected: &'static str) -> IniError {
        self.error(IniProblem::Unexpected {
            found: self.without_end().shown(),
            expected,
        })
    }

    /// Leaves out the end of the line.
    fn without_end(self) -> Self {
        let is_end = |byte: &&u8| matches!(byte, b'\n' | b'\r');
        let end = self.bytes().iter().rev().take_while(is_end).count();
        Self {
            end: self.end - end,
            ..self
        }
    }

    /// Takes bytes off the front as long as they are as they must be, at most so many.
    fn take(&mut self, max: usize, is_one: impl Fn(u8) -> bool) -> Self {
        let bytes = self.bytes().iter().take(max);
        let len = bytes.take_while(|byte| is_one(**byte)).count();
        let taken = Self {
            end: self.start + len,
            ..*self
        };
        self.start += len;
        taken
    }

    fn skip_blanks(&mut self) {
        self.take(usize::MAX, is_blank);
    }

    /// Skips blanks, and returns what stands behind them; if nothing does, where they begin.
    fn next(&mut self) -> Self {
        let before = *self;
        self.skip_blanks();
        if self.is_empty() {
            let end = before.start;
            return Self { end, ..before };
        }
        *self
    }

    /// Takes this byte off the front, if it stands there.
    fn eat(&mut self, byte: u8) -> bool {
        !self.take(1, |other| other == byte).is_empty()
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Returns the error of a value that is none of `names`.
    pub(super) fn unknown(
        self,
        expected: &'static str,
        names: impl Iterator<Item = &'static str>,
    ) -> IniError {
        let found = self.shown();
        self.error(IniProblem::BadValue {
            nearest: nearest(&found, names),
            found,
            expected,
        })
    }

    /// Reads the value as a number, as C does: decimal, hexadecimal or octal, behind blanks and a
    /// sign. Where the sign is `-`, the number is returned as what is below zero.
    pub(super) fn number(self, expected: &'static str) -> Result<i128, IniError> {
        let mut text = self;
        text.skip_blanks();
        let negative = text.eat(b'-');
        if !negative {
            text.eat(b'+');
        }
        let text = text.bytes();
        let (digits, radix) = match text.strip_prefix(b"0x").or(text.strip_prefix(b"0X")) {
            Some(digits) => (digits, 16),
            None if text.starts_with(b"0") => (text, 8),
            None => (text, 10),
        };
        // `from_str_radix` would take a second sign.
        let plain = digits.first().is_some_and(u8::is_ascii_hexdigit);
        let digits = core::str::from_utf8(digits).ok().filter(|_| plain);
        let number = digits.and_then(|digits| u64::from_str_radix(digits, radix).ok());
        let number = number.map(i128::from).map(|number| match negative {
            true => -number,
            false => number,
        });
        number.ok_or_else(|| self.unknown(expected, core::iter::empty()))
    }

    /// Reads the value as a switch.
    pub(super) fn switch(self) -> Result<bool, IniError> {
        match self.bytes() {
            b"on" | b"yes" | b"true" | b"y" => Ok(true),
            b"off" | b"no" | b"false" | b"n" => Ok(false),
            _ => Err(self.unknown("on or off", ["on", "off"].into_iter())),
        }
    }

    /// Makes sure that the value is an id: a letter, then letters, digits, `-`, `.` and `_`.
    pub(super) fn id(self) -> Result<(), IniError> {
        let [first, rest @ ..] = self.bytes() else {
            return Err(self.unknown("an id", core::iter::empty()));
        };
        let in_id = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
        if first.is_ascii_alphabetic() && rest.iter().all(in_id) {
            return Ok(());
        }
        let expected = "an id: a letter, then letters, digits, '-', '.' and '_'";
        Err(self.unknown(expected, core::iter::empty()))
    }
}

/// Reads a piece.
pub(super) fn parse(piece: Text<'_>) -> Result<Line<'_>, IniError> {
    match piece.bytes().first() {
        Some(b'\n' | b'#') => Ok(Line::Empty),
        Some(b'[') => match group(piece) {
            Some(group) => Ok(group),
            None => value(piece),
        },
        _ => value(piece),
    }
}

/// Reads `[group "id"]`, where nobody looks for what stands behind the id, or `[group]`, where
/// nobody looks for what stands from the bracket on.
fn group(piece: Text<'_>) -> Option<Line<'_>> {
    let mut rest = piece;
    rest.eat(b'[');
    let mut with_id = rest;
    with_id.skip_blanks();
    let name = with_id.take(WORD_MAX, |byte| !is_blank(byte));
    with_id.skip_blanks();
    if !name.is_empty() && with_id.eat(b'"') {
        let id = with_id.take(WORD_MAX, |byte| byte != b'"');
        if !id.is_empty() {
            return Some(Line::Group { name, id: Some(id) });
        }
    }
    let name = rest.take(WORD_MAX, |byte| byte != b']');
    (!name.is_empty()).then_some(Line::Group { name, id: None })
}

/// Reads `key = "value"`, where nobody looks for what stands behind the value. The key ends at a
/// blank, and the value also where the file does.
fn value(piece: Text<'_>) -> Result<Line<'_>, IniError> {
    let mut rest = piece;
    rest.skip_blanks();
    let key = rest.take(WORD_MAX, |byte| !is_blank(byte));
    if key.is_empty() {
        return Err(piece.unexpected("a group, a key with its value, a comment, or nothing at all"));
    }
    let at_sign = rest.next();
    if !rest.eat(b'=') {
        let value = Err(at_sign.unexpected("'=' and a value in double quotes"));
        return Ok(Line::Value { key, value });
    }
    let at_quote = rest.next();
    let opened = rest.eat(b'"');
    let value = rest.take(PIECE_MAX, |byte| byte != b'"');
    let value = match opened && !value.bytes().contains(&b'\n') {
        true => Ok(value),
        false => Err(at_quote.unexpected("a value in double quotes")),
    };
    Ok(Line::Value { key, value })
}
