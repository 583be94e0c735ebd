//! Bits as runs, and as the bytes of clusters: the first bit of a byte is its least significant
//! one.

use crate::layout::Layout;

/// Returns how many bytes hold a bit for every granule of an image.
pub(super) fn bytes(size: u64, granularity_bits: u32) -> u64 {
    size.div_ceil(1 << granularity_bits).div_ceil(8)
}

/// Returns how many clusters hold them.
pub(super) fn table_entries(layout: Layout, size: u64, granularity_bits: u32) -> u64 {
    layout.clusters(bytes(size, granularity_bits))
}

/// Sets the bits `[start, end)`.
pub(super) fn set(bytes: &mut [u8], start: usize, end: usize) {
    let (first, last) = (start / 8, end / 8);
    let (head, tail) = (0xff << (start % 8), !(0xff << (end % 8)));
    if first == last {
        bytes[first] |= head & tail;
        return;
    }
    bytes[first] |= head;
    bytes[first + 1..last].fill(0xff);
    if tail != 0 {
        bytes[last] |= tail;
    }
}

/// Adds to `runs` the bits that are set among the first `count`; the first one has number `base`.
pub(super) fn collect(bytes: &[u8], count: u64, base: u64, runs: &mut Vec<(u64, u64)>) {
    let (words, _) = bytes.as_chunks::<8>();
    for (word, at) in words.iter().zip((0..count).step_by(64)) {
        let mut bits = u64::from_le_bytes(*word);
        if count - at < 64 {
            bits &= !(u64::MAX << (count - at));
        }
        let mut from = 0;
        while bits != 0 {
            let zeroes = bits.trailing_zeros();
            bits >>= zeroes;
            from += zeroes;
            let ones = bits.trailing_ones();
            bits = bits.checked_shr(ones).unwrap_or(0);
            let start = base + at + u64::from(from);
            add(runs, start, start + u64::from(ones));
            from += ones;
        }
    }
}

/// Adds a run that does not begin before the last one ends.
pub(super) fn add(runs: &mut Vec<(u64, u64)>, start: u64, end: u64) {
    match runs.last_mut() {
        Some(last) if last.1 == start => last.1 = end,
        _ if start < end => runs.push((start, end)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{collect, set};

    #[test]
    fn what_is_set_is_collected() {
        let sets: [&[(usize, usize)]; 6] = [
            &[(0, 64)],
            &[(0, 1), (7, 9), (63, 65)],
            &[(3, 5), (6, 7)],
            &[(64, 128)],
            &[(1, 127)],
            &[(0, 128)],
        ];
        for runs in sets {
            let mut bytes = [0; 16];
            for (start, end) in runs {
                set(&mut bytes, *start, *end);
            }
            let mut found = Vec::new();
            collect(&bytes, 128, 1000, &mut found);
            let wide = |at: usize| 1000 + at as u64;
            let expected: Vec<_> = runs.iter().map(|run| (wide(run.0), wide(run.1))).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn bits_behind_the_last_do_not_count() {
        let mut found = Vec::new();
        collect(&[0xff; 24], 70, 0, &mut found);
        assert_eq!(found, [(0, 70)]);
        collect(&[0xff; 8], 8, 70, &mut found);
        assert_eq!(found, [(0, 78)]);
    }
}
