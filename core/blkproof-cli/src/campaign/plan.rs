//! What a campaign judges.

use core::time::Duration;

use blkproof::generate::{self, Profile};
use blkproof_spec::Scenario;

/// How often a case is judged twice: each time its number divides by this.
const TWICE_EVERY: u64 = 16;

/// What a campaign judges.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// The cases take turns through these; there is at least one.
    pub(crate) profiles: Vec<Profile>,
    pub(crate) end: End,
    /// Whether it is counted what the cases reach.
    pub(crate) stats: bool,
}

/// What ends a campaign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// This many cases.
    Cases(u64),
    /// This much time.
    After(Duration),
}

impl Plan {
    /// Makes up a case.
    pub(crate) fn case(&self, number: u64) -> Scenario {
        let profile = self.profile(number);
        let mut scenario = generate::case(self.seed, number, profile);
        let title = format!(
            "Case {number} of the campaign with seed {}, profile {}",
            self.seed, profile.name
        );
        scenario.title = Some(title.into());
        scenario
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

    fn profile(&self, number: u64) -> &Profile {
        let count = self.profiles.len() as u64;
        let index = usize::try_from(number % count).expect("below the length of a list");
        &self.profiles[index]
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use blkproof::generate::Profile;
    use blkproof::text;

    use super::{End, Plan};

    #[test]
    fn cases_take_turns_through_the_profiles_and_survive_being_written_down() {
        let plan = Plan {
            seed: 3,
            profiles: Profile::built_in().to_vec(),
            end: End::After(Duration::from_secs(1)),
            stats: false,
        };
        for number in 0..400 {
            let scenario = plan.case(number);
            let printed = text::print(&scenario);
            assert_eq!(
                text::parse(printed.as_bytes()).as_ref(),
                Ok(&scenario),
                "{printed}"
            );
        }
        assert_eq!(plan.file_name(0), "small-seed3-case0.blk");
        assert_eq!(plan.file_name(6), "transactions-seed3-case6.blk");
    }
}
