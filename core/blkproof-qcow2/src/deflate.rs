//! A compressor of clusters: raw deflate (RFC 1951) with matches from 4 KiB back at most.
//!
//! zlib zeroes some 200 KiB for each cluster and, with so small a window, moves its hash table of
//! 128 KiB along every 4 KiB, which took a sixth of the time of campaigns. What is compressed here
//! is small or repeats itself: one block with the fixed codes does, and a match is looked for where
//! the next four bytes were seen last.

/// How far back a match may lie: QEMU inflates with a window of this size.
const WINDOW: usize = 4096;

/// The shortest match that is looked for: as many bytes as are hashed.
const MATCH_MIN: usize = 4;

/// The longest match that the format can express.
const MATCH_MAX: usize = 258;

const SLOT_BITS: u32 = 12;

/// The symbol that ends a block.
const END: u32 = 256;

/// Compresses clusters, each for itself.
pub(crate) struct Compressor {
    /// One more than where four bytes of this hash were seen last; 0 where they were not.
    seen: Vec<usize>,
}

impl Compressor {
    pub(crate) fn new() -> Self {
        Self {
            seen: vec![0; 1 << SLOT_BITS],
        }
    }

    /// Compresses `data` into `out`, from whose start on it then stands, and tells whether it takes
    /// at most `most` bytes; if it takes more, `out` holds anything.
    pub(crate) fn compress(&mut self, data: &[u8], out: &mut Vec<u8>, most: usize) -> bool {
        self.seen.fill(0);
        out.clear();
        let mut bits = Bits::new(out);
        // The last block, with fixed codes.
        bits.put(0b011, 3);
        let mut at = 0;
        while at < data.len() && bits.out.len() <= most {
            if let Some((distance, len)) = self.find(data, at) {
                bits.matched(distance, len);
                at += len;
            } else {
                bits.symbol(data[at].into());
                at += 1;
            }
        }
        bits.symbol(END);
        bits.finish();
        at == data.len() && out.len() <= most
    }

    /// Returns how far back what stands at `at` has stood before, and how much of it.
    fn find(&mut self, data: &[u8], at: usize) -> Option<(usize, usize)> {
        let next = data[at..].first_chunk::<MATCH_MIN>()?;
        let hash = u32::from_le_bytes(*next).wrapping_mul(0x9e37_79b1) >> (u32::BITS - SLOT_BITS);
        let seen = core::mem::replace(&mut self.seen[hash as usize], at + 1);
        let distance = at - seen.checked_sub(1)?;
        if distance > WINDOW {
            return None;
        }
        let rest = &data[at..data.len().min(at + MATCH_MAX)];
        let len = common(&data[at - distance..][..rest.len()], rest);
        (len >= MATCH_MIN).then_some((distance, len))
    }
}

/// Returns how many of the first bytes of two slices, which are as long, are the same.
fn common(one: &[u8], other: &[u8]) -> usize {
    let (words, _) = one.as_chunks::<8>();
    let (others, _) = other.as_chunks::<8>();
    let alike = words.iter().zip(others);
    let whole = alike.take_while(|(word, other)| word == other).count() * 8;
    let rest = one[whole..].iter().zip(&other[whole..]);
    whole + rest.take_while(|(byte, other)| byte == other).count()
}

/// Bits on their way to bytes, the lowest of each byte first.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    /// How many bits are held, fewer than 32.
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            held: 0,
            count: 0,
        }
    }

    /// Puts down the lowest `count` bits of `value`, at most 16, of which the others are zero.
    fn put(&mut self, value: u32, count: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.out.extend_from_slice(&self.held.to_le_bytes()[..4]);
            self.held >>= 32;
            self.count -= 32;
        }
    }

    /// Puts down a code, whose highest bit comes first.
    fn code(&mut self, code: u32, count: u32) {
        self.put(code.reverse_bits() >> (u32::BITS - count), count);
    }

    /// Puts down the fixed code of a literal, of a length, or of the end.
    fn symbol(&mut self, symbol: u32) {
        match symbol {
            0..=143 => self.code(0x30 + symbol, 8),
            144..=255 => self.code(0x190 + symbol - 144, 9),
            256..=279 => self.code(symbol - 256, 7),
            _ => self.code(0xc0 + symbol - 280, 8),
        }
    }

    /// Puts down a match: a symbol for the length, a code for the distance, and behind both more
    /// bits, the larger they are.
    fn matched(&mut self, distance: usize, len: usize) {
        let number = |size: usize| u32::try_from(size).expect("a match lies within the window");
        if len == MATCH_MAX {
            self.symbol(285);
        } else {
            let rest = number(len - 3);
            let extra = (rest | 1).ilog2().saturating_sub(2);
            self.symbol(257 + 4 * extra + (rest >> extra));
            self.put(rest & ((1 << extra) - 1), extra);
        }
        let rest = number(distance - 1);
        let extra = (rest | 1).ilog2().saturating_sub(1);
        self.code(2 * extra + (rest >> extra), 5);
        self.put(rest & ((1 << extra) - 1), extra);
    }

    fn finish(self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.out
            .extend_from_slice(&self.held.to_le_bytes()[..bytes]);
    }
}

#[cfg(test)]
mod tests;
