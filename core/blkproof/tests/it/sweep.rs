//! Sweeps: complete, silent on an engine that is right, and loud on one that hides errors.

use blkproof::spec::{IoType, Scenario};
use blkproof::sweep::{Position, Strike, Tally, places, sweep};
use blkproof::{Options, Outcome, Runner};

use crate::engines::{Lie, copiers};

/// A raw disk: each write of the guest, and each read of a copier's block, is one request.
const TWO_BACKUPS: &str = "\
blkproof 1
disk d 16k raw
write d 0 4k stamp
backup d full to=full0
write d 4k 4k stamp
write d 12k 4k stamp
bitmap add d b
backup d full to=full1
check full1 == d
";

fn scenario() -> Scenario {
    blkproof::text::parse(TWO_BACKUPS.as_bytes()).expect("the text is right")
}

/// Sweeps the scenario on a copier; returns the positions that failed.
fn swept(lie: Lie, strikes: &[Strike], enough: usize) -> (Tally, Vec<(Position, Scenario)>) {
    let mut runner = Runner::new(Options::default());
    let mut failed = Vec::new();
    let run = |scenario: &Scenario| runner.run(scenario, &mut copiers(lie), None);
    let tally = sweep(&scenario(), strikes, run, |swept| {
        if swept.failure.is_some() {
            failed.push((swept.position.clone(), swept.scenario.clone()));
        }
        failed.len() < enough
    });
    (tally, failed)
}

fn positions(tally: &Tally, kind: IoType) -> u64 {
    tally.positions[kind as usize]
}

#[test]
fn every_request_is_struck_and_a_right_engine_holds() {
    let (once, failed) = swept(Lie::Nothing, &[Strike::Once], 1);
    assert_eq!(failed, []);
    assert!(once.complete);
    // Three writes and two times four blocks, where the first failure does not end the copying:
    // below the format, and above it.
    assert_eq!(positions(&once, IoType::Write) % 3, 0);
    assert!(positions(&once, IoType::Write) >= 3);
    assert!(positions(&once, IoType::Read) >= 8);
    assert_eq!(positions(&once, IoType::Discard), 0);
    assert_eq!(once.all(), once.held + once.not_judged);

    let (both, failed) = swept(Lie::Nothing, &[Strike::Once, Strike::Persistent], 1);
    assert_eq!(failed, []);
    assert_eq!(both.all(), 2 * once.all());

    let (torn, failed) = swept(Lie::Nothing, &[Strike::Torn, Strike::Applied], 1);
    assert_eq!(failed, []);
    assert_eq!(positions(&torn, IoType::Read), 0);
    assert!(positions(&torn, IoType::Write) > 0);
}

#[test]
fn an_engine_that_hides_errors_fails_where_it_reads_and_only_there() {
    let (tally, failed) = swept(Lie::HidesErrors, &[Strike::Once], usize::MAX);
    assert!(tally.complete);
    assert_eq!(tally.failed, failed.len() as u64);
    assert!(!failed.is_empty());
    let mut runner = Runner::new(Options::default());
    for (position, scenario) in failed {
        assert_eq!(position.kind, IoType::Read);
        // What is handed out replays on its own, also after a round through text.
        let text = blkproof::text::print(&scenario);
        let again = blkproof::text::parse(text.as_bytes()).expect("what is printed parses");
        let outcome = runner.run(&again, &mut copiers(Lie::HidesErrors), None);
        assert!(matches!(outcome, Outcome::Failed(_)), "{position}: {text}");
    }
}

#[test]
fn a_sweep_that_is_ended_early_says_so() {
    let (tally, failed) = swept(Lie::HidesErrors, &[Strike::Once], 1);
    assert_eq!(failed.len(), 1);
    assert!(!tally.complete);
}

#[test]
fn images_that_come_about_later_have_places_too() {
    let names: Vec<String> = places(&scenario())
        .iter()
        .map(ToString::to_string)
        .collect();
    let all = ["d.file", "d", "full0.file", "full0", "full1.file", "full1"];
    assert_eq!(names, all);
}
