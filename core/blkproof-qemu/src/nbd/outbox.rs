//! What is to be sent.

/// How much memory is kept for the next replies once these are sent.
pub const KEPT: usize = 1 << 20;

/// Bytes that are to be sent, in memory that is used again and again.
///
/// It is a vector whose memory is written once only: what a device reads goes straight into it.
#[derive(Debug, Default)]
pub struct Outbox {
    memory: Vec<u8>,
    len: usize,
}

impl Outbox {
    /// Makes an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what is to be sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    /// Returns how many bytes are to be sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether nothing is to be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes in that all of it was sent.
    pub fn clear(&mut self) {
        self.len = 0;
        if self.memory.len() > KEPT {
            self.memory = Vec::new();
        }
    }

    /// Takes back what lies behind the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.push(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.push(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.push(&value.to_be_bytes());
    }

    /// Adds `len` bytes, which hold anything, and returns them to be filled.
    pub(crate) fn room(&mut self, len: usize) -> &mut [u8] {
        let start = self.len;
        self.len += len;
        if self.memory.len() < self.len {
            self.memory.resize(self.len, 0);
        }
        &mut self.memory[start..self.len]
    }
}
