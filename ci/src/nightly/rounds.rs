//! The same again and again, as large as the time allows.

use std::fmt;
use std::time::Duration;

use super::call::Call;

/// Rounds of one thing, each of a size that follows from how long the last one took: the first is
/// as small as can be, so that the shortest night has it, and none is begun that the time will not
/// do for.
pub(super) struct Rounds {
    /// The smallest and the largest size of a round.
    bounds: (u32, u32),
    /// Makes the call of a round: how much was done before, and how much it is to do.
    call: Box<dyn Fn(u64, u32) -> Call>,
    done: u64,
    /// The size of the round under way, or of the last one.
    size: u32,
    /// How long that took.
    last: Option<Duration>,
}

impl Rounds {
    pub(super) fn new(bounds: (u32, u32), call: impl Fn(u64, u32) -> Call + 'static) -> Self {
        Self {
            bounds,
            call: Box::new(call),
            done: 0,
            size: 0,
            last: None,
        }
    }

    /// Returns the next round, if there is one that fits into what is left of the time.
    pub(super) fn next(&mut self, left: Duration) -> Option<Call> {
        self.done += u64::from(self.size);
        self.size = match self.last {
            None => self.bounds.0,
            Some(last) => self.fitting(last, left)?,
        };
        Some((self.call)(self.done, self.size))
    }

    /// Takes in how long the round under way took.
    pub(super) fn took(&mut self, time: Duration) {
        self.last = Some(time);
    }

    /// The largest size that fits if time follows size, with a tenth to spare; nothing where only
    /// a round would that is much smaller than the last one. What every round takes whatever its
    /// size is more than a tenth of such a one.
    fn fitting(&self, last: Duration, left: Duration) -> Option<u32> {
        let each = last.as_secs_f64().max(1e-3) / f64::from(self.size);
        let fits = (left.as_secs_f64() * 0.9 / each).min(f64::from(self.bounds.1));
        // The saturating cast of a number that is neither negative nor larger than the bound.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let fits = fits as u32;
        (fits >= self.bounds.0.max(self.size / 4)).then_some(fits)
    }
}

impl fmt::Debug for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rounds")
            .field("bounds", &self.bounds)
            .field("done", &self.done)
            .field("size", &self.size)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Rounds;
    use crate::nightly::call::Call;

    fn rounds() -> Rounds {
        Rounds::new((20, 2000), |done, size| {
            Call::cargo([format!("{done}+{size}")])
        })
    }

    /// Runs rounds of a work that takes so long for each unit and once more for each round, in so
    /// many seconds; returns their sizes and the time that they took.
    fn run(unit: f64, overhead: f64, seconds: f64) -> (Vec<u32>, f64) {
        let mut rounds = rounds();
        let (mut sizes, mut now) = (Vec::new(), 0.0);
        while rounds
            .next(Duration::from_secs_f64((seconds - now).max(0.0)))
            .is_some()
        {
            let took = overhead + unit * f64::from(rounds.size);
            now += took;
            sizes.push(rounds.size);
            rounds.took(Duration::from_secs_f64(took));
        }
        (sizes, now)
    }

    #[test]
    fn rounds_grow_to_the_largest_and_end_in_time() {
        let (sizes, took) = run(0.01, 0.5, 100.0);
        assert_eq!(sizes[0], 20);
        assert!(sizes.contains(&2000), "{sizes:?}");
        assert!((80.0..=100.0).contains(&took), "{took} s: {sizes:?}");
    }

    #[test]
    fn a_short_night_has_one_small_round() {
        assert_eq!(run(0.5, 3.0, 18.0).0, [20]);
        assert_eq!(run(1.0, 0.0, 0.001).0, [20]);
    }

    #[test]
    fn each_round_knows_what_was_done_before() {
        let mut rounds = rounds();
        let second = Duration::from_secs(1);
        let first = rounds.next(second).unwrap();
        assert!(first.shown().ends_with(" 0+20"));
        rounds.took(Duration::from_millis(10));
        let next = rounds.next(second).unwrap();
        assert!(next.shown().ends_with(" 20+1800"), "{}", next.shown());
    }
}
