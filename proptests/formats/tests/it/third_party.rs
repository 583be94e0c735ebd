//! Libraries of others: what they are known to do wrong shows today, and nothing else does.
//!
//! A test that fails here because a finding no longer shows says that it was repaired: its scenario
//! and its line in the list can go.

use std::fs;

use blkproof::format::{MadeBy, Outcome, Property, Scenario, Stated, text};
use blkproof::known::Sightings;
use formats::{Bench, Campaign, QemuImg, Subject, Sweeps, corpora, scenarios};

/// What stands in scenarios that only show with checks of overflows.
const CHECKED: &str = "# needs: overflow checks";

const OTHERS: [Subject; 2] = [Subject::Imago, Subject::Qcow2Rs];

#[test]
fn what_is_known_shows() {
    for subject in OTHERS {
        let known = subject.known().expect("the corpus can be read");
        assert!(!known.is_empty(), "{}", subject.name());
        let mut bench = Bench::new(subject.library());
        for (path, scenario) in known {
            if scenario.setup.made_by == MadeBy::QemuImg && !bench.has_qemu() {
                eprintln!("skipped: {} needs qemu-img", path.display());
                continue;
            }
            let text = fs::read_to_string(&path).expect("a scenario");
            if !cfg!(debug_assertions) && text.contains(CHECKED) {
                eprintln!("skipped: {} needs overflow checks", path.display());
                continue;
            }
            assert!(matches!(scenario.outcome, Stated::Fail(_)));
            let outcome = bench.run(&scenario);
            let shown = outcome.failure().map(|failure| failure.render(&scenario));
            let shown = shown.unwrap_or_else(|| format!("{outcome:?}"));
            assert!(
                outcome.meets(scenario.outcome),
                "{}: {shown}",
                path.display()
            );
        }
    }
}

#[test]
fn every_scenario_says_what_it_is_about_and_stands_in_the_table() {
    let table = fs::read_to_string(corpora().join("third-party/README.md")).expect("a table");
    let lock = fs::read_to_string(corpora().join("../Cargo.lock")).expect("a lock file");
    for subject in OTHERS {
        let name = subject.name();
        for (path, _) in subject.known().expect("the corpus can be read") {
            let text = fs::read_to_string(&path).expect("a scenario");
            for word in ["crate", "severity", "expected", "happened", "verified"] {
                let line = format!("\n# {word}: ");
                assert!(text.contains(&line), "{} says no {word}", path.display());
            }
            let version = text
                .split("# crate: ")
                .nth(1)
                .and_then(|rest| rest.lines().next());
            let version = version
                .and_then(|said| said.strip_prefix(name))
                .expect("the crate");
            let locked = format!("name = \"{name}\"\nversion = \"{}\"\n", version.trim());
            assert!(
                lock.contains(&locked),
                "{}: another version",
                path.display()
            );
            let file = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            assert!(table.contains(&file), "{file} is not in the table");
        }
    }
}

#[test]
fn every_line_of_a_list_is_about_a_scenario_that_is_kept() {
    for subject in OTHERS {
        let known = subject.masks().expect("the list can be read");
        let mut bench = Bench::new(subject.library()).masking(known.clone());
        if !bench.has_qemu() {
            return eprintln!("skipped: there is no qemu-img");
        }
        let mut seen = Sightings::default();
        for (path, scenario) in subject.known().expect("the corpus can be read") {
            let outcome = bench.run(&scenario);
            // Behind it another one may show, of those that a campaign keeps away from.
            let masked = &outcome.counts().masked;
            if *masked == Sightings::default() {
                let text = fs::read_to_string(&path).expect("a scenario");
                assert!(text.contains(CHECKED), "{} shows nothing", path.display());
                return;
            }
            seen.merge(masked);
        }
        let unseen: Vec<_> = seen.unseen(&known).map(ToString::to_string).collect();
        assert!(unseen.is_empty(), "{}: {unseen:?}", subject.name());
    }
}

#[test]
fn qemu_agrees_that_images_are_corrupt() {
    let Some(qemu) = QemuImg::find() else {
        return eprintln!("skipped: there is no qemu-img");
    };
    for subject in OTHERS {
        let mut bench = Bench::new(subject.library());
        let mut judge = bench.judge();
        for (path, scenario) in subject.known().expect("the corpus can be read") {
            if scenario.outcome != Stated::Fail(Property::ImageSound) {
                continue;
            }
            judge.run(&scenario);
            let file = judge.file().expect("there is an image");
            let said = qemu.check(&file).expect("qemu-img runs");
            assert!(!said.is_empty(), "{}", path.display());
        }
    }
}

/// Runs a campaign that looks behind what is known.
fn campaign(subject: Subject, cases: u64) {
    let known = subject.masks().expect("the list can be read");
    let mut bench = Bench::new(subject.library()).masking(known);
    let campaign = Campaign {
        seed: 11,
        first: 0,
        cases,
        time: None,
        failures_max: 1,
    };
    let others = bench.has_qemu();
    let mut judge = bench.judge();
    let mut run = |scenario: &Scenario| judge.run(scenario);
    let able = subject.behind_known();
    let totals = campaign.run(&mut run, &able, others, &mut |_, _| Ok(()));
    let totals = totals.expect("nothing is written");
    if let Some(found) = totals.found.values().next() {
        let text = text::print(&found.scenario);
        panic!("{text}\n{}", found.failure.render(&found.scenario));
    }
    assert_eq!(totals.cases, cases);
}

#[test]
fn a_campaign_with_imago_finds_nothing_else() {
    campaign(Subject::Imago, 1000);
}

#[test]
fn a_campaign_with_qcow2_rs_finds_nothing_else() {
    if QemuImg::find().is_none() {
        return eprintln!("skipped: there is no qemu-img");
    }
    campaign(Subject::Qcow2Rs, 600);
}

#[test]
fn sweeps_find_nothing_else() {
    for subject in OTHERS {
        let known = subject.masks().expect("the list can be read");
        let mut bench = Bench::new(subject.library()).masking(known);
        if !bench.has_qemu() {
            return eprintln!("skipped: there is no qemu-img");
        }
        let mut judge = bench.judge();
        let able = judge.capabilities();
        let corpus = scenarios(&corpora().join("format")).expect("the corpus can be read");
        for (path, scenario) in corpus {
            let mut sweeps = Sweeps::default();
            let scenario = subject.fitted(&scenario);
            let mut run = |one: &Scenario| judge.run(one);
            let swept = sweeps.sweep(&scenario, &mut run, &able, &mut |_, _| Ok(()));
            swept.expect("nothing is written");
            if let Some(found) = sweeps.found.values().next() {
                let text = text::print(&found.scenario);
                panic!("{text}\n{}", found.failure.render(&found.scenario));
            }
            let (path, told) = (path.display(), sweeps.told());
            let whole = sweeps.faults.complete && sweeps.losses.complete;
            assert!(whole && sweeps.faults.all() > 50, "{path}: {told}");
            assert_eq!(sweeps.faults.not_judged, 0, "{path}: {told}");
            assert!(
                !able.survives_kills || sweeps.losses.operations > 5,
                "{path}: {told}"
            );
        }
    }
}

#[test]
fn a_run_that_holds_is_not_called_known() {
    let scenario = text::parse(b"blkproof-format 1\nimage 1M\nwrite 0 64k stamp\nflush\n");
    let scenario = scenario.expect("a scenario");
    let outcome = Bench::new(Subject::Imago.library()).run(&scenario);
    assert!(matches!(outcome, Outcome::Held(_)), "{outcome:?}");
}
