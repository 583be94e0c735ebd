//! A subject that does nothing, and steps that leave nothing to do: what is left is the harness.
//!
//! The disk is one of zeroes, and stays one: the guest reads it, zeroes parts of it and flushes it,
//! and everything else the subject declines.

use std::hint::black_box;

use blkproof::device::Store;
use blkproof::spec::step::GuestOp;
use blkproof::spec::{
    Action, At, ByteRange, Capabilities, JobEvent, Refusal, Reply, Scenario, Setup, Status,
    StepNumber,
};
use blkproof::{Options, Outcome, Runner, Subject, SubjectError};

/// How many steps there are.
const STEPS: u64 = 1000;

/// A disk of zeroes on which nothing is ever done.
#[derive(Debug)]
struct Idle;

impl Subject for Idle {
    fn capabilities(&self) -> Capabilities {
        Capabilities::MINIMAL
    }

    fn prepare(&mut self, _: Box<dyn Store>, _: &Setup) -> Result<(), SubjectError> {
        Ok(())
    }

    fn open(&mut self, _: Box<dyn Store>, _: &Setup) -> Result<(), SubjectError> {
        Ok(())
    }

    fn apply(&mut self, _: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        match action {
            Action::Guest { op, .. } => {
                if let GuestOp::Read { range } = op {
                    read.resize(usize::try_from(range.len).expect("it is small"), 0);
                }
                Reply::Done
            }
            _ => Reply::Refused(Refusal::Unsupported),
        }
    }

    fn peek(&mut self, _: &At, _: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError> {
        buf.fill(0);
        Ok(())
    }

    fn status(&mut self, _: &mut Status) {}

    fn drain_events(&mut self, _: &mut Vec<JobEvent>) {}

    fn close(&mut self) -> Result<(), SubjectError> {
        Ok(())
    }
}

fn scenario() -> Scenario {
    let mut text = String::from("blkproof 1\ndisk d 1M raw\n");
    for step in 0..STEPS {
        let start = step * 37 % 2000 * 512;
        text += &match step % 4 {
            0 => format!("read d {start} 512\n"),
            1 => format!("write-zeroes d {start} 4k unmap\n"),
            2 => "flush d\n".to_owned(),
            _ => format!("bitmap add d b{step} expect=refused(unsupported)\n"),
        };
    }
    blkproof::text::parse(text.as_bytes()).expect("these are right")
}

/// Judges the steps.
pub(super) fn judged() -> Box<dyn FnMut() -> u64> {
    let scenario = scenario();
    let mut runner = Runner::new(Options::default());
    Box::new(move || {
        let outcome = runner.run(&scenario, &mut Idle, None);
        assert!(matches!(outcome, Outcome::Held(_)), "{outcome:?}");
        STEPS
    })
}

/// Hands them to the subject and to nobody else.
pub(super) fn called() -> Box<dyn FnMut() -> u64> {
    let scenario = scenario();
    let mut read = Vec::new();
    Box::new(move || {
        for (number, step) in (1..).zip(&scenario.steps) {
            read.clear();
            let reply = Idle.apply(StepNumber(number), &step.action, &mut read);
            black_box((reply, &read));
        }
        STEPS
    })
}
