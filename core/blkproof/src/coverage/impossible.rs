//! Why cells of the table cannot be reached: the one place for such reasons.
//!
//! The rules speak of the built-in engine and of any other that does what the model demands; the
//! first one that fits gives the reason.

use super::StepKind as Step;
use super::{Answer, Cell, Fault, Status};

/// Returns why a cell cannot be reached, if it cannot.
#[must_use]
pub fn impossible(cell: Cell) -> Option<&'static str> {
    let rules = RULES.iter();
    let mut reasons = rules
        .filter(|(applies, _)| applies(cell))
        .map(|(_, why)| *why);
    reasons.next()
}

type Rule = (fn(Cell) -> bool, &'static str);

const RULES: [Rule; 18] = [
    (
        |cell| cell.fault == Fault::Silent,
        "a run is of no account from the first fault on that reports nothing",
    ),
    (
        |cell| cell.answer == Answer::Cut && cell.fault != Fault::None,
        "what faults did in a step that was cut is not counted",
    ),
    (
        |cell| cell.answer == Answer::Cut && (is_loss(cell.step) || changes_nothing(cell.step)),
        "a step of this kind does nothing in whose midst the power could be cut",
    ),
    (
        |cell| is_loss(cell.step) && cell.answer != Answer::Done,
        "a loss of power asks nobody",
    ),
    (
        |cell| cell.status == Status::Created,
        "a job runs as soon as the step that starts it is over",
    ),
    (
        |cell| is_verb(cell.step) && cell.answer == Answer::Done && !accepts(cell),
        "a job accepts each command in some of its states only",
    ),
    (
        |cell| is_verb(cell.step) && matches!(cell.answer, Answer::Failed | Answer::Pending),
        "a command to a job is done or refused",
    ),
    (
        |cell| is_bitmap(cell.step) && cell.answer == Answer::Pending,
        "a bitmap command is over when it is answered",
    ),
    (
        |cell| is_bitmap(cell.step) && !stores(cell.step) && cell.answer == Answer::Failed,
        "only the removal of a stored bitmap asks anything of an image",
    ),
    (
        |cell| is_work(cell.step) && cell.status == Status::NoJob && cell.answer != Answer::Refused,
        "work on a job that is not there is refused",
    ),
    (
        |cell| cell.answer == Answer::Pending && !may_be_left(cell.step),
        "a step of this kind is over when it is answered",
    ),
    (
        |cell| cell.answer == Answer::Failed && is_control(cell.step),
        "nothing fails in a step of this kind: what it lets go tells its own end",
    ),
    (
        |cell| cell.answer == Answer::Refused && is_never_refused(cell.step),
        "a step of this kind is always possible",
    ),
    (
        |cell| is_error(cell.fault) && is_idle(cell.step),
        "a step of this kind asks nothing of any image",
    ),
    (
        |cell| {
            let failed = cell.answer == Answer::Failed;
            failed && !is_error(cell.fault) && fails_by_fault(cell.step)
        },
        "a step of this kind fails by a fault only",
    ),
    (
        |cell| cell.step == Step::Advance && cell.answer == Answer::Failed,
        "how a job's work went, the job's end tells",
    ),
    (
        |cell| is_error(cell.fault) && cell.answer == Answer::Refused && is_guest(cell.step),
        "a guest's request is refused before it is tried",
    ),
    (
        |cell| {
            let over = matches!(cell.status, Status::Concluded);
            over && cell.step == Step::Advance && is_error(cell.fault)
        },
        "a job that is over does no work",
    ),
];

/// Tells whether a step of this kind is a kill or a cut of the power.
fn is_loss(step: Step) -> bool {
    matches!(step, Step::Kill | Step::PowerCut)
}

/// Tells whether nothing is written or flushed in a step of this kind.
fn changes_nothing(step: Step) -> bool {
    matches!(step, Step::Read | Step::Install)
}

fn is_error(fault: Fault) -> bool {
    matches!(fault, Fault::Source | Fault::Target)
}

fn is_verb(step: Step) -> bool {
    (Step::Pause..=Step::SetSpeed).contains(&step)
}

/// Tells whether a bitmap command may have to change what the image stores.
fn stores(step: Step) -> bool {
    step == Step::BitmapRemove
}

fn is_bitmap(step: Step) -> bool {
    (Step::BitmapAdd..=Step::BitmapMerge).contains(&step)
}

fn is_work(step: Step) -> bool {
    matches!(step, Step::Advance | Step::Finish)
}

fn is_guest(step: Step) -> bool {
    (Step::Write..=Step::Flush).contains(&step)
}

/// Tells whether a job in this state accepts this command.
fn accepts(cell: Cell) -> bool {
    match cell.step {
        Step::Pause => matches!(cell.status, Status::Running),
        Step::Resume => matches!(cell.status, Status::Running | Status::Paused),
        Step::Cancel | Step::CancelForce => {
            matches!(
                cell.status,
                Status::Running | Status::Paused | Status::Pending
            )
        }
        Step::Finalize => cell.status == Status::Pending,
        Step::Dismiss => cell.status == Status::Concluded,
        Step::SetSpeed => matches!(cell.status, Status::Running | Status::Paused),
        _ => false,
    }
}

/// Tells whether a step of this kind may end before what it started.
fn may_be_left(step: Step) -> bool {
    let backup = (Step::Full..=Step::Bitmap).contains(&step);
    let request = matches!(step, Step::Start | Step::AdvanceRequest | Step::Settle);
    is_guest(step) || backup || request || is_work(step)
}

/// Tells whether a step of this kind is about rules, time or waiting requests.
fn is_control(step: Step) -> bool {
    (Step::Tick..=Step::Restart).contains(&step)
}

fn is_never_refused(step: Step) -> bool {
    matches!(
        step,
        Step::Tick | Step::Install | Step::LiftAll | Step::Restart
    )
}

fn is_idle(step: Step) -> bool {
    matches!(step, Step::Install | Step::Lift)
}

/// Tells whether a command of this kind, where it is not refused, fails only by a fault.
fn fails_by_fault(step: Step) -> bool {
    matches!(
        step,
        Step::Resize
            | Step::Create
            | Step::Rebase
            | Step::Remove
            | Step::Individual
            | Step::Grouped
            | Step::Flush
    )
}
