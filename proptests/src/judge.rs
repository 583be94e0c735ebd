//! The built-in engine before its judge, one on each thread: pages and buffers survive from one
//! input to the next.

use std::cell::RefCell;

use blkproof::spec::step::{Action, GuestOp};
use blkproof::spec::{ByteRange, Scenario};
use blkproof::text::Document;
use blkproof::{Failure, Options, Outcome, Report, Runner};
use blkproof_engine::{Bugs, Engine, ImageInspector};

/// What the guest's requests and the contents of disks may come to.
const BYTES_MAX: u64 = 32 << 20;

/// How many steps may be asked for.
const STEPS_MAX: usize = 256;

std::thread_local! {
    static RUNNER: RefCell<Runner> = RefCell::new(Runner::new(Options::default()));
    static ENGINE: RefCell<Engine> = RefCell::new(Engine::new());
}

/// Judges a scenario on the engine as it should be. Returns false where it is too much to run.
///
/// # Panics
///
/// Where something does not hold; the message is the report, and the scenario as a file.
pub(crate) fn prove(scenario: &Scenario) -> bool {
    ENGINE.with_borrow_mut(|engine| judge(scenario, engine))
}

/// Does the same with an engine that has these bugs.
pub(crate) fn prove_with(bugs: Bugs, scenario: &Scenario) -> bool {
    judge(scenario, &mut Engine::with_bugs(bugs))
}

fn judge(scenario: &Scenario, engine: &mut Engine) -> bool {
    if !is_cheap(scenario) {
        return false;
    }
    let mut inspector = ImageInspector::new();
    let outcome =
        RUNNER.with_borrow_mut(|runner| runner.run(scenario, engine, Some(&mut inspector)));
    if let Outcome::Failed(failure) = outcome {
        panic!("{}", told(scenario, &failure));
    }
    true
}

/// Tells whether a run moves no more bytes than it may. Time is left to the fuzzer's own limit: a
/// scenario of few bytes that takes long is a find.
fn is_cheap(scenario: &Scenario) -> bool {
    let disks = scenario.setup.disks.iter();
    let contents = disks.flat_map(|disk| &disk.contents);
    let requests = scenario.steps.iter().map(|step| match &step.action {
        Action::Guest { op, .. } | Action::Start { op, .. } => moved(op),
        _ => 0,
    });
    let bytes = contents
        .map(|(range, _)| range.len)
        .chain(requests)
        .fold(0, u64::saturating_add);
    scenario.steps.len() <= STEPS_MAX && bytes <= BYTES_MAX
}

/// Returns how many bytes a request hands over.
fn moved(op: &GuestOp) -> u64 {
    let ByteRange { len, .. } = op.range();
    match op {
        GuestOp::Write { .. } | GuestOp::Read { .. } => len,
        GuestOp::WriteZeroes { .. } | GuestOp::Discard { .. } | GuestOp::Flush => 0,
    }
}

fn told(scenario: &Scenario, failure: &Failure) -> String {
    let document = Document::of(scenario.clone());
    let replay = "blkproof corpus import makes a scenario file of the input";
    let report = Report::new(failure, &document, "the input", replay);
    format!("{}\n{}", report.render(), document.print())
}
