//! Lines of a configuration file, and pieces of them that know where they stand.

use super::error::{IniError, IniProblem, nearest};

/// What a line says.
pub(super) enum Line<'a> {
    Empty,
    Group(Text<'a>),
    Value { key: Text<'a>, value: Text<'a> },
}

/// A piece of a line.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) content: &'a str,
    line: usize,
    column: usize,
}

impl<'a> Text<'a> {
    pub(super) fn error(self, problem: IniProblem) -> IniError {
        IniError {
            line: self.line as u64 + 1,
            column: self.column as u64 + 1,
            problem,
        }
    }

    /// Returns the piece from byte `start` up to `end` of this one.
    fn slice(self, start: usize, end: usize) -> Self {
        Self {
            content: &self.content[start..end],
            line: self.line,
            column: self.column + self.content[..start].chars().count(),
        }
    }

    fn trim(self) -> Self {
        let start = self.content.len() - self.content.trim_start().len();
        let end = start + self.content.trim().len();
        self.slice(start, end)
    }

    fn split_at(self, middle: usize) -> (Self, Self) {
        (
            self.slice(0, middle),
            self.slice(middle, self.content.len()),
        )
    }

    fn unexpected(self, expected: &'static str) -> IniError {
        self.error(IniProblem::Unexpected {
            found: self.content.into(),
            expected,
        })
    }

    /// Returns the error of a value that is none of `names`.
    pub(super) fn unknown(
        self,
        expected: &'static str,
        names: impl Iterator<Item = &'static str>,
    ) -> IniError {
        self.error(IniProblem::BadValue {
            found: self.content.into(),
            expected,
            nearest: nearest(self.content, names),
        })
    }

    /// Reads the value as a number, as C does: decimal, hexadecimal or octal.
    pub(super) fn number<N: TryFrom<u64>>(self, expected: &'static str) -> Result<N, IniError> {
        let text = self.content.strip_prefix('+').unwrap_or(self.content);
        let (digits, radix) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
            None => (text, 10),
        };
        // `from_str_radix` would take a second sign.
        let plain = digits.starts_with(|first: char| first.is_ascii_hexdigit());
        let number = u64::from_str_radix(digits, radix).ok().filter(|_| plain);
        number
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| self.unknown(expected, core::iter::empty()))
    }

    /// Reads the value as a switch.
    pub(super) fn switch(self) -> Result<bool, IniError> {
        match self.content {
            "on" | "yes" | "true" | "y" => Ok(true),
            "off" | "no" | "false" | "n" => Ok(false),
            _ => Err(self.unknown("on or off", ["on", "off"].into_iter())),
        }
    }
}

/// Reads line `number`, counted from 0.
pub(super) fn parse(number: usize, content: &str) -> Result<Line<'_>, IniError> {
    let line = Text {
        content,
        line: number,
        column: 0,
    }
    .trim();
    if line.content.is_empty() || line.content.starts_with('#') {
        return Ok(Line::Empty);
    }
    if line.content.starts_with('[') {
        return group(line).map(Line::Group);
    }
    value(line)
}

/// Reads `[group]` or `[group "id"]`.
fn group(line: Text<'_>) -> Result<Text<'_>, IniError> {
    let Some(end) = line.content.find(']') else {
        return Err(line.unexpected("a group in square brackets"));
    };
    let (head, rest) = line.split_at(end + 1);
    ends(rest)?;
    let inner = head.slice(1, end).trim();
    let Some(space) = inner.content.find(char::is_whitespace) else {
        return Ok(inner);
    };
    let (name, id) = inner.split_at(space);
    let id = id.trim();
    let quoted = id
        .content
        .strip_prefix('"')
        .and_then(|id| id.strip_suffix('"'));
    match quoted {
        Some(content) if !content.contains('"') => Ok(name),
        _ => Err(id.unexpected("the end of the group, or an id in double quotes")),
    }
}

/// Reads `key = "value"`.
fn value(line: Text<'_>) -> Result<Line<'_>, IniError> {
    let not_a_key = |letter: char| letter == '=' || letter == '"' || letter.is_whitespace();
    let end = line.content.find(not_a_key).unwrap_or(line.content.len());
    if end == 0 {
        return Err(line.unexpected("a group, or a key with its value"));
    }
    let (key, rest) = line.split_at(end);
    let rest = rest.trim();
    if !rest.content.starts_with('=') {
        return Err(rest.unexpected("'=' and a value in double quotes"));
    }
    let rest = rest.split_at(1).1.trim();
    let open = rest.content.starts_with('"');
    let close = rest.content.get(1..).and_then(|inner| inner.find('"'));
    let (true, Some(close)) = (open, close) else {
        return Err(rest.unexpected("a value in double quotes"));
    };
    ends(rest.slice(close + 2, rest.content.len()))?;
    Ok(Line::Value {
        key,
        value: rest.slice(1, close + 1),
    })
}

/// Makes sure that nothing but a comment is left of a line.
fn ends(rest: Text<'_>) -> Result<(), IniError> {
    let rest = rest.trim();
    if rest.content.is_empty() || rest.content.starts_with('#') {
        return Ok(());
    }
    Err(rest.unexpected("the end of the line"))
}
