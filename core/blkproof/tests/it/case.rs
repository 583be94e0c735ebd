//! Any bytes are a case, and any scenario is the case of some bytes.

use std::path::Path;

use blkproof::generate::{self, Choices, Profile};
use blkproof::{Case, corpus, text};
use proptest::prelude::*;

use crate::text::arbitrary;

/// More steps than any profile asks for, with what belongs to the last one.
const STEPS_MAX: usize = 40;

proptest! {
    #[test]
    fn any_bytes_are_a_case(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let case = Case::decode(&bytes);
        prop_assert!(case.scenario().steps.len() <= STEPS_MAX.max(bytes.len()));
        let again = Case::encode(case.scenario());
        prop_assert_eq!(Case::decode(&again), case);
    }

    #[test]
    fn any_lines_are_a_plan(
        lines in "(disk d 1M raw|write d 0 [0-9]{1,9}k stamp|[ -~]{0,9}\n){0,9}",
    ) {
        let mut bytes = vec![Case::PLAN];
        bytes.extend(lines.bytes());
        let case = Case::decode(&bytes);
        prop_assert!(case.scenario().steps.len() <= bytes.len());
    }

    #[test]
    fn any_scenario_is_the_case_of_its_plan(scenario in arbitrary::scenario()) {
        let bytes = Case::encode(&scenario);
        prop_assert_eq!(Case::decode(&bytes).into_scenario(), scenario);
    }

    #[test]
    fn what_is_cut_off_the_choices_makes_them_simpler(
        bytes in proptest::collection::vec(any::<u8>(), 1..300),
    ) {
        for profile in Profile::built_in() {
            let steps = |bytes| {
                generate::scenario(&mut Choices::from_bytes(bytes), profile).steps.len()
            };
            prop_assert!(steps(&[]) <= 2);
            prop_assert!(steps(&bytes) <= STEPS_MAX);
        }
    }
}

#[test]
fn wrong_lines_are_left_out() {
    let bytes =
        b"\x01disk d 1M raw\nwrite d 0 nothing\n\xff\xfe\nwrite d 0 512 stamp\ntransaction \
        individual\n  abort\n  no action\nflush d\n";
    let plan = text::print(Case::decode(bytes).scenario());
    let left =
        "blkproof 1\ndisk d 1M raw\nwrite d 0 512 stamp\ntransaction individual\n  abort\nend\n";
    assert_eq!(plan, left);
}

#[test]
fn the_corpora_and_made_up_scenarios_are_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpora");
    let scenarios = corpus::files(&folder).unwrap().into_iter();
    let files = scenarios.map(|path| corpus::load(&path).unwrap().scenario);
    let made_up = Profile::built_in()
        .iter()
        .flat_map(|profile| (0..100).map(|number| generate::case(3, number, profile)));
    for scenario in files.chain(made_up) {
        let bytes = Case::encode(&scenario);
        assert_eq!(Case::decode(&bytes).into_scenario(), scenario);
    }
}
