//! The other steps: less work, less time, fewer statements.

use blkproof_spec::power::{Lost, Moment};
use blkproof_spec::step::{Action, BitmapPattern, Check, EventPattern, JobPattern, JobVerb};
use blkproof_spec::{Millis, Step, Units};

use super::Grade;
use crate::shrink::edit::{Change, as_device};

type Simpler = fn(&mut Step);

const SIMPLEST: &[Simpler] = &[
    by_device,
    one_unit,
    one_millisecond,
    unlimited,
    at_once,
    loses_all,
    loses_none,
    untorn,
];
const FINER: &[Simpler] = &[
    half_the_units,
    half_the_time,
    of_count,
    of_flags,
    of_job,
    of_event,
    sooner,
    half_as_far,
];

pub(super) fn changes(grade: Grade) -> Vec<Change> {
    let table = match grade {
        Grade::Simplest => SIMPLEST,
        Grade::Finer => FINER,
    };
    table.iter().copied().map(Change::Step).collect()
}

fn by_device(step: &mut Step) {
    if let Action::Resize { at, .. } = &mut step.action {
        as_device(at);
    }
}

fn one_unit(step: &mut Step) {
    if let Action::Advance { units, .. } = &mut step.action {
        *units = (*units).min(Units(1));
    }
}

fn half_the_units(step: &mut Step) {
    if let Action::Advance { units, .. } = &mut step.action {
        units.0 = units.0.min((units.0 / 2).max(1));
    }
}

fn one_millisecond(step: &mut Step) {
    if let Action::Tick(time) = &mut step.action {
        *time = (*time).min(Millis(1));
    }
}

fn half_the_time(step: &mut Step) {
    if let Action::Tick(time) = &mut step.action {
        time.0 = time.0.min((time.0 / 2).max(1));
    }
}

fn unlimited(step: &mut Step) {
    if let Action::Job {
        verb: JobVerb::SetSpeed(speed),
        ..
    } = &mut step.action
    {
        *speed = 0;
    }
}

/// A check of a bitmap that says only what it counts.
fn of_count(step: &mut Step) {
    if let Action::Check(Check::Bitmap { report, .. }) = &mut step.action {
        *report = BitmapPattern {
            count: report.count,
            ..BitmapPattern::default()
        };
    }
}

/// A check of a bitmap that says nothing of what it counts.
fn of_flags(step: &mut Step) {
    if let Action::Check(Check::Bitmap { report, .. }) = &mut step.action {
        report.count = None;
    }
}

/// A check of a job that says only its state.
fn of_job(step: &mut Step) {
    if let Action::Check(Check::Job { report, .. }) = &mut step.action {
        *report = JobPattern {
            state: report.state,
            ..JobPattern::default()
        };
    }
}

/// A check of an event that says only which one it is.
fn of_event(step: &mut Step) {
    let Action::Check(Check::Event { event, .. }) = &mut step.action else {
        return;
    };
    match event {
        EventPattern::Completed { len, offset, .. } | EventPattern::Cancelled { len, offset } => {
            (*len, *offset) = (None, None);
        }
        EventPattern::Error { .. } | EventPattern::Pending => {}
    }
}

/// A kill or a cut of the power that strikes now.
fn at_once(step: &mut Step) {
    if let Some(at) = moment(step) {
        *at = None;
    }
}

/// A kill or a cut of the power that strikes one operation earlier.
fn sooner(step: &mut Step) {
    if let Some(Some(at)) = moment(step) {
        *at = Moment(at.0.saturating_sub(1).max(1));
    }
}

fn moment(step: &mut Step) -> Option<&mut Option<Moment>> {
    match &mut step.action {
        Action::Kill { at } => Some(at),
        Action::PowerCut(cut) => Some(&mut cut.at),
        _ => None,
    }
}

fn loses_all(step: &mut Step) {
    if let Action::PowerCut(cut) = &mut step.action {
        cut.lost = Lost::All;
        cut.torn = None;
    }
}

fn loses_none(step: &mut Step) {
    if let Action::PowerCut(cut) = &mut step.action
        && cut.lost != Lost::All
    {
        cut.lost = Lost::None;
        cut.torn = None;
    }
}

fn untorn(step: &mut Step) {
    if let Action::PowerCut(cut) = &mut step.action {
        cut.torn = None;
    }
}

/// A cut of the power that loses an operation issued earlier.
fn half_as_far(step: &mut Step) {
    if let Action::PowerCut(cut) = &mut step.action
        && let Lost::From(operation) | Lost::Only(operation) = &mut cut.lost
    {
        *operation = (*operation).min((*operation / 2).max(1));
    }
}
