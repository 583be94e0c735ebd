//! The small scenarios: all hold on the engine as it is, and none of these bugs gets past them.

use blkproof::{Options, Outcome, Runner, exhaustive};
use blkproof_engine::{Bug, Bugs, Engine, ImageInspector};

/// Tells whether a scenario with up to this many guest steps fails.
fn any_fails(bugs: Bugs, guest_steps: u32) -> bool {
    let mut runner = Runner::new(Options::default());
    (0..=guest_steps)
        .flat_map(exhaustive::scenarios)
        .any(|scenario| {
            let mut engine = Engine::with_bugs(bugs);
            let outcome = runner.run(&scenario, &mut engine, Some(&mut ImageInspector));
            matches!(outcome, Outcome::Failed(_))
        })
}

#[test]
fn the_engine_holds() {
    assert!(!any_fails(Bugs::NONE, 1));
}

#[test]
fn bugs_within_the_bound_are_caught() {
    for (bug, guest_steps) in [
        (Bug::DiscardCleans, 1),
        (Bug::DiscardIsNotGuarded, 2),
        (Bug::ZeroesAreNotGuarded, 2),
        (Bug::GuardCopiesClean, 1),
        (Bug::FilterComesLate, 2),
        (Bug::CopiedTwice, 2),
        (Bug::ZeroesAreSkipped, 1),
        (Bug::HoleIsNotMarked, 1),
        (Bug::OverwriteIsClean, 2),
        (Bug::RegrownIsClean, 2),
        (Bug::GrowthIsNotMarked, 2),
        (Bug::GrowthIsNotCopied, 2),
    ] {
        assert!(any_fails(bug.into(), guest_steps), "{bug} gets past");
    }
}
