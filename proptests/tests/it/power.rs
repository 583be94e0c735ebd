//! Sweeps of losses of power: what they try, counted by other means.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use blkproof::device::Operation;
use blkproof::spec::Scenario;
use blkproof::sweep::power::{Midst, Tally, record, sweep};
use blkproof::text::Document;
use blkproof::{Options, Outcome, Runner, corpus};
use blkproof_engine::{Bug, Bugs, Engine, ImageInspector};

fn corpora(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpora")
        .join(folder)
}

fn load(path: &Path) -> Scenario {
    corpus::load(path).expect("the corpus is in order").scenario
}

fn swept(scenario: &Scenario, random: u64) -> Tally {
    let mut runner = Runner::new(Options::default());
    let mut inspector = ImageInspector::new();
    let each = |swept: &blkproof::sweep::power::Swept<'_>| {
        assert!(
            swept.failure.is_none(),
            "{:?}: {:?}",
            swept.cut,
            swept.failure
        );
        true
    };
    sweep(
        &mut runner,
        scenario,
        random,
        Engine::new,
        &mut inspector,
        each,
    )
    .expect("the images are made")
}

/// Every operation of the record of scenarios without faults, behind which nothing more is done, is
/// cut, each in as many ways as there are: nothing, everything,
/// all but the last, the other way round, each alone, and torn in twelve ways.
#[test]
fn no_operation_and_no_policy_is_left_out() {
    for name in ["incremental_simple", "large_granularity"] {
        let scenario = load(&corpora("seed").join(format!("{name}.blk")));
        let mut runner = Runner::new(Options::default());
        let done = record(&mut runner, &scenario, Engine::new).expect("images are made");
        let (mut positions, mut cuts) = (0, 0);
        // The operations that are pending, by image.
        let mut pending: Vec<&str> = Vec::new();
        for done in &done.record {
            let image = done.image.as_str();
            let torn = match done.what {
                Operation::Create(_) | Operation::Remove => continue,
                Operation::Flush => 0,
                _ => {
                    pending.push(image);
                    12
                }
            };
            positions += 1;
            cuts += 4 + pending.len() as u64 + torn + 3;
            match done.what {
                Operation::Flush => pending.retain(|other| *other != image),
                Operation::Write { fua: true, .. } => {
                    pending.pop();
                }
                _ => {}
            }
        }
        // And once behind all of them, where something is pending still.
        if !pending.is_empty() {
            positions += 1;
            cuts += 4 + pending.len() as u64 + 3;
        }
        let tally = swept(&scenario, 3);
        assert_eq!((tally.positions, tally.cuts), (positions, cuts), "{name}");
        assert_eq!(tally.held, tally.states(), "{name}");
        assert!(tally.complete && positions > 100, "{name}: {tally:?}");
    }
}

/// A mistake of the opening of disks shows only where power is lost a second time meanwhile, and
/// is shown again by the scenario that has both cuts.
#[test]
fn power_is_lost_again_in_the_midst_of_recoveries() {
    let text = "blkproof 1
disk d 64k qcow2
bitmap add d b persistent
restart
write d 0 4k stamp
flush d
write d 8k 4k stamp
";
    let scenario = Document::parse(text.as_bytes())
        .expect("a scenario")
        .scenario;
    let tally = swept(&scenario, 1);
    assert!(tally.again.positions > 10, "{tally:?}");
    assert!(tally.again.cuts > 4 * tally.again.positions, "{tally:?}");
    assert!(tally.again.distinct > 0 && tally.held == tally.states());

    let bugs = Bugs::NONE.with(Bug::RecoveredIsClean);
    let mut seen = false;
    let each = |swept: &blkproof::sweep::power::Swept<'_>| {
        if let Some(failure) = swept.failure {
            assert!(swept.again.is_some(), "{:?} alone shows it", swept.cut);
            let again = Runner::new(Options::default()).run(
                &swept.scenario(),
                &mut Engine::with_bugs(bugs),
                Some(&mut ImageInspector::new()),
            );
            match again {
                Outcome::Failed(again) => assert_eq!(again.identities(), failure.identities()),
                held => panic!("{:?} and {:?}: {held:?}", swept.cut, swept.again),
            }
            seen |= failure.breaks("bitmap-honest");
        }
        true
    };
    let mut runner = Runner::new(Options::default());
    let mut inspector = ImageInspector::new();
    let fresh = || Engine::with_bugs(bugs);
    let swept = sweep(&mut runner, &scenario, 1, fresh, &mut inspector, each);
    assert!(swept.is_ok_and(|tally| tally.complete));
    assert!(seen, "no second cut shows it");
}

/// Whatever can be under way was cut: this is what the sweeps that every check runs come to.
#[test]
fn power_is_cut_in_the_midst_of_everything() {
    let mut all = Tally::whole();
    let golden = ["p01-persistence", "p05-cuts-around-a-restart", "p06-power"];
    let golden = golden.map(|name| corpora("golden").join(format!("{name}.blk")));
    let seed = corpus::files(&corpora("seed")).expect("the seed corpus is in the repository");
    for path in seed.iter().chain(&golden) {
        all.add(&swept(&load(path), 0));
    }
    let never: BTreeSet<&str> = Midst::ALL
        .into_iter()
        .filter(|midst| all.midst[*midst as usize] == 0)
        .map(Midst::name)
        .collect();
    assert_eq!(never, BTreeSet::new(), "{:?}", all.midst);
    assert_eq!(all.midst.iter().sum::<u64>(), all.positions);
    assert!(all.complete && all.failed == 0, "{all:?}");
}
