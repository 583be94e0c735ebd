//! The data of options, read.

use super::wire::{MAX_STRING, info};

/// What a client wants to know of an export, or to use.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) name: &'a [u8],
    /// The kinds of information that it asks for, each once.
    pub(crate) wanted: Vec<u16>,
}

/// Which metadata contexts of an export a client wants.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Queries<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) queries: Vec<&'a str>,
}

/// Data that is read from its front.
struct Data<'a>(&'a [u8]);

impl<'a> Data<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        if len > MAX_STRING {
            return None;
        }
        self.take(len)
    }
}

/// Reads the data of `INFO` and `GO`; `None` is invalid.
pub(crate) fn choice(data: &[u8]) -> Option<Choice<'_>> {
    let mut data = Data(data);
    let name = data.string()?;
    let count = data.u16()?;
    if data.0.len() != 2 * usize::from(count) {
        return None;
    }
    let mut wanted = Vec::new();
    while let Some(kind) = data.u16() {
        // Nobody has answers to more kinds than these; what is asked twice is answered once.
        let known = [info::NAME, info::DESCRIPTION, info::BLOCK_SIZE].contains(&kind);
        if known && !wanted.contains(&kind) {
            wanted.push(kind);
        }
    }
    Some(Choice { name, wanted })
}

/// Reads the data of `LIST_META_CONTEXT` and `SET_META_CONTEXT`; `None` is invalid.
pub(crate) fn queries(data: &[u8]) -> Option<Queries<'_>> {
    let mut data = Data(data);
    let name = data.string()?;
    let count = data.u32()?;
    let mut queries = Vec::new();
    for _ in 0..count {
        // The data ends before a count that lies does.
        let query = core::str::from_utf8(data.string()?).ok()?;
        query.contains(':').then(|| queries.push(query))?;
    }
    data.0.is_empty().then_some(Queries { name, queries })
}

#[cfg(test)]
mod tests;
