//! `blkproof::check`, as a user's own test calls it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use blkproof::device::Store;
use blkproof::spec::{
    Action, At, ByteRange, Capabilities, JobEvent, Refusal, Reply, Setup, Status, StepNumber,
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
    let check = Check::new().cases(500);
    let panic = catch_unwind(AssertUnwindSafe(|| check.run(|| copiers(lie))))
        .expect_err("an engine that lies is found out");
    let message = panic.downcast_ref::<String>();
    message.expect("a report is text").clone()
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
    assert!(report.contains("a canary panics"), "{report}");
}
