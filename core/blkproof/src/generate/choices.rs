//! The one source of choices: a seed, or bytes that somebody else chose.
//!
//! The least value of every choice (0, the first option, no) is what is simplest. Bytes that have
//! run out answer every further choice with it, so that a shorter input is a simpler scenario.
//! Nothing here allocates, and every choice comes out the same on every machine.

/// A source of choices.
#[derive(Clone, Debug)]
pub struct Choices<'a>(Source<'a>);

#[derive(Clone, Debug)]
enum Source<'a> {
    /// A stream that follows from its state alone (SplitMix64).
    Seed(u64),
    /// What is left of the bytes.
    Bytes(&'a [u8]),
}

impl<'a> Choices<'a> {
    /// Starts the stream of case `number` of the campaign `seed`.
    #[must_use]
    pub fn new(seed: u64, number: u64) -> Self {
        let mut start = seed;
        let salt = split_mix(&mut start);
        let mut state = salt ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        split_mix(&mut state);
        Self(Source::Seed(state))
    }

    /// Takes the choices from `bytes`: as few bytes for each as its options need.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(Source::Bytes(bytes))
    }

    /// Tells whether only simplest choices are left.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        matches!(self.0, Source::Bytes([]))
    }

    /// Returns any 64 bits.
    pub fn bits(&mut self) -> u64 {
        match &mut self.0 {
            Source::Seed(state) => split_mix(state),
            Source::Bytes(bytes) => take(bytes, 8),
        }
    }

    /// Returns a number below `bound`; 0 where the bound is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        match &mut self.0 {
            Source::Seed(state) => fraction(split_mix(state), bound, 64),
            Source::Bytes(bytes) => {
                let count = bytes_for(bound);
                fraction(take(bytes, count), bound, 8 * count)
            }
        }
    }

    /// Returns a number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Says yes `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) >= 100 - percent.min(100)
    }

    /// Returns one of `options`, which are not empty; the first is the simplest.
    pub fn pick<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.index(options.len())]
    }

    /// Returns an index below `len`; 0 where that is 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below the length of a list")
    }

    /// Returns an index by weight; the weights sum up to `sum`, which is not 0.
    pub fn weighted(&mut self, weights: &[u32], sum: u32) -> usize {
        let mut left = self.below(sum.into());
        for (index, weight) in weights.iter().enumerate() {
            match left.checked_sub(u64::from(*weight)) {
                Some(rest) => left = rest,
                None => return index,
            }
        }
        0
    }
}

/// Returns as much of `bound` as `number` is of 2 to the power of `bits`.
fn fraction(number: u64, bound: u64, bits: usize) -> u64 {
    let wide = (u128::from(number) * u128::from(bound)) >> bits;
    u64::try_from(wide).expect("a fraction of a number is no greater")
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Takes a number of `count` bytes, at most 8, off the front; bytes that are missing are 0.
fn take(bytes: &mut &[u8], count: usize) -> u64 {
    let (taken, rest) = bytes.split_at(count.min(bytes.len()));
    *bytes = rest;
    let mut number = [0; 8];
    // The first byte weighs most: what is cut off the end matters least.
    for (index, byte) in taken.iter().enumerate() {
        number[8 - count + index] = *byte;
    }
    u64::from_be_bytes(number)
}

/// Returns how many bytes tell all numbers below `bound` apart.
fn bytes_for(bound: u64) -> usize {
    match bound {
        0 | 1 => 0,
        bound => (8 - (bound - 1).leading_zeros() as usize / 8).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::{Choices, bytes_for};

    #[test]
    fn choices_of_a_seed_stay_the_same_for_ever() {
        let mut choices = Choices::new(124, 7);
        let seen = [choices.bits(), choices.below(1000), choices.between(5, 9)];
        assert_eq!(seen, SEEN);
    }

    const SEEN: [u64; 3] = [15_351_412_153_999_253_271, 411, 6];

    #[test]
    fn bytes_reach_every_option_and_no_more_than_there_are() {
        for bound in [1, 2, 3, 100, 255, 256] {
            let all = (0..=255).map(|byte| Choices::from_bytes(&[byte]).below(bound));
            let mut seen: Vec<u64> = all.collect();
            seen.dedup();
            assert_eq!(seen, (0..bound).collect::<Vec<_>>(), "in order");
        }
        assert_eq!(Choices::from_bytes(&[255; 8]).below(u64::MAX), u64::MAX - 1);
        assert_eq!(Choices::from_bytes(&[255, 255]).below(1000), 999);
    }

    #[test]
    fn what_has_run_out_makes_the_simplest_choices() {
        let mut choices = Choices::from_bytes(&[]);
        assert!(choices.is_exhausted());
        assert_eq!(choices.bits(), 0);
        assert_eq!(choices.between(3, 9), 3);
        assert!(!choices.chance(99));
        assert_eq!(choices.pick(&["first", "second"]), "first");
        assert_eq!(choices.weighted(&[0, 2, 3], 5), 1);
    }

    #[test]
    fn a_choice_takes_as_few_bytes_as_it_needs() {
        let needed = [0, 1, 2, 256, 257, 65_536, 65_537, 1 << 56, (1 << 56) + 1];
        assert_eq!(needed.map(bytes_for), [0, 0, 1, 1, 2, 2, 3, 7, 8]);
    }
}
