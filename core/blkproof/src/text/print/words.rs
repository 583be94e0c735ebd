//! Words put together into a line.

use core::fmt::Display;

use blkproof_spec::{At, ByteRange, Errno};

use super::super::lex::is_bare;
pub(crate) use super::super::value::print_number as number;

/// A line in the making: words, separated by one blank.
#[derive(Debug, Default)]
pub(crate) struct Words(String);

impl Words {
    pub(crate) fn word(&mut self, word: impl Display) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(&word.to_string());
    }

    pub(crate) fn option(&mut self, key: &str, value: impl Display) {
        self.word(format!("{key}={value}"));
    }

    pub(crate) fn maybe<T: Display>(&mut self, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.option(key, value);
        }
    }

    pub(crate) fn flag(&mut self, word: &str, given: bool) {
        if given {
            self.word(word);
        }
    }

    pub(crate) fn range(&mut self, range: ByteRange) {
        self.word(number(range.start));
        self.word(number(range.len));
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// Returns a name as it stands in a text: in quotes where it could be taken for something else.
pub(crate) fn name(name: &str) -> String {
    let is_plain = !name.is_empty()
        && name.chars().all(is_bare)
        && !name.ends_with(".node")
        && !name.ends_with(".file");
    if is_plain {
        name.to_owned()
    } else {
        quote(name)
    }
}

/// Returns `text` in quotes.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub(crate) fn at(at: &At) -> String {
    match at {
        At::Device(device) => name(device.as_str()),
        At::Node(node) => format!("{}.node", name(node.as_str())),
    }
}

/// Returns an error, or `none`.
pub(crate) fn errno(errno: Option<Errno>) -> String {
    errno.map_or_else(|| "none".to_owned(), |errno| errno.to_string())
}

pub(crate) fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}
