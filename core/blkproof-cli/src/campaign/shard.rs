//! A share of a campaign, for one machine of several.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// The share `index` of `count`, from 1 on. Shares take turns as the cases take turns through the
/// profiles: each share has cases of all of them, and every case belongs to exactly one share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// More machines than anybody has.
    const MAX: u64 = 1_000_000;

    /// Tells whether this is the whole campaign.
    pub(crate) fn is_all(self) -> bool {
        self.count == 1
    }

    /// Returns the number of the share's case at this position, where so many profiles take turns;
    /// `None` where numbers do not reach so far.
    pub(crate) fn case(self, position: u64, profiles: u64) -> Option<u64> {
        let (turn, profile) = (position / profiles, position % profiles);
        let turn = turn.checked_mul(self.count)?.checked_add(self.index - 1)?;
        turn.checked_mul(profiles)?.checked_add(profile)
    }
}

impl Default for Shard {
    /// The whole campaign.
    fn default() -> Self {
        Self { index: 1, count: 1 }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let digits = text.chars().all(|c| c.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        let parts = text.split_once('/');
        let parsed = parts.and_then(|(index, count)| Some((number(index)?, number(count)?)));
        match parsed {
            Some((index, count)) if (1..=count).contains(&index) && count <= Self::MAX => {
                Ok(Self { index, count })
            }
            _ => Err("expected I/N with I from 1 to N, such as 2/4"),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Shard;

    #[test]
    fn every_case_belongs_to_one_shard_and_each_shard_has_all_profiles() {
        for (count, profiles) in [(1_u64, 1_u64), (2, 4), (4, 4), (3, 2), (5, 1)] {
            let mut seen = BTreeSet::new();
            for index in 1..=count {
                let shard: Shard = format!("{index}/{count}").parse().unwrap();
                let cases: Vec<u64> = (0..40 * profiles)
                    .map(|position| shard.case(position, profiles).unwrap())
                    .collect();
                assert!(cases.is_sorted());
                let turns: BTreeSet<u64> = cases.iter().map(|case| case % profiles).collect();
                assert_eq!(turns.len() as u64, profiles);
                for case in cases {
                    assert!(seen.insert(case), "{case} is in two shards");
                }
            }
            assert!(seen.into_iter().eq(0..40 * profiles * count));
        }
    }

    #[test]
    fn numbers_end_somewhere() {
        let last: Shard = "1000000/1000000".parse().unwrap();
        assert_eq!(last.case(u64::MAX, 1), None);
        assert_eq!(Shard::default().case(u64::MAX, 1), Some(u64::MAX));
    }

    #[test]
    fn shards_are_written_as_they_are_read() {
        for good in ["1/1", "2/4", "4/4"] {
            assert_eq!(good.parse::<Shard>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "1",
            "0/4",
            "5/4",
            "1/0",
            "-1/4",
            "+1/4",
            "1/4/2",
            "a/b",
            "1/1000001",
        ] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
