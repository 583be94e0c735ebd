use std::collections::BTreeSet;
use std::time::Duration;

use clap::ValueEnum as _;

use super::call::{Call, Ended};
use super::part::{Part, Work, targets};
use super::{Told, hours, table};
use crate::budget::Budget;
use crate::repository;

#[test]
fn every_part_has_its_share_and_all_together_the_whole() {
    let budget = Budget::load("nightly").unwrap();
    let parts: BTreeSet<String> = Part::value_variants()
        .iter()
        .map(|part| part.name())
        .collect();
    let rows: BTreeSet<String> = budget.names().map(str::to_owned).collect();
    assert_eq!(rows, parts);
    assert!(
        (budget.sum() - 100.0).abs() < 1e-9,
        "{} percent",
        budget.sum()
    );
}

#[test]
fn hours_are_positive_and_no_slip_of_the_finger() {
    assert_eq!(hours("0.5"), Ok(Duration::from_secs(1800)));
    for bad in ["", "0", "-1", "nan", "inf", "1e9", "8h"] {
        assert!(hours(bad).is_err(), "{bad}");
    }
}

fn calls(part: Part) -> Vec<String> {
    match part.work(Duration::from_secs(600), 7).unwrap() {
        Work::Bounded(calls) | Work::Once(calls) => calls.iter().map(Call::shown).collect(),
        Work::Rounds(mut rounds) => {
            let minute = Duration::from_secs(60);
            let first = rounds.next(minute).unwrap();
            rounds.took(Duration::from_millis(10));
            let second = rounds.next(minute).unwrap();
            vec![first.shown(), second.shown()]
        }
    }
}

#[test]
fn seeds_and_times_are_part_of_the_commands() {
    let run = "cargo run --release --package blkproof-cli --";
    assert_eq!(
        calls(Part::Campaign),
        [
            format!(
                "{run} run --seconds 300 --seed 7 --stats --no-holes \
                 --out blkproof-out/nightly/campaign-7"
            ),
            format!(
                "{run} run --profile wild --seconds 300 --seed 7 --out blkproof-out/nightly/wild-7"
            ),
        ]
    );
    assert_eq!(
        calls(Part::Bugs),
        [
            format!("{run} bugs --seeds 1 --seed 7"),
            format!("{run} bugs --seeds 3 --seed 8")
        ]
    );
    let formats = "cargo run --release --package formats --";
    let limits = "--seconds 100 --seed 7 --out blkproof-out/nightly/formats-7";
    let works = |library| {
        [
            format!("{formats} campaign {library} {limits}"),
            format!("{formats} sweep {library} --cases 1000000 {limits}"),
        ]
    };
    assert_eq!(
        calls(Part::Formats),
        ["blkproof-qcow2", "imago", "qcow2-rs"].map(works).concat()
    );
    let suites = calls(Part::Proptests);
    for (suites, cases) in suites.iter().zip([20, 2000]) {
        let start = format!("PROPTEST_CASES={cases} cargo test --release");
        assert!(suites.starts_with(&start), "{suites}");
    }
}

#[test]
fn every_fuzz_target_has_the_same_time_and_a_corpus() {
    let manifest = std::fs::read_to_string(repository().join("fuzz/Cargo.toml")).unwrap();
    let targets = targets(&manifest);
    let calls = calls(Part::Fuzz);
    assert_eq!(targets.len(), calls.len());
    let seconds = 600 / targets.len();
    for (target, call) in targets.iter().zip(&calls) {
        assert!(
            call.contains(&format!(" {target} fuzz/corpus/{target} ")),
            "{call}"
        );
        let flags = crate::smoke::FLAGS.join(" ");
        let end = format!(" -- -max_total_time={seconds} -seed=8 {flags}");
        assert!(call.ends_with(&end), "{call}");
        assert!(
            call.contains("fuzz run --release --sanitizer none "),
            "{call}"
        );
        let kept = repository().join("corpora/fuzz").join(target);
        assert!(kept.is_dir(), "{}", kept.display());
    }
}

#[test]
fn what_fails_and_what_is_cut_off_is_told() {
    let cargo = |args: &[&str]| Call::cargo(args.iter().copied());
    let good = cargo(&["--version"]);
    let bad = cargo(&["no-such-verb"]);
    assert_eq!(good.run(None).unwrap(), Ended::Well);
    assert_eq!(bad.run(None).unwrap(), Ended::Badly);
    assert_eq!(good.run(Some(Duration::ZERO)).unwrap(), Ended::CutOff);
    let long = Duration::from_secs(60);
    assert_eq!(good.run(Some(long)).unwrap(), Ended::Well);
    let mut told = Told {
        part: Part::Sweep,
        took: Duration::from_secs(90),
        allowed: Duration::from_secs(60),
        calls: 0,
        failed: Vec::new(),
        remark: "",
    };
    told.take(&good, Ended::Well);
    assert_eq!(told.outcome(), "held");
    told.take(&good, Ended::CutOff);
    assert_eq!(told.outcome(), "cut off");
    told.take(&bad, Ended::Badly);
    assert_eq!(told.outcome(), "1 of 3 failed");
    assert_eq!(told.failed, ["cargo no-such-verb"]);
    let table = table(&[told]);
    let row = "\n  sweep              1.5      1.0      3  1 of 3 failed";
    assert!(table.ends_with(row), "{table}");
}
