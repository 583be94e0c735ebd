//! A line taken apart into words.

use std::borrow::Cow;

use super::diagnostic::Problem;

/// A part of a line: a word, or what stands behind its `=`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    /// The text as it stands in the line.
    pub(crate) text: &'a str,
    /// The index of its first byte in the line.
    pub(crate) start: usize,
}

impl<'a> Value<'a> {
    pub(crate) fn problem(self, expected: impl Into<String>) -> Problem {
        Problem::new(self.text, self.start, expected)
    }

    /// Splits the word at its first `=` outside quotes, where a key of lower-case letters and
    /// dashes stands before it.
    pub(crate) fn key_value(self) -> Option<(&'a str, Value<'a>)> {
        let (key, value) = self.text.split_once('=')?;
        let is_key = key.starts_with(|c: char| c.is_ascii_lowercase())
            && key
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit());
        is_key.then_some((
            key,
            Value {
                text: value,
                start: self.start + key.len() + 1,
            },
        ))
    }

    /// Returns what stands behind the first `len` bytes.
    pub(crate) fn skip(self, len: usize) -> Value<'a> {
        Value {
            text: &self.text[len..],
            start: self.start + len,
        }
    }
}

/// A line taken apart.
#[derive(Debug, Default)]
pub(crate) struct Lexed<'a> {
    pub(crate) words: Vec<Value<'a>>,
    /// The comment, from its `#` on.
    pub(crate) comment: Option<&'a str>,
}

/// Takes `line` apart into words. Words are separated by blanks; a `#` at the start of a word
/// begins a comment; a word may have parts in double quotes, which may hold blanks.
pub(crate) fn lex(line: &str) -> Result<Lexed<'_>, Problem> {
    let mut lexed = Lexed::default();
    let mut at = 0;
    while let Some(skipped) = line[at..].find(|c| !is_blank(c)) {
        at += skipped;
        if line[at..].starts_with('#') {
            lexed.comment = Some(line[at..].trim_end());
            break;
        }
        let len = word_len(line, at)?;
        lexed.words.push(Value {
            text: &line[at..at + len],
            start: at,
        });
        at += len;
    }
    Ok(lexed)
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn word_len(line: &str, at: usize) -> Result<usize, Problem> {
    let mut quote = None;
    let mut escaped = false;
    for (index, c) in line[at..].char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(_) if c == '"' => quote = None,
            Some(_) => {}
            None if c == '"' => quote = Some(index),
            None if is_blank(c) => return Ok(index),
            None => {}
        }
    }
    match quote {
        Some(index) => Err(Problem::new(
            &line[at + index..],
            at + index,
            "a closing quote",
        )),
        None => Ok(line.len() - at),
    }
}

/// A name as it stands at the front of a value, and what follows it.
#[derive(Debug)]
pub(crate) struct Atom<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) quoted: bool,
    pub(crate) rest: Value<'a>,
}

/// What helps where a name is written without the quotes that it needs.
pub(crate) const PLAIN_NAMES: &str = "a name with other characters than letters, digits, `_`, `-` \
    and `.` stands in double quotes";

/// Tells whether `c` may stand in a name without quotes.
pub(crate) fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Takes a name off the front of `value`.
pub(crate) fn atom<'a>(value: Value<'a>, expected: &str) -> Result<Atom<'a>, Problem> {
    if value.text.starts_with('"') {
        return quoted_atom(value);
    }
    let len = value.text.find(|c| !is_bare(c)).unwrap_or(value.text.len());
    if len == 0 {
        return Err(value.problem(expected).help(PLAIN_NAMES));
    }
    Ok(Atom {
        text: Cow::Borrowed(&value.text[..len]),
        quoted: false,
        rest: value.skip(len),
    })
}

fn quoted_atom(value: Value<'_>) -> Result<Atom<'_>, Problem> {
    let mut text = String::new();
    let mut chars = value.text.char_indices().skip(1);
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => {
                return Ok(Atom {
                    text: Cow::Owned(text),
                    quoted: true,
                    rest: value.skip(index + 1),
                });
            }
            '\\' => text.push(escape(value, index, &mut chars)?),
            c => text.push(c),
        }
    }
    Err(value.problem("a closing quote"))
}

/// Reads what follows a backslash, which stands at `index` of `value`.
fn escape(
    value: Value<'_>,
    index: usize,
    chars: &mut impl Iterator<Item = (usize, char)>,
) -> Result<char, Problem> {
    let problem = || {
        let rest = &value.text[index..];
        let len = rest
            .char_indices()
            .nth(2)
            .map_or(rest.len(), |(len, _)| len);
        Problem::new(
            &rest[..len],
            value.start + index,
            "one of the escapes `\\\"`, `\\\\`, `\\n`, `\\t`, `\\u{...}`",
        )
    };
    match chars.next().map(|(_, c)| c) {
        Some(c @ ('"' | '\\')) => Ok(c),
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some('u') => code_point(chars).ok_or_else(problem),
        _ => Err(problem()),
    }
}

/// Reads `{HEX}`.
fn code_point(chars: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    let mut next = || chars.next().map(|(_, c)| c);
    if next()? != '{' {
        return None;
    }
    let mut code = 0;
    for _ in 0..=6 {
        match next()? {
            '}' => return char::from_u32(code),
            digit => code = code * 16 + digit.to_digit(16)?,
        }
    }
    None
}
