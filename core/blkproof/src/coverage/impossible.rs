//! Why cells of the table cannot be reached: the one place for such reasons.
//!
//! The rules speak of the built-in engine and of any other that does what the model demands; the
//! first one that fits gives the reason. A campaign that reaches such a cell says so and fails.

use super::StepKind as Step;
use super::fold::{is_backup, is_bitmap, is_control, is_verb};
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

const RULES: &[Rule] = &[
    (
        |cell| cell.answer == Answer::Cut && (is_loss(cell.step) || changes_nothing(cell.step)),
        "a step of this kind does nothing in whose midst the power could be cut",
    ),
    (
        |cell| is_loss(cell.step) && cell.answer != Answer::Done,
        "a loss of power asks nobody",
    ),
    (
        |cell| is_loss(cell.step) && is_error(cell.fault),
        "a disk that an error keeps from being opened after a loss of power ends what can be judged",
    ),
    (
        |cell| is_verb(cell.step) && is_unfinished(cell.answer),
        "a command to a job is done or refused",
    ),
    (
        |cell| is_bitmap(cell.step) && is_unfinished(cell.answer) && !stores(cell),
        "only the removal of a stored bitmap asks anything of an image, and may fail",
    ),
    (
        |cell| is_control(cell.step) && is_unfinished(cell.answer),
        "nothing fails in a step of this kind: what it lets go tells its own end",
    ),
    (
        |cell| is_verb(cell.step) && cell.answer == Answer::Done && !accepts(cell),
        "a job accepts each command in some of its states only",
    ),
    (
        |cell| {
            let plain = cell.fault == Fault::None && cell.answer == Answer::Refused;
            plain && is_always_accepted(cell)
        },
        "in this state a job refuses this command only where something has to wait",
    ),
    (
        |cell| {
            let waits = cell.fault == Fault::Wait && cell.answer == Answer::Refused;
            waits && is_verb(cell.step) && !drains(cell.step)
        },
        "nothing has to be over before a command of this kind",
    ),
    (
        |cell| {
            let is_there = cell.status != Status::NoJob;
            let refused = cell.answer == Answer::Refused;
            is_work(cell.step) && cell.answer != Answer::Cut && is_there == refused
        },
        "work is refused where there is no such job, and only there",
    ),
    (
        |cell| cell.step == Step::Advance && is_unfinished(cell.answer),
        "how a job's work went, the job's end tells",
    ),
    (
        |cell| {
            let idle = matches!(cell.status, Status::Paused | Status::Pending);
            let ends = matches!(cell.answer, Answer::Done | Answer::Failed);
            cell.step == Step::Finish && idle && ends
        },
        "a job that is paused or waits for a command does not come to its end by itself",
    ),
    (
        |cell| {
            let over = cell.status == Status::Concluded && cell.answer == Answer::Pending;
            cell.step == Step::Finish && over
        },
        "a job that is over has an end",
    ),
    (
        |cell| is_verb(cell.step) && cell.fault == Fault::Wait && cell.status == Status::NoJob,
        "a job that is over, or is not there, has nothing that could wait",
    ),
    (
        |cell| cell.step == Step::Remove && cell.fault == Fault::Wait,
        "to delete an image, nothing has to be over",
    ),
    (
        |cell| {
            let refused = cell.answer == Answer::Refused && cell.fault != Fault::Wait;
            cell.step == Step::Restart && (refused || cell.answer == Answer::Failed)
        },
        "disks that cannot be closed, or opened again, end what can be judged",
    ),
    (
        |cell| {
            let failed = cell.answer == Answer::Failed && !is_error(cell.fault);
            is_transaction(cell.step) && failed
        },
        "a transaction fails by a fault only",
    ),
    (
        |cell| cell.answer == Answer::Pending && !may_be_left(cell.step),
        "a step of this kind is over when it is answered",
    ),
    (
        |cell| cell.answer == Answer::Refused && is_never_refused(cell.step),
        "a step of this kind is always possible",
    ),
    (
        |cell| {
            let refused = cell.answer == Answer::Refused && cell.fault != Fault::None;
            refused && (is_guest(cell.step) || is_in_flight(cell.step))
        },
        "a request is refused before it is tried",
    ),
    (
        |cell| {
            let reads = matches!(cell.step, Step::Read | Step::Flush);
            reads && cell.answer == Answer::Refused && cell.status != Status::NoJob
        },
        "no job keeps a guest from reading or flushing",
    ),
    (
        |cell| cell.step == Step::Flush && cell.fault == Fault::Target,
        "a flush of a disk asks nothing of other images",
    ),
    (
        |cell| {
            let alone = cell.status == Status::NoJob && cell.fault == Fault::Target;
            let whole = matches!(cell.step, Step::WriteCompressed | Step::Discard);
            whole && alone
        },
        "whole clusters are replaced or given up, and nothing below the disk is read",
    ),
    (
        |cell| cell.step == Step::None && cell.answer == Answer::Failed,
        "a backup of what the guest overwrites has no end of its own",
    ),
    (
        |cell| cell.step == Step::Grouped && cell.answer == Answer::Failed,
        "jobs are created or refused, and nothing else is allowed in a group",
    ),
    (
        |cell| {
            let on_its_way = matches!(cell.step, Step::Start | Step::AdvanceRequest);
            on_its_way && is_unfinished(cell.answer)
        },
        "how a request went, it tells when it is settled",
    ),
    (
        |cell| {
            let held = matches!(
                cell.status,
                Status::Running | Status::Paused | Status::Pending
            );
            let refused = cell.answer == Answer::Refused && cell.fault == Fault::None;
            cell.step == Step::Resize && held && !refused
        },
        "a disk that is backed up keeps its size",
    ),
    (
        |cell| {
            let image = matches!(cell.step, Step::Create | Step::Rebase | Step::Remove);
            image && is_error(cell.fault) && cell.answer == Answer::Done
        },
        "what strikes a change of images makes it fail",
    ),
    (
        |cell| cell.step == Step::Remove && is_error(cell.fault),
        "to delete an image asks nothing of it",
    ),
    (
        |cell| {
            let refused = cell.answer == Answer::Refused && is_error(cell.fault);
            refused && cell.step == Step::Resize
        },
        "a fault makes a resize fail, not be refused",
    ),
];

fn is_error(fault: Fault) -> bool {
    matches!(fault, Fault::Source | Fault::Target)
}

fn is_unfinished(answer: Answer) -> bool {
    matches!(answer, Answer::Failed | Answer::Pending)
}

fn is_work(step: Step) -> bool {
    matches!(step, Step::Advance | Step::Finish)
}

fn is_guest(step: Step) -> bool {
    (Step::Write..=Step::Flush).contains(&step)
}

fn is_in_flight(step: Step) -> bool {
    matches!(step, Step::AdvanceRequest | Step::Settle)
}

fn is_transaction(step: Step) -> bool {
    matches!(step, Step::Individual | Step::Grouped)
}

/// Tells whether a step of this kind is a kill or a cut of the power.
fn is_loss(step: Step) -> bool {
    matches!(step, Step::Kill | Step::PowerCut)
}

/// Tells whether nothing is written or flushed in a step of this kind.
fn changes_nothing(step: Step) -> bool {
    matches!(
        step,
        Step::Read
            | Step::Start
            | Step::Remove
            | Step::Install
            | Step::Resume
            | Step::Complete
            | Step::Dismiss
            | Step::SetSpeed
    )
}

/// Tells whether a fault made a bitmap command fail that changes what an image stores.
fn stores(cell: Cell) -> bool {
    let failed = cell.answer == Answer::Failed && is_error(cell.fault);
    cell.step == Step::BitmapRemove && failed
}

/// Tells whether a job in this state accepts this command.
fn accepts(cell: Cell) -> bool {
    match cell.step {
        Step::Pause => matches!(cell.status, Status::Running),
        Step::Resume => matches!(cell.status, Status::Running | Status::Paused),
        Step::Cancel => matches!(cell.status, Status::Running | Status::Pending),
        Step::CancelForce => matches!(
            cell.status,
            Status::Running | Status::Paused | Status::Pending
        ),
        Step::Finalize => cell.status == Status::Pending,
        Step::Dismiss => cell.status == Status::Concluded,
        Step::SetSpeed => matches!(cell.status, Status::Running | Status::Paused),
        _ => false,
    }
}

/// Tells whether a job in this state does what this command says, unless something has to wait.
fn is_always_accepted(cell: Cell) -> bool {
    matches!(
        (cell.step, cell.status),
        (Step::Cancel | Step::CancelForce, Status::Pending)
            | (Step::CancelForce, Status::Running | Status::Paused)
            | (Step::Resume, Status::Paused)
            | (Step::Dismiss, Status::Concluded)
    )
}

/// Tells whether a command to a job lets what is in flight end first.
fn drains(step: Step) -> bool {
    matches!(step, Step::Cancel | Step::CancelForce | Step::Finalize)
}

/// Tells whether a step of this kind may end before what it started.
fn may_be_left(step: Step) -> bool {
    is_guest(step) || is_backup(step) || is_in_flight(step) || is_work(step)
}

fn is_never_refused(step: Step) -> bool {
    matches!(step, Step::Tick | Step::Install | Step::LiftAll)
}
