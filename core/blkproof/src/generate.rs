//! Scenarios made up from a seed.
//!
//! A case is addressed by (seed, number) and comes out the same on every machine. Every step that
//! is made up is answered by the model alone ([`Expect::Any`]): the generator only aims at what is
//! interesting, and keeps just enough of an account (`plan`) to aim well.

mod choices;

mod plan;

mod profile;

mod steps;

pub use choices::Choices;
pub use profile::Profile;

use blkproof_spec::step::{Action, Expect};
use blkproof_spec::{DiskSetup, Scenario, Setup, Step};

use plan::Plan;

/// Makes up case `number` of the campaign `seed`.
#[must_use]
pub fn case(seed: u64, number: u64, profile: &Profile) -> Scenario {
    scenario(&mut Choices::new(seed, number), profile)
}

/// Makes up a scenario from a source of choices.
#[must_use]
pub fn scenario(choices: &mut Choices, profile: &Profile) -> Scenario {
    let disks = disks(choices, profile);
    let mut plan = Plan::new(&disks);
    let count = choices.between(profile.steps.0, profile.steps.1);
    while (plan.steps.len() as u64) < count {
        steps::next(&mut plan, choices, profile);
    }
    Scenario {
        setup: Setup {
            disks,
            ..Setup::default()
        },
        steps: plan.steps.into_iter().map(unjudged).collect(),
        ..Scenario::default()
    }
}

fn unjudged(action: Action) -> Step {
    Step {
        action,
        expect: Expect::Any,
    }
}

fn disks(choices: &mut Choices, profile: &Profile) -> Vec<DiskSetup> {
    let count = choices.between(1, profile.disks_max);
    (0..count)
        .map(|index| plan::disk(index, choices, profile))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Profile, case};

    #[test]
    fn a_case_is_addressed_by_seed_and_number() {
        for profile in Profile::ALL {
            for number in 0..50 {
                assert_eq!(case(7, number, &profile), case(7, number, &profile));
            }
            assert_ne!(case(7, 1, &profile), case(7, 2, &profile));
            assert_ne!(case(7, 1, &profile), case(8, 1, &profile));
        }
    }

    #[test]
    fn every_profile_makes_scenarios_of_its_length() {
        for profile in Profile::ALL {
            for number in 0..200 {
                let scenario = case(1, number, &profile);
                assert!(scenario.steps.len() as u64 >= profile.steps.0);
                assert!(scenario.steps.len() as u64 <= profile.steps.1 + 4);
                assert!(!scenario.setup.disks.is_empty());
            }
        }
    }
}
