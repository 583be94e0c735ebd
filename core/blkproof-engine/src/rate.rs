//! The speed limit of a job.
//!
//! Time is cut into slices of 100 ms. What is asked for while the quota of the current slice is not
//! used up passes, however large it is; a slice that was overdrawn lasts as long as its bytes would
//! have taken.

const SLICE_MS: u64 = 100;

/// A speed limit with what was let through.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Rate {
    speed: u64,
    slice_start: u64,
    slice_end: u64,
    passed: u64,
}

impl Rate {
    pub(crate) fn new(speed: u64) -> Self {
        Self {
            speed,
            ..Self::default()
        }
    }

    /// Returns the limit in bytes per second; 0 is none.
    pub(crate) fn speed(&self) -> u64 {
        self.speed
    }

    /// Changes the limit. What was let through in the current slice counts against the new one.
    pub(crate) fn set_speed(&mut self, speed: u64) {
        self.speed = speed;
    }

    /// Returns the moment before which nothing passes, if that is not over at `now` (milliseconds).
    pub(crate) fn closed_until(&mut self, now: u64) -> Option<u64> {
        if self.speed == 0 {
            return None;
        }
        if self.slice_end < now {
            self.slice_start = now;
            self.slice_end = now + SLICE_MS;
            self.passed = 0;
        }
        let quota = self.quota();
        if self.passed < quota {
            return None;
        }
        let span = u128::from(self.passed) * u128::from(SLICE_MS) / u128::from(quota);
        let span = u64::try_from(span).unwrap_or(u64::MAX);
        self.slice_end = self.slice_start.saturating_add(span);
        (self.slice_end > now).then_some(self.slice_end)
    }

    /// Takes note of bytes that pass.
    pub(crate) fn pass(&mut self, bytes: u64) {
        if self.speed > 0 {
            self.passed = self.passed.saturating_add(bytes);
        }
    }

    fn quota(&self) -> u64 {
        (self.speed.saturating_mul(SLICE_MS) / 1000).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_first_request_of_a_slice_passes_whatever_its_size() {
        let mut rate = Rate::new(65536);
        assert_eq!(rate.closed_until(0), None);
        rate.pass(MIB);
        // 6553 bytes are a slice's quota.
        assert_eq!(rate.closed_until(0), Some(MIB * 100 / 6553));
        assert_eq!(rate.closed_until(MIB * 100 / 6553 + 1), None);
    }

    #[test]
    fn lifting_the_limit_opens_at_once() {
        let mut rate = Rate::new(1);
        assert_eq!(rate.closed_until(5), None);
        rate.pass(MIB);
        assert!(rate.closed_until(5).is_some());
        rate.set_speed(0);
        assert_eq!(rate.closed_until(5), None);
    }

    #[test]
    fn speeds_near_the_end_of_numbers_do_not_overflow() {
        let mut rate = Rate::new(u64::MAX);
        rate.pass(u64::MAX);
        rate.pass(u64::MAX);
        assert!(rate.closed_until(0).is_some());
    }
}
