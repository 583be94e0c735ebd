//! A source of choices: a small generator of numbers, seeded by campaign and case.

/// A stream of choices that follows from its seed alone (SplitMix64).
#[derive(Clone, Debug)]
pub struct Choices {
    state: u64,
}

impl Choices {
    /// Starts the stream of case `number` of the campaign `seed`.
    #[must_use]
    pub fn new(seed: u64, number: u64) -> Self {
        let mut start = Self { state: seed };
        let salt = start.bits();
        let mut choices = Self {
            state: salt ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        choices.bits();
        choices
    }

    /// Returns any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// Returns a number below `bound`; 0 where the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// Returns a number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Says yes `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns one of `options`, which are not empty.
    pub fn pick<'a, T>(&mut self, options: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(options.len() as u64)).unwrap_or(0);
        &options[index]
    }

    /// Returns one of `options`, or `None` where there is none.
    pub fn maybe_pick<'a, T>(&mut self, options: &'a [T]) -> Option<&'a T> {
        (!options.is_empty()).then(|| self.pick(options))
    }

    /// Returns an index by weight; the weights are not all 0.
    pub fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return index,
            }
        }
        0
    }
}
