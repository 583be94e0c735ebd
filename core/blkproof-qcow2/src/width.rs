//! Refcounts of every width the format has, from 1 to 64 bits, within a slice of a refcount block.

use crate::num::index;

/// Returns the refcount at index `at`; `order` is the logarithm of its width in bits.
pub(crate) fn get(bytes: &[u8], order: u32, at: u64) -> u64 {
    if order < 3 {
        let (byte, shift, mask) = place(order, at);
        return u64::from((bytes[byte] >> shift) & mask);
    }
    let width = 1 << (order - 3);
    let start = index(at) * width;
    bytes[start..start + width]
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Changes the refcount at index `at` to `value`, which fits.
pub(crate) fn set(bytes: &mut [u8], order: u32, at: u64, value: u64) {
    if order < 3 {
        let (byte, shift, mask) = place(order, at);
        let low = value.to_le_bytes()[0];
        bytes[byte] = bytes[byte] & !(mask << shift) | (low & mask) << shift;
        return;
    }
    let width = 1 << (order - 3);
    let start = index(at) * width;
    bytes[start..start + width].copy_from_slice(&value.to_be_bytes()[8 - width..]);
}

/// Returns the bytes that hold the refcounts `[at, at + count)`.
pub(crate) fn span(order: u32, at: u64, count: u64) -> (usize, usize) {
    let start = (at << order) / 8;
    let end = ((at + count) << order).div_ceil(8);
    (index(start), index(end))
}

/// Narrow counts fill each byte from its least significant bit.
fn place(order: u32, at: u64) -> (usize, u32, u8) {
    let per_byte_bits = 3 - order;
    let byte = index(at >> per_byte_bits);
    let within = at & ((1 << per_byte_bits) - 1);
    let shift = u32::try_from(within).expect("less than 8") << order;
    let mask = u8::MAX >> (8 - (1 << order));
    (byte, shift, mask)
}
