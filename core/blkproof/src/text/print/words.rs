//! Words put together into a line.

use core::fmt::Display;

use blkproof_spec::{At, ByteRange, Errno};

use super::super::lex::is_bare;
pub(super) use super::super::value::print_number as number;

/// A line in the making: words, separated by one blank.
#[derive(Debug, Default)]
pub(super) struct Words(String);

impl Words {
    pub(super) fn word(&mut self, word: impl Display) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(&word.to_string());
    }

    pub(super) fn option(&mut self, key: &str, value: impl Display) {
        self.word(format!("{key}={value}"));
    }

    pub(super) fn maybe<T: Display>(&mut self, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.option(key, value);
        }
    }

    pub(super) fn flag(&mut self, word: &str, given: bool) {
        if given {
            self.word(word);
        }
    }

    pub(super) fn range(&mut self, range: ByteRange) {
        self.word(number(range.start));
        self.word(number(range.len));
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Returns a name as it stands in a text: in quotes where it could be taken for something else.
pub(super) fn name(name: &str) -> String {
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
pub(super) fn quote(text: &str) -> String {
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

pub(super) fn at(at: &At) -> String {
    match at {
        At::Device(device) => name(device.as_str()),
        At::Node(node) => format!("{}.node", name(node.as_str())),
    }
}

/// Returns an error, or `none`.
pub(super) fn errno(errno: Option<Errno>) -> String {
    errno.map_or_else(|| "none".to_owned(), |errno| errno.to_string())
}

pub(super) fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}
