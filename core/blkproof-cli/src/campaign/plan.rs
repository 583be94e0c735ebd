//! What a campaign judges.

use core::fmt;
use core::time::Duration;
use std::path::{Path, PathBuf};

use blkproof::generate::{self, Profile};
use blkproof_engine::Bugs;
use blkproof_spec::Scenario;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::hex;
use super::known::KnownFiles;
use super::shard::Shard;
use crate::args::{BugName, ProfileName};

/// How often a case is judged twice: each time its number divides by this.
const TWICE_EVERY: u64 = 16;

/// What a campaign judges.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// The cases take turns through these; there is at least one.
    pub(crate) profiles: Vec<Profile>,
    /// The profiles as they were asked for; none where nothing was said.
    pub(crate) given: Vec<String>,
    pub(crate) shard: Shard,
    /// The seeded bugs that are on.
    pub(crate) bugs: Vec<BugName>,
    /// What it looks behind.
    pub(crate) known: KnownFiles,
    pub(crate) end: End,
    /// Whether it is counted what the cases reach.
    pub(crate) stats: bool,
}

/// What ends a campaign.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// This many cases.
    Cases(u64),
    /// This much time.
    After(Duration),
}

/// What tells campaigns apart, as it is written down.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) seed: u64,
    /// The profiles as they were asked for.
    pub(crate) profiles: Vec<String>,
    /// The digest of what the profiles say.
    profiles_digest: String,
    pub(crate) shard: Shard,
    pub(crate) bugs: Vec<BugName>,
    /// The files of known findings, as they were given.
    pub(crate) known: Vec<PathBuf>,
    /// The digest of what they say.
    known_digest: String,
    pub(crate) stats: bool,
    /// What ends it: the one thing that may change on the way.
    pub(crate) end: End,
}

/// Makes up a case of the campaign of this seed, through whose profiles the cases take turns.
pub(crate) fn case(seed: u64, number: u64, profiles: &[Profile]) -> Scenario {
    let profile = turn(number, profiles);
    let mut scenario = generate::case(seed, number, profile);
    let title = format!(
        "Case {number} of the campaign with seed {seed}, profile {}",
        profile.name
    );
    scenario.title = Some(title.into());
    scenario
}

/// Returns the profile of a case.
fn turn(number: u64, profiles: &[Profile]) -> &Profile {
    let count = profiles.len() as u64;
    let index = usize::try_from(number % count).expect("below the length of a list");
    &profiles[index]
}

impl Plan {
    /// Makes up a case.
    pub(crate) fn case(&self, number: u64) -> Scenario {
        case(self.seed, number, &self.profiles)
    }

    /// Returns the number of the case at a position of this share of the campaign; `None` behind
    /// the last one.
    pub(crate) fn number(&self, position: u64) -> Option<u64> {
        let number = self.shard.case(position, self.profiles.len() as u64)?;
        match self.end {
            End::Cases(cases) => (number < cases).then_some(number),
            End::After(_) => Some(number),
        }
    }

    /// Returns how many cases this share of the campaign has, if that is known.
    pub(crate) fn cases(&self) -> Option<u64> {
        let End::Cases(cases) = self.end else {
            return None;
        };
        // Positions and numbers ascend together: the first position behind the end.
        let (mut low, mut high) = (0, cases);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.number(middle) {
                Some(_) => low = middle + 1,
                None => high = middle,
            }
        }
        Some(low)
    }

    /// Tells whether a case is judged twice, to compare the traces.
    pub(crate) fn is_twice(number: u64) -> bool {
        number.is_multiple_of(TWICE_EVERY)
    }

    /// Returns the name of the file that takes a case which failed.
    pub(crate) fn file_name(&self, number: u64) -> String {
        let profile = &self.profile(number).name;
        format!("{profile}-seed{}-case{number}.blk", self.seed)
    }

    /// Returns the names of the profiles.
    pub(crate) fn profile_names(&self) -> Vec<&str> {
        self.profiles.iter().map(|profile| &*profile.name).collect()
    }

    /// Returns the seeded bugs that are on.
    pub(crate) fn bugs(&self) -> Bugs {
        let bugs = self.bugs.iter();
        bugs.fold(Bugs::NONE, |bugs, bug| bugs.with(bug.0))
    }

    /// Returns what tells this campaign from others.
    pub(crate) fn identity(&self) -> Identity {
        let profiles = self.profiles.iter();
        let known = self.known.known().findings().iter();
        Identity {
            seed: self.seed,
            profiles: self.given.clone(),
            profiles_digest: digest(profiles.map(|profile| format!("{profile:?}"))),
            shard: self.shard,
            bugs: self.bugs.clone(),
            known: self.known.paths().map(Path::to_owned).collect(),
            known_digest: digest(known.map(ToString::to_string)),
            stats: self.stats,
            end: self.end,
        }
    }

    fn profile(&self, number: u64) -> &Profile {
        turn(number, &self.profiles)
    }
}

/// Returns the digest of some lines.
fn digest(lines: impl Iterator<Item = String>) -> String {
    let mut hasher = Sha256::new();
    for line in lines {
        hasher.update(line);
        hasher.update("\n");
    }
    hex::print(&hasher.finalize())
}

impl Identity {
    /// Reads the profiles again.
    pub(crate) fn read_profiles(&self) -> Result<Vec<ProfileName>, String> {
        let read = self.profiles.iter().map(|given| {
            let read = given.parse::<ProfileName>();
            read.map_err(|error| format!("profile {given}: {error}"))
        });
        read.collect()
    }

    /// Returns by what this campaign is another one than `asked`, in words.
    pub(crate) fn differs(&self, asked: &Self) -> Option<String> {
        let differs = |name: &str, own: &dyn fmt::Display, asked: &dyn fmt::Display| {
            Some(format!("its {name} is {own}, not {asked}"))
        };
        let list = |list: &[String], none: &str| match list {
            [] => none.to_owned(),
            list => list.join(", "),
        };
        let bugs = |bugs: &[BugName]| {
            let names = bugs.iter().map(ToString::to_string);
            list(&names.collect::<Vec<_>>(), "none")
        };
        if self.seed != asked.seed {
            differs("seed", &self.seed, &asked.seed)
        } else if self.profiles != asked.profiles {
            let (own, asked) = (list(&self.profiles, "all"), list(&asked.profiles, "all"));
            differs("profile", &own, &asked)
        } else if self.profiles_digest != asked.profiles_digest {
            let profiles = list(&self.profiles, "all");
            Some(format!("its profile {profiles} said something else"))
        } else if self.shard != asked.shard {
            differs("shard", &self.shard, &asked.shard)
        } else if self.bugs != asked.bugs {
            differs("seeded bug", &bugs(&self.bugs), &bugs(&asked.bugs))
        } else if self.known_digest != asked.known_digest {
            Some("what it knows already (--known) was something else".to_owned())
        } else if self.stats != asked.stats {
            let said = if self.stats { "with" } else { "without" };
            Some(format!("it began {said} --stats"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use blkproof::generate::Profile;
    use blkproof::text;

    use super::{End, KnownFiles, Plan, Shard};

    fn plan(end: End, shard: &str) -> Plan {
        Plan {
            seed: 3,
            profiles: Profile::built_in().to_vec(),
            given: Vec::new(),
            shard: shard.parse().unwrap(),
            bugs: Vec::new(),
            known: KnownFiles::default(),
            end,
            stats: false,
        }
    }

    #[test]
    fn cases_take_turns_through_the_profiles_and_survive_being_written_down() {
        let plan = plan(End::After(Duration::from_secs(1)), "1/1");
        for number in 0..400 {
            let scenario = plan.case(number);
            let printed = text::print(&scenario);
            assert_eq!(
                text::parse(printed.as_bytes()).as_ref(),
                Ok(&scenario),
                "{printed}"
            );
        }
        let names = plan.profile_names();
        for (number, name) in (0..).zip(&names) {
            assert_eq!(
                plan.file_name(number),
                format!("{name}-seed3-case{number}.blk")
            );
        }
    }

    #[test]
    fn the_shares_of_a_campaign_add_up() {
        assert_eq!(
            plan(End::After(Duration::from_secs(1)), "1/1").cases(),
            None
        );
        for cases in [1, 3, 4, 5, 17, 100] {
            let whole = plan(End::Cases(cases), "1/1");
            assert_eq!(whole.cases(), Some(cases));
            let shares = ["1/3", "2/3", "3/3"].map(|shard| {
                let share = plan(End::Cases(cases), shard);
                share.cases().unwrap()
            });
            assert_eq!(shares.iter().sum::<u64>(), cases);
        }
        assert!(Shard::default().is_all());
    }
}
