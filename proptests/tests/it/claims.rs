//! Subjects with some capabilities and not others: those that are what they say hold, the others do
//! not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use blkproof::device::Store;
use blkproof::spec::step::{BitmapCommand, BitmapStep, TransactionAction};
use blkproof::spec::{
    Action, At, ByteRange, Capabilities, JobEvent, Length, Refusal, Reply, Setup, Status,
    StepNumber,
};
use blkproof::{Check, Subject, SubjectError};
use blkproof_engine::Engine;

/// The built-in engine with some of its capabilities.
#[derive(Debug)]
struct Partial {
    engine: Engine,
    /// What it says.
    says: Capabilities,
    /// What it can do.
    can: Capabilities,
}

impl Subject for Partial {
    fn capabilities(&self) -> Capabilities {
        self.says
    }

    fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.engine.prepare(store, setup)
    }

    fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.engine.open(store, setup)
    }

    fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        let is_rule = matches!(action, Action::Install(_));
        if !is_rule && self.can.lacking(action).is_some() {
            return Reply::Refused(Refusal::Unsupported);
        }
        let mut action = action.clone();
        if let Some(own) = self.can.granularity {
            set_granularity(&mut action, own);
        }
        self.engine.apply(number, &action, read)
    }

    fn peek(&mut self, at: &At, range: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError> {
        self.engine.peek(at, range, buf)
    }

    fn status(&mut self, status: &mut Status) {
        if self.can.bitmap_status {
            self.engine.status(status);
        }
    }

    fn drain_events(&mut self, events: &mut Vec<JobEvent>) {
        let before = events.len();
        self.engine.drain_events(events);
        if !self.can.events {
            events.truncate(before);
        }
    }

    fn close(&mut self) -> Result<(), SubjectError> {
        self.engine.close()
    }
}

/// Gives the bitmaps that a step adds the one granularity there is.
fn set_granularity(action: &mut Action, own: Length) {
    let set = |step: &mut BitmapStep| {
        if let BitmapCommand::Add { granularity, .. } = &mut step.command {
            *granularity = Some(own);
        }
    };
    match action {
        Action::Bitmap(step) => set(step),
        Action::Transaction { actions, .. } => {
            for action in actions {
                if let TransactionAction::Bitmap(step) = action {
                    set(step);
                }
            }
        }
        _ => {}
    }
}

/// Switches a capability off.
type Off = fn(&mut Capabilities);

/// The capabilities that a step shows, with what switches each off.
const SHOWN: [(&str, Off); 16] = [
    ("transactions", |can| can.transactions = false),
    ("in_flight", |can| can.in_flight = false),
    ("stepwise", |can| can.stepwise = false),
    ("resize", |can| can.resize = false),
    ("rebase", |can| can.rebase = false),
    ("background_jobs", |can| can.background_jobs = false),
    ("job_options", |can| can.job_options = false),
    ("top", |can| can.top = false),
    ("copy_before_write", |can| can.copy_before_write = false),
    ("bitmap_modes", |can| can.bitmap_modes = false),
    ("node_targets", |can| can.node_targets = false),
    ("compressed", |can| can.compressed = false),
    ("merge", |can| can.merge = false),
    ("disabled_bitmaps", |can| can.disabled_bitmaps = false),
    ("persistent", |can| can.persistent = false),
    ("granularity", |can| {
        can.granularity = Some(Length(32 << 10))
    }),
];

/// Those that only relax what is judged, or that the harness sees to.
const OTHERS: [(&str, Off); 6] = [
    ("bitmap_status", |can| can.bitmap_status = false),
    ("dirty_ranges", |can| can.dirty_ranges = false),
    ("events", |can| can.events = false),
    ("faults_above_format", |can| can.faults_above_format = false),
    ("restart", |can| can.restart = false),
    ("power", |can| can.power = false),
];

fn without(off: Off) -> Capabilities {
    let mut can = Capabilities::FULL;
    off(&mut can);
    can
}

fn check(says: Capabilities, can: Capabilities, cases: u64) -> Result<u64, String> {
    let make = move || Partial {
        engine: Engine::new(),
        says,
        can,
    };
    let check = Check::new().cases(cases).keep_nothing();
    match catch_unwind(AssertUnwindSafe(|| check.run(make))) {
        Ok(judged) => Ok(judged.backups),
        Err(panic) => Err(panic.downcast_ref::<String>().expect("a report").clone()),
    }
}

#[test]
fn a_subject_that_is_what_it_says_holds_whatever_it_lacks() {
    for (name, off) in SHOWN.into_iter().chain(OTHERS) {
        let can = without(off);
        match check(can, can, 100) {
            Ok(backups) => assert!(backups > 50, "{name}: {backups}"),
            Err(report) => panic!("{name}: {report}"),
        }
    }
}

#[test]
fn a_subject_with_full_and_incremental_backups_and_one_granularity_holds() {
    let mut can = Capabilities::MINIMAL;
    can.declines = false;
    for status in [false, true] {
        can.bitmap_status = status;
        can.dirty_ranges = status;
        can.granularity = Some(Length(16 << 10));
        match check(can, can, 500) {
            Ok(backups) => assert!(backups > 300, "{backups}"),
            Err(report) => panic!("{report}"),
        }
    }
}

#[test]
fn one_that_has_another_granularity_than_it_says_is_told_so() {
    let mut can = Capabilities::FULL;
    can.granularity = Some(Length(16 << 10));
    let mut says = can;
    says.granularity = Some(Length(32 << 10));
    let report = check(says, can, 100).expect_err("bitmaps of another granularity");
    let said = "granularity: expected 32768 bytes, saw 16384 bytes";
    assert!(report.contains(said), "{report}");
}

#[test]
fn a_subject_that_refuses_what_it_claims_is_told_so() {
    for (name, off) in SHOWN {
        let report = check(Capabilities::FULL, without(off), 0).expect_err(name);
        let said = format!("expected another answer, since it claims `{name}`");
        assert!(report.contains(&said), "{name}: {report}");
        let place = format!("claims-{name}:");
        assert!(report.starts_with(&place), "{name}: {report}");
        assert!(report.contains("claims-true at "), "{name}: {report}");
    }
}

#[test]
fn a_subject_that_does_what_it_says_it_cannot_is_told_so() {
    for (name, off) in SHOWN {
        let report = check(without(off), Capabilities::FULL, 0).expect_err(name);
        let said = format!("refused(unsupported), since it does not claim `{name}`");
        assert!(report.contains(&said), "{name}: {report}");
        assert!(report.contains("claims-true at "), "{name}: {report}");
    }
}
