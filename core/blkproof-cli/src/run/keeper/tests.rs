use std::fs;
use std::path::Path;

use blkproof::generate::Profile;
use blkproof::text;
use blkproof::{Counts, Failure, Finding, Moment, Outcome};

use super::{FAILURES_MAX, Keeper, REPORTS_MAX};
use crate::campaign::{End, Found, Plan, Progress, Watcher as _};
use crate::exit::Exit;
use crate::judge::Judge;
use crate::ui::Ui;

fn plan() -> Plan {
    Plan {
        seed: 7,
        profiles: Profile::named("small").into_iter().collect(),
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

/// Keeps so many failures in the folder `out`; returns how that ended, and what was printed.
fn keep(out: &Path, count: u64) -> (Exit, Vec<bool>, String, String) {
    let plan = plan();
    let (mut ui, printed, noted) = Ui::kept();
    let progress = Progress::start(plan.end, &mut ui);
    let mut keeper = Keeper::new(&plan, out, progress, &mut ui);
    let went_on = (0..count).map(|number| keeper.found(found(&plan, number)).unwrap());
    let went_on = went_on.collect();
    let exit = keeper.finish();
    (exit, went_on, printed.text(), noted.text())
}

#[test]
fn a_failure_is_written_down_as_it_was_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/out");
    let (exit, went_on, printed, _) = keep(&out, 1);
    assert_eq!((exit, went_on), (Exit::Held, vec![true]));
    let file = out.join("small-seed7-case0.blk");
    let scenario = text::parse(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(scenario, plan().case(0));
    let told = format!("{}: no-crash at end\n", file.display());
    assert!(printed.starts_with(&told), "{printed}");
    assert!(printed.contains("out of luck"), "{printed}");
    let command = format!("  replay it: blkproof replay {}\n", file.display());
    assert!(printed.contains(&command), "{printed}");
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

#[test]
fn what_can_be_shrunk_is_written_beside_the_whole_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = text::parse(WRONG.as_bytes()).unwrap();
    let Outcome::Failed(failure) = Judge::new().judge(&scenario) else {
        panic!("it fails");
    };
    let plan = plan();
    let (mut ui, printed, _) = Ui::kept();
    let progress = Progress::start(plan.end, &mut ui);
    let mut keeper = Keeper::new(&plan, folder.path(), progress, &mut ui);
    let found = Found {
        number: 0,
        scenario,
        failure,
    };
    assert!(keeper.found(found).unwrap());
    assert_eq!(keeper.finish(), Exit::Held);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("small-seed7-case0.blk"), WRONG);
    let small = "blkproof 1\ndisk drive0 512 qcow2\nwrite drive0 512 512 stamp\n";
    assert_eq!(read("small-seed7-case0.min.blk"), small);
    let printed = printed.text();
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
fn only_the_first_failures_are_told_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, printed, _) = keep(folder.path(), REPORTS_MAX + 2);
    let count = |text: &str| printed.matches(text).count() as u64;
    assert_eq!(count("replay it:"), REPORTS_MAX);
    assert_eq!(count(": no-crash at end\n"), REPORTS_MAX + 2);
}

#[test]
fn a_campaign_in_which_everything_fails_ends_early() {
    let folder = tempfile::tempdir().unwrap();
    let (_, went_on, _, noted) = keep(folder.path(), FAILURES_MAX);
    let (last, before) = went_on.split_last().unwrap();
    assert!(before.iter().all(|went_on| *went_on));
    assert!(!last);
    assert!(noted.contains("the campaign ended early"), "{noted}");
    let files = fs::read_dir(folder.path()).unwrap().count() as u64;
    assert_eq!(files, FAILURES_MAX);
}

#[test]
fn what_cannot_be_written_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::write(&out, "a file where the folder should be").unwrap();
    let (exit, _, printed, noted) = keep(&out, 1);
    assert_eq!(exit, Exit::Environment);
    assert!(noted.contains(": cannot write "), "{noted}");
    assert!(noted.contains(&text::print(&plan().case(0))), "{noted}");
    assert!(printed.contains("out of luck"), "{printed}");
}
