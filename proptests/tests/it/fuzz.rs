//! The fuzz targets without a fuzzer: on any bytes, and on the inputs that a fuzzer begins with.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail them")]

mod seeds;

use std::panic::catch_unwind;

use blkproof::Case;
use blkproof::generate::Choices;
use blkproof::spec::step::{Action, TransactionAction};
use proptest::prelude::*;
use proptests::{Target, bitmap_profile, transaction_profile};

use crate::cases::cases;

/// How many inputs each target gets; more where `PROPTEST_CASES` says so.
const CASES: u32 = 100;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: cases(CASES),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_hold(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for target in Target::ALL.into_iter().filter(|target| *target != Target::Canary) {
            target.run(&bytes);
        }
    }

    /// What a fuzzer does to seeds: bytes are changed, and inputs are cut and put together.
    #[test]
    fn changed_seeds_hold(
        picks in any::<[prop::sample::Index; 2]>(),
        cuts in any::<[prop::sample::Index; 2]>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        for target in Target::ALL {
            let seeds = seeds::of(target);
            if seeds.is_empty() {
                continue;
            }
            let [first, second] = picks.map(|pick| &pick.get(&seeds).1);
            let [head, tail] = [cuts[0].index(first.len()), cuts[1].index(second.len())];
            let mut bytes = [&first[..head], &second[tail..]].concat();
            for (at, byte) in &changes {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
            }
            target.run(&bytes);
        }
    }
}

#[test]
fn the_canary_fails() {
    let caught = (0..20_000).find(|number| {
        let mut choices = Choices::new(1, *number);
        let bytes: Vec<u8> = (0..64).flat_map(|_| choices.bits().to_le_bytes()).collect();
        catch_unwind(|| Target::Canary.run(&bytes)).is_err()
    });
    assert!(caught.is_some(), "the engine's bug was not found");
}

/// A target of bitmap commands is no better than any other if it makes none.
#[test]
fn the_profiles_are_about_what_they_say() {
    let steps = |profile| {
        let cases = (0..200).map(|number| Case::of(1, number, profile).into_scenario());
        cases
            .flat_map(|scenario| scenario.steps)
            .collect::<Vec<_>>()
    };
    let bitmaps = steps(bitmap_profile());
    let commands = bitmaps
        .iter()
        .filter(|step| matches!(step.action, Action::Bitmap(_)));
    assert!(
        4 * commands.count() > bitmaps.len(),
        "a quarter are bitmap commands"
    );
    let transactions = steps(transaction_profile());
    let backups = transactions.iter().filter(|step| match &step.action {
        Action::Transaction { actions, .. } => actions
            .iter()
            .any(|action| matches!(action, TransactionAction::Backup(_))),
        _ => false,
    });
    assert!(
        20 * backups.count() > transactions.len(),
        "some start backups"
    );
}
