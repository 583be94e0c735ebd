//! The digest of everything observable, to compare two runs of one build.

use core::fmt::{self, Write};

use sha2::{Digest, Sha256};

/// A digest in the making.
#[derive(Default)]
pub(super) struct Trace(Sha256);

impl fmt::Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl Trace {
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        writeln!(self, "{line}").expect("a digest takes in any text");
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Returns a digest as people write it: 64 hexadecimal digits.
#[must_use]
pub fn sha256_hex(digest: &[u8; 32]) -> String {
    let mut out = String::with_capacity(64);
    for byte in digest {
        write!(out, "{byte:02x}").expect("text grows");
    }
    out
}
