//! Which cells the table tells apart: what makes no difference to a step is left out.

use super::StepKind as Step;
use super::{Answer, Cell, Fault, Status};

/// What the table tells of the job that a step concerns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// Nothing: the step has to do with no job.
    No,
    /// Whether there is one that is not over.
    Active,
    /// Its state, but one that is over holds nothing any more.
    Held,
    /// Its state.
    Full,
}

impl Cell {
    /// Returns the cell under which the table counts this one.
    #[must_use]
    pub fn folded(self) -> Self {
        let mut cell = self;
        cell.fault = folded_fault(cell);
        cell.status = match detail(cell) {
            Detail::No => Status::NoJob,
            Detail::Active if is_active(cell.status) => Status::Running,
            Detail::Active => Status::NoJob,
            Detail::Held if cell.status == Status::Concluded => Status::NoJob,
            Detail::Held | Detail::Full => cell.status,
        };
        cell
    }
}

fn is_active(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Pending)
}

/// How far a job is matters where no fault is in play; else only whether there is one.
fn detail(cell: Cell) -> Detail {
    let is_plain = cell.fault == Fault::None;
    let is_struck = matches!(cell.fault, Fault::Source | Fault::Target);
    match cell.step {
        // Where the power goes in the midst of a step, jobs are gone with it; but whether one copied
        // before what was being written matters to what is left.
        step if cell.answer == Answer::Cut && is_request(step) => Detail::Active,
        Step::AdvanceRequest | Step::Restart if cell.answer == Answer::Cut => Detail::Active,
        _ if cell.answer == Answer::Cut => Detail::No,
        Step::Advance | Step::Finish if is_plain => Detail::Full,
        step if is_verb(step) && is_plain => Detail::Full,
        step if (Step::Write..=Step::Start).contains(&step) && is_plain => Detail::Held,
        Step::Individual | Step::Grouped if is_struck => Detail::No,
        step if (Step::Resize..=Step::BitmapMerge).contains(&step) && is_plain => Detail::Held,
        step if is_backup(step) && is_plain && cell.answer != Answer::Pending => Detail::Active,
        step if is_backup(step) => Detail::No,
        Step::Create | Step::Rebase | Step::Remove => Detail::No,
        step if is_control(step) => Detail::No,
        _ => Detail::Active,
    }
}

fn folded_fault(cell: Cell) -> Fault {
    match (cell.answer, cell.fault) {
        (Answer::Cut, _) => return Fault::None,
        // A request that is still under way waits, whatever else happened to it.
        (Answer::Pending, _) if is_request(cell.step) => return Fault::Wait,
        // An error that was held is told by a later step.
        (Answer::Failed, Fault::None | Fault::Wait) if fails_by_fault(cell.step) => {
            return Fault::Source;
        }
        (Answer::Failed, Fault::Wait) => return Fault::None,
        // The target is opened, whatever of it fails.
        (Answer::Refused, Fault::Source) if is_backup(cell.step) => return Fault::Target,
        // Others wait beside it.
        (Answer::Done, Fault::Wait) if !asks(cell.step) => return Fault::None,
        _ => {}
    }
    match cell.step {
        // They only submit, or let go what tells its own end.
        Step::Start => Fault::None,
        step if is_control(step) => Fault::None,
        // A job that is over, or is not there, does no work.
        Step::Advance | Step::Finish if !is_active(cell.status) => Fault::None,
        // What fails is a request that is carried out first, or a job, and either tells of it.
        step if (is_verb(step) || is_bitmap(step)) && cell.answer != Answer::Failed => {
            match cell.fault {
                Fault::Source | Fault::Target => Fault::None,
                fault => fault,
            }
        }
        step if asks(step) => cell.fault,
        _ => match cell.fault {
            Fault::Target => Fault::Source,
            fault => fault,
        },
    }
}

/// Tells whether a command of this kind, where it is not refused, fails only by a fault.
fn fails_by_fault(step: Step) -> bool {
    let is_image = matches!(step, Step::Create | Step::Rebase | Step::Remove);
    is_backup(step) || is_image || matches!(step, Step::Resize | Step::Flush)
}

/// Tells whether a step of this kind asks something of a disk and of other images. It may be done
/// although some of that took time.
fn asks(step: Step) -> bool {
    let is_work = matches!(step, Step::Advance | Step::Finish | Step::AdvanceRequest);
    is_request(step) || is_work || is_backup(step)
}

/// Tells whether a step carries out a request of the guest to its end.
fn is_request(step: Step) -> bool {
    (Step::Write..=Step::Flush).contains(&step) || step == Step::Settle
}

pub(super) fn is_backup(step: Step) -> bool {
    (Step::Full..=Step::Bitmap).contains(&step)
}

pub(super) fn is_verb(step: Step) -> bool {
    (Step::Pause..=Step::SetSpeed).contains(&step)
}

pub(super) fn is_bitmap(step: Step) -> bool {
    (Step::BitmapAdd..=Step::BitmapMerge).contains(&step)
}

/// Tells whether a step of this kind is about rules, time or waiting requests.
pub(super) fn is_control(step: Step) -> bool {
    (Step::Tick..=Step::ResumeTag).contains(&step)
}
