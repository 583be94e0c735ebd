//! Conversions between the 64-bit positions of images and what indexes memory.

/// Returns `value` as an index into memory.
///
/// Only what has been bounded by the length of a buffer or table comes here.
pub(crate) fn index(value: u64) -> usize {
    usize::try_from(value).expect("a bounded value fits the address space")
}

/// Returns the big-endian number at `at`.
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(raw)
}

/// Returns the big-endian number at `at`.
pub(crate) fn be64(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(raw)
}

/// Writes `value` big-endian at `at`.
pub(crate) fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Writes `value` big-endian at `at`.
pub(crate) fn put64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

/// Returns how many of the first entries of a table are the same as the very first.
pub(crate) fn alike(entries: &[[u8; 8]]) -> usize {
    let Some(first) = entries.first() else {
        return 0;
    };
    // Most pieces of large tables are alike throughout: each entry is as the one before it.
    let bytes = entries.as_flattened();
    if bytes[8..] == bytes[..bytes.len() - 8] {
        return entries.len();
    }
    let same = u64::from_ne_bytes(*first);
    let differs = |all, entry: &[u8; 8]| all | (u64::from_ne_bytes(*entry) ^ same);
    // A branch for each entry would cost more than the comparison.
    let (lines, _) = entries.as_chunks::<16>();
    let lines = lines.iter().map(|line| line.iter().fold(0, differs));
    let whole = lines.take_while(|differences| *differences == 0).count() * 16;
    let rest = entries[whole..].iter().take_while(|entry| *entry == first);
    whole + rest.count()
}
