//! Scenarios made up from choices: of a seed, or of bytes.
//!
//! A case is addressed by (seed, number, profile) and comes out the same on every machine. The
//! generator keeps account (`account`) of what its steps lead to, as the model would, so that steps
//! are legal unless they are meant not to be: those are marked with `expect=refused`. Every other
//! step is answered by the model alone ([`Expect::Any`](blkproof_spec::step::Expect)). Each
//! scenario draws a subset of the kinds of steps and faults (a swarm), and edges are favoured.

mod choices;

mod kind;

mod profile;

mod few;

mod label;

mod account;

mod shapes;

mod steps;

mod fit;

pub use choices::Choices;
pub use fit::fit;
pub use kind::Kind;
pub use profile::{Profile, ProfileError};

use blkproof_spec::power::Cache;
use blkproof_spec::{Capabilities, Limits, Scenario, Setup, Units};

use account::Account;

/// How many steps one choice of a step may come to.
const STEPS_PER_CHOICE: u64 = 24;

/// The least bound of a step where there are faults: a job that ignores an error that lasts goes on
/// for ever, and may ask for a megabyte each time.
const FAULTED_UNITS: u64 = 1 << 10;

/// The most that a job copies as one chunk.
const CHUNK: u64 = 1 << 20;

/// The size of a disk up to which the bound follows from it. What can be mapped of a larger one is
/// all zeroes, of which nobody need ask a disk that fails.
const BOUNDED: u64 = 1 << 30;

/// Makes up case `number` of the campaign `seed`.
#[must_use]
pub fn case(seed: u64, number: u64, profile: &Profile) -> Scenario {
    scenario(&mut Choices::new(seed, number), profile)
}

/// Makes up case `number` of the campaign `seed` for a subject that can do no more than `can`: see
/// [`fit`].
#[must_use]
pub fn case_for(seed: u64, number: u64, profile: &Profile, can: &Capabilities) -> Scenario {
    fit(case(seed, number, profile), can)
}

/// Makes up a scenario from a source of choices. Bytes that run out end it early.
#[must_use]
pub fn scenario(choices: &mut Choices<'_>, profile: &Profile) -> Scenario {
    let drawn = profile.draw(choices);
    let profile = drawn.as_ref().unwrap_or(profile);
    let count = choices.between(profile.steps.0, profile.steps.1);
    let room = usize::try_from(count + 4).unwrap_or(0);
    let mut account = Account::new(choices, profile, room);
    let disks = shapes::disks(&mut account, choices, profile);
    let loses = account.weights[Kind::PowerCut as usize] > 0;
    let cache = if loses {
        steps::cache(choices)
    } else {
        Cache::default()
    };
    let rules = if choices.chance(profile.at_open) {
        steps::at_open(&mut account, choices)
    } else {
        Vec::new()
    };
    while (account.steps.len() as u64) < count {
        steps::next(&mut account, choices, profile);
        if choices.is_exhausted() {
            break;
        }
    }
    debug_assert!((account.steps.len() as u64) < count + STEPS_PER_CHOICE);
    let mut limits = Limits::default();
    if account.faulted || !rules.is_empty() {
        let sizes = account.disks.iter().map(|disk| disk.largest);
        limits.units_per_step = faulted_units(sizes.max().unwrap_or(0));
    }
    Scenario {
        setup: Setup {
            disks,
            rules,
            cache,
            limits,
        },
        steps: account.steps,
        ..Scenario::default()
    }
}

/// Returns the bound of a step where there are faults and the largest disk has this size. Where its
/// tables cannot be read, a job takes all of it for data: four units for each chunk.
fn faulted_units(largest: u64) -> Units {
    let units = 4 * largest.min(BOUNDED).div_ceil(CHUNK);
    if units <= FAULTED_UNITS / 4 {
        return Units(FAULTED_UNITS);
    }
    Units((FAULTED_UNITS + units).next_power_of_two())
}

#[cfg(test)]
mod tests {
    use blkproof_spec::step::Action;
    use blkproof_spec::{Capabilities, Length, Units};

    use super::{Profile, STEPS_PER_CHOICE, case, case_for};

    #[test]
    fn a_case_is_addressed_by_seed_and_number() {
        for profile in Profile::built_in() {
            for number in 0..50 {
                assert_eq!(case(7, number, profile), case(7, number, profile));
            }
            assert_ne!(case(7, 1, profile), case(7, 2, profile));
            assert_ne!(case(7, 1, profile), case(8, 1, profile));
        }
    }

    #[test]
    fn no_step_takes_what_a_subject_does_not_claim() {
        let mut plain = Capabilities::MINIMAL;
        plain.granularity = Some(Length(32 << 10));
        let (mut left, mut backups) = (0, 0);
        for profile in Profile::built_in() {
            for number in 0..100 {
                let all = case_for(3, number, profile, &Capabilities::FULL);
                assert_eq!(all, case(3, number, profile), "whoever can do all gets all");
                let scenario = case_for(3, number, profile, &plain);
                for step in &scenario.steps {
                    assert_eq!(plain.lacking(&step.action), None, "{step:?}");
                    backups += u64::from(matches!(step.action, Action::Backup { .. }));
                }
                left += scenario.steps.len();
            }
        }
        assert!(left > 4000, "{left} steps are left of 500 scenarios");
        assert!(backups > 200, "{backups} backups");
    }

    #[test]
    fn the_bound_under_faults_is_enough_for_every_chunk_of_the_largest_disk() {
        for (size, units) in [
            (512, 1024),
            (64 << 20, 1024),
            (65 << 20, 2048),
            (790 << 20, 8192),
            (16 << 40, 8192),
        ] {
            assert_eq!(super::faulted_units(size), Units(units), "{size}");
        }
    }

    #[test]
    fn every_profile_makes_scenarios_of_its_length() {
        for profile in Profile::built_in() {
            for number in 0..200 {
                let scenario = case(1, number, profile);
                assert!(scenario.steps.len() as u64 >= profile.steps.0);
                assert!(scenario.steps.len() as u64 <= profile.steps.1 + STEPS_PER_CHOICE);
                assert!(!scenario.setup.disks.is_empty());
            }
        }
    }

    #[test]
    fn the_longest_scenes_are_within_the_bound() {
        // One of seventeen steps begins with the last choice.
        let large = Profile::named("large").unwrap();
        let scenario = case(900, 2043, &large);
        assert!(scenario.steps.len() as u64 > large.steps.0 + 16);
    }
}
