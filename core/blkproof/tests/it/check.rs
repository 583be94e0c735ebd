//! `blkproof::check`, as a user's own test calls it.

mod hostile;

mod isolated;

mod known;

use std::panic::{AssertUnwindSafe, catch_unwind};

use blkproof::device::Store;
use blkproof::spec::{
    Action, At, ByteRange, Capabilities, JobEvent, Refusal, Reply, Scenario, Setup, Status,
    StepNumber,
};
use blkproof::{Check, Subject, SubjectError};

use crate::engines::{Lie, copiers};

/// Declines every backup, and everything else that it may.
#[derive(Debug)]
struct Idle<S>(S);

impl<S: Subject> Subject for Idle<S> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.0.prepare(store, setup)
    }

    fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.0.open(store, setup)
    }

    fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        match action {
            Action::Guest { .. } => self.0.apply(number, action, read),
            _ => Reply::Refused(Refusal::Unsupported),
        }
    }

    fn peek(&mut self, at: &At, range: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError> {
        self.0.peek(at, range, buf)
    }

    fn status(&mut self, status: &mut Status) {
        self.0.status(status);
    }

    fn drain_events(&mut self, events: &mut Vec<JobEvent>) {
        self.0.drain_events(events);
    }

    fn close(&mut self) -> Result<(), SubjectError> {
        self.0.close()
    }
}

#[test]
#[should_panic(expected = "nothing was proved")]
fn an_engine_that_declines_every_backup_proves_nothing() {
    blkproof::check(|| Idle(copiers(Lie::Nothing)));
}

/// Returns what a check of a copier that lies panics with.
fn report(lie: Lie) -> String {
    report_of(&Check::new().cases(500).keep_nothing(), move || {
        copiers(lie)
    })
}

/// Returns what a check panics with.
fn report_of<S: Subject>(check: &Check, make: impl FnMut() -> S + Send + 'static) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| check.run(make)))
        .expect_err("an engine that lies is found out");
    let message = panic.downcast_ref::<String>();
    message.expect("a report is text").clone()
}

/// Returns the scenario that a report ends in.
fn scenario_of(report: &str) -> Scenario {
    let text = &report[report.find("blkproof 1\n").expect("the text is there")..];
    blkproof::text::parse(text.as_bytes()).expect("it can be replayed")
}

#[test]
fn an_engine_that_goes_another_way_each_time_is_found_out() {
    // What a subject does follows from how many were made before it.
    let make = || {
        let mut made = 0_u32;
        move || {
            made += 1;
            let even = made.is_multiple_of(2);
            copiers(if even { Lie::Nothing } else { Lie::Dawdles })
        }
    };
    let check = Check::new().cases(40).keep_nothing();
    let report = report_of(&check, make());
    assert!(report.contains("deterministic at end"), "{report}");
    assert!(
        report.contains("The same scenario gives the same trace."),
        "{report}"
    );
    assert!(scenario_of(&report).steps.len() <= 1, "{report}");
    // Nothing else is wrong with it.
    check.may_differ().run(make());
}

#[test]
fn what_failed_is_kept_and_tried_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = folder.path().join("what failed");
    let check = Check::new().cases(500).keep_in(&kept);
    let judge = |lie| {
        let judged = catch_unwind(AssertUnwindSafe(|| check.run(move || copiers(lie))));
        judged
            .err()
            .map(|panic| panic.downcast_ref::<String>().expect("text").clone())
    };
    let first = judge(Lie::ForgetsTail).expect("it is found out");
    let files: Vec<_> = std::fs::read_dir(&kept)
        .expect("it was made")
        .map(|entry| entry.expect("a file").path())
        .collect();
    let [file] = &files[..] else {
        panic!("{files:?}");
    };
    // The report is of that file, and says how to judge it again.
    assert!(
        first.starts_with(&format!("{}:", file.display())),
        "{first}"
    );
    let command = format!(
        "replay it: BLKPROOF_REPLAY='{}' cargo test check::what_failed_is_kept_and_tried_first",
        file.display()
    );
    assert!(first.contains(&command), "{first}");
    // It is tried first: before any case is made up, and as it lies there.
    let text = std::fs::read_to_string(file).expect("a scenario");
    let titled = text.replacen("title case 0 of seed 1", "title mine", 1);
    assert_ne!(titled, text);
    std::fs::write(file, titled).expect("it is written");
    let second = judge(Lie::ForgetsTail).expect("it still fails");
    assert!(second.contains("title mine"), "{second}");
    // Once it holds, the campaign goes on, and the file stays.
    assert_eq!(judge(Lie::Nothing), None);
    assert!(file.exists());
    // What cannot be read is told with its place.
    std::fs::write(file, "blkproof 2\n").expect("written");
    let broken = judge(Lie::Nothing).expect("it is not passed over");
    assert!(broken.contains("this blkproof reads version 1"), "{broken}");
    assert!(
        broken.contains(&format!("{}:1:10", file.display())),
        "{broken}"
    );
}

#[test]
fn a_right_engine_passes() {
    blkproof::check(|| copiers(Lie::Nothing));
}

#[test]
fn an_engine_that_forgets_a_block_is_found_out_in_a_few_lines() {
    let report = report(Lie::ForgetsTail);
    assert!(report.contains("restore-exact"), "{report}");
    let scenario = &report[report.find("blkproof 1\n").expect("the text is there")..];
    let parsed = blkproof::text::parse(scenario.as_bytes()).expect("it can be replayed");
    assert!(parsed.steps.len() <= 6, "{scenario}");
}

#[test]
fn an_engine_that_panics_is_a_failure_with_a_scenario() {
    let report = report(Lie::Panics);
    assert!(report.contains("no-crash"), "{report}");
    assert!(
        report.contains("a canary panics (core/blkproof/tests/it/"),
        "{report}"
    );
}
