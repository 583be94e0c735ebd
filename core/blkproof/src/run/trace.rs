//! The digest of everything observable, to compare two runs of one build.

use core::fmt::{self, Write};

use sha2::{Digest, Sha256};

/// How much text is gathered before it is hashed: the hash takes it in faster than bit by bit.
const GATHERED: usize = 4 << 10;

/// A digest in the making.
#[derive(Default)]
pub(super) struct Trace {
    hash: Sha256,
    /// What is still to be hashed.
    text: String,
}

impl Trace {
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("text grows");
        if self.text.len() >= GATHERED {
            self.hash_text();
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.hash_text();
        self.hash.update(bytes);
    }

    pub(super) fn finish(mut self) -> [u8; 32] {
        self.hash_text();
        self.hash.finalize().into()
    }

    fn hash_text(&mut self) {
        self.hash.update(self.text.as_bytes());
        self.text.clear();
    }
}

/// Returns a digest as people write it: 64 hexadecimal digits.
pub(crate) fn sha256_hex(digest: &[u8; 32]) -> String {
    let mut out = String::with_capacity(64);
    for byte in digest {
        write!(out, "{byte:02x}").expect("text grows");
    }
    out
}
