use std::fs;
use std::path::Path;

use blkproof::text;
use blkproof::{Counts, Failure, Finding, Moment, Outcome};

use super::{Keeper, REPORTS_MAX};
use crate::args;
use crate::campaign::{End, Found, KnownFiles, Plan, Worth};
use crate::interrupt::Interrupt;
use crate::judge::Judge;
use crate::ui::Ui;

pub(super) fn plan() -> Plan {
    Plan {
        seed: 7,
        profiles: args::profiles(&["small".parse().unwrap()]),
        given: vec!["small".to_owned()],
        shard: "1/1".parse().unwrap(),
        bugs: Vec::new(),
        known: KnownFiles::default(),
        end: End::Cases(1000),
        stats: false,
    }
}

fn found(plan: &Plan, number: u64) -> Found {
    Found {
        number,
        scenario: plan.case(number),
        failure: Box::new(Failure {
            moment: Moment::End,
            step_kind: "end",
            findings: vec![Finding::Panic {
                message: "out of luck".to_owned(),
            }],
            replies: Vec::new(),
            firings: Vec::new(),
            counts: Counts::default(),
        }),
    }
}

/// What was kept, and what was printed.
#[derive(Debug)]
struct Kept {
    files: Vec<Result<String, String>>,
    printed: String,
    noted: String,
}

/// Keeps so many failures in the folder `out`.
fn keep(out: &Path, count: u64, worth: Worth) -> Kept {
    let plan = plan();
    let (mut ui, printed, noted) = Ui::kept();
    let mut keeper = Keeper::new(&plan, out, Interrupt::default());
    let mut runs_left = 100;
    let files = (0..count).map(|number| {
        let found = found(&plan, number);
        let kept = keeper.keep(found, worth, &mut runs_left, &mut ui);
        kept.unwrap().map_err(|error| error.to_string())
    });
    Kept {
        files: files.collect(),
        printed: printed.text(),
        noted: noted.text(),
    }
}

#[test]
fn a_failure_is_written_down_as_it_was_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/out");
    let kept = keep(&out, 1, Worth::First);
    assert_eq!(kept.files, [Ok("small-seed7-case0.blk".to_owned())]);
    let file = out.join("small-seed7-case0.blk");
    let scenario = text::parse(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(scenario, plan().case(0));
    let told = format!("{}: no-crash at end\n", file.display());
    assert!(kept.printed.starts_with(&told), "{kept:?}");
    assert!(kept.printed.contains("out of luck"), "{kept:?}");
    let command = format!("  replay it: blkproof replay {}\n", file.display());
    assert!(kept.printed.contains(&command), "{kept:?}");
}

/// A failure of the scenario itself, which the built-in engine shows too.
const WRONG: &str = "\
blkproof 1
disk drive0 1M qcow2
flush drive0
write drive0 64k 64k stamp
write drive0 8M 64k stamp
flush drive0
";

/// Keeps that failure; returns the name of the file, how many runs are left, and what was printed.
fn keep_wrong(folder: &Path, worth: Worth, interrupt: Interrupt) -> (String, u64, String) {
    let scenario = text::parse(WRONG.as_bytes()).unwrap();
    let Outcome::Failed(failure) = Judge::new().judge(&scenario) else {
        panic!("it fails");
    };
    let plan = plan();
    let (mut ui, printed, _) = Ui::kept();
    let mut keeper = Keeper::new(&plan, folder, interrupt);
    let found = Found {
        number: 0,
        scenario,
        failure,
    };
    let mut runs_left = 1000;
    let kept = keeper.keep(found, worth, &mut runs_left, &mut ui);
    (kept.unwrap().unwrap(), runs_left, printed.text())
}

#[test]
fn what_can_be_shrunk_is_written_beside_the_whole_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let (name, runs_left, printed) = keep_wrong(folder.path(), Worth::First, Interrupt::default());
    assert_eq!(name, "small-seed7-case0.min.blk");
    assert!((700..1000).contains(&runs_left), "{runs_left}");
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("small-seed7-case0.blk"), WRONG);
    let small = "blkproof 1\ndisk drive0 512 qcow2\nwrite drive0 512 512 stamp\n";
    assert_eq!(read("small-seed7-case0.min.blk"), small);
    assert!(
        printed.contains("small-seed7-case0.min.blk:3: expectation at write"),
        "{printed}"
    );
    assert!(
        printed.contains("shrunk from 4 steps to 1; the whole case: "),
        "{printed}"
    );
}

#[test]
fn only_the_first_of_its_way_is_shrunk() {
    let folder = tempfile::tempdir().unwrap();
    let (name, runs_left, printed) = keep_wrong(folder.path(), Worth::More, Interrupt::default());
    assert_eq!((&*name, runs_left), ("small-seed7-case0.blk", 1000));
    assert_eq!(printed.lines().count(), 1, "{printed}");
}

#[test]
fn an_interruption_ends_the_shrinking() {
    let folder = tempfile::tempdir().unwrap();
    let interrupt = Interrupt::default();
    interrupt.raise();
    let (_, patient, _) = keep_wrong(folder.path(), Worth::First, Interrupt::default());
    let (_, hasty, _) = keep_wrong(folder.path(), Worth::First, interrupt);
    assert!(hasty > patient, "{hasty} {patient}");
}

#[test]
fn only_the_first_failures_are_told_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let kept = keep(folder.path(), REPORTS_MAX + 2, Worth::First);
    let count = |text: &str| kept.printed.matches(text).count() as u64;
    assert_eq!(count("replay it:"), REPORTS_MAX);
    assert_eq!(count(": no-crash at end\n"), REPORTS_MAX + 2);
}

#[test]
fn what_cannot_be_written_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::write(&out, "a file where the folder should be").unwrap();
    let kept = keep(&out, 1, Worth::First);
    let error = kept.files[0].as_ref().expect_err("there is no folder");
    assert!(error.starts_with("cannot write "), "{error}");
    assert!(
        kept.noted.contains(&text::print(&plan().case(0))),
        "{kept:?}"
    );
    assert!(kept.printed.contains("out of luck"), "{kept:?}");
}
