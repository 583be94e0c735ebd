//! Engines that panic, loop or hang, wherever they can: a report with a scenario comes of it.

use core::time::Duration;
use std::time::Instant;

use blkproof::device::Store;
use blkproof::spec::{
    Action, At, ByteRange, Capabilities, JobEvent, Reply, Setup, Status, StepNumber,
};
use blkproof::{Check, Subject, SubjectError};

use super::{report, report_of, scenario_of};
use crate::engines::{Lie, copiers};

/// A method of the seam.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Method {
    Make,
    Capabilities,
    Prepare,
    Open,
    Apply,
    Peek,
    Status,
    DrainEvents,
    Close,
    Drop,
}

/// What happens there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Harm {
    Panic,
    Hang,
}

/// A subject that does harm in one of its methods.
#[derive(Debug)]
struct Hostile<S> {
    inner: S,
    method: Method,
    harm: Harm,
}

impl<S> Hostile<S> {
    fn at(&self, method: Method) {
        strike(method == self.method, self.harm);
    }
}

fn strike(strikes: bool, harm: Harm) {
    if strikes {
        match harm {
            Harm::Panic => panic!("a hostile one"),
            Harm::Hang => loop {
                std::thread::park();
            },
        }
    }
}

fn hostile(method: Method, harm: Harm) -> impl FnMut() -> Hostile<Box<dyn Subject>> + Send {
    move || {
        strike(method == Method::Make, harm);
        Hostile {
            inner: Box::new(copiers(Lie::Nothing)),
            method,
            harm,
        }
    }
}

impl<S: Subject> Subject for Hostile<S> {
    fn capabilities(&self) -> Capabilities {
        self.at(Method::Capabilities);
        let mut can = self.inner.capabilities();
        // So that it is asked for its status.
        can.bitmap_status = self.method == Method::Status;
        can
    }

    fn prepare(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.at(Method::Prepare);
        self.inner.prepare(store, setup)
    }

    fn open(&mut self, store: Box<dyn Store>, setup: &Setup) -> Result<(), SubjectError> {
        self.at(Method::Open);
        self.inner.open(store, setup)
    }

    fn apply(&mut self, number: StepNumber, action: &Action, read: &mut Vec<u8>) -> Reply {
        if matches!(action, Action::Backup { .. }) {
            self.at(Method::Apply);
        }
        self.inner.apply(number, action, read)
    }

    fn peek(&mut self, at: &At, range: ByteRange, buf: &mut [u8]) -> Result<(), SubjectError> {
        self.at(Method::Peek);
        self.inner.peek(at, range, buf)
    }

    fn status(&mut self, status: &mut Status) {
        self.at(Method::Status);
        self.inner.status(status);
    }

    fn drain_events(&mut self, events: &mut Vec<JobEvent>) {
        self.at(Method::DrainEvents);
        self.inner.drain_events(events);
    }

    fn close(&mut self) -> Result<(), SubjectError> {
        self.at(Method::Close);
        self.inner.close()
    }
}

impl<S> Drop for Hostile<S> {
    fn drop(&mut self) {
        self.at(Method::Drop);
    }
}

/// The methods, each with the kind of step at which harm in it shows.
const METHODS: [(Method, &str); 10] = [
    (Method::Make, "no-crash at preparing"),
    (Method::Capabilities, "no-crash at preparing"),
    (Method::Prepare, "no-crash at preparing"),
    (Method::Open, "no-crash at opening"),
    (Method::Apply, "no-crash at backup"),
    (Method::Peek, "no-crash at "),
    (Method::Status, "no-crash at "),
    (Method::DrainEvents, "no-crash at "),
    (Method::Close, "no-crash at end"),
    (Method::Drop, "no-crash at end"),
];

#[test]
fn a_panic_in_any_method_is_a_failure_with_a_small_scenario() {
    let check = Check::new().cases(20).keep_nothing();
    for (method, identity) in METHODS {
        let report = report_of(&check, hostile(method, Harm::Panic));
        assert!(report.contains(identity), "{method:?}: {report}");
        assert!(
            report.contains("a hostile one (core/blkproof/tests/it"),
            "{report}"
        );
        let steps = scenario_of(&report).steps.len();
        assert!(steps <= 3, "{method:?}: {report}");
    }
}

#[test]
fn a_hang_in_any_method_is_a_failure_with_the_scenario_up_to_there() {
    let limit = Duration::from_millis(150);
    let check = Check::new().cases(20).keep_nothing().timeout(limit);
    for (method, identity) in METHODS {
        let start = Instant::now();
        let report = report_of(&check, hostile(method, Harm::Hang));
        assert!(start.elapsed() >= limit);
        assert!(report.contains(identity), "{method:?}: {report}");
        assert!(report.contains("no end within 0.15 s, in `"), "{report}");
        let scenario = scenario_of(&report);
        if method == Method::Apply {
            assert!(report.contains(", in `apply`"), "{report}");
            let last = scenario.steps.last().expect("a step");
            assert!(matches!(last.action, Action::Backup { .. }), "{report}");
        }
    }
}

#[test]
fn a_slow_campaign_of_quick_scenarios_is_no_hang() {
    let limit = Duration::from_millis(400);
    let make = || {
        std::thread::sleep(Duration::from_millis(30));
        copiers(Lie::Nothing)
    };
    let start = Instant::now();
    let judged = Check::new()
        .cases(30)
        .keep_nothing()
        .timeout(limit)
        .run(make);
    assert!(start.elapsed() > limit);
    assert_eq!(judged.cases, 30);
}

#[test]
fn requests_without_end_come_to_an_end_that_is_the_same_each_time() {
    for lie in [Lie::ReadsForEver, Lie::WritesForEver] {
        let first = report(lie);
        assert!(first.contains("no-crash at backup"), "{first}");
        assert!(
            first.contains(" requests to the devices (or KiB"),
            "{first}"
        );
        assert!(scenario_of(&first).steps.len() <= 4, "{first}");
        assert_eq!(report(lie), first);
    }
}
