//! The steps that have to do with a failure.

use std::collections::BTreeSet;

use blkproof_spec::fault::Firing;
use blkproof_spec::model::About;
use blkproof_spec::step::{Action, Backup, TransactionAction, Work};
use blkproof_spec::{ByteRange, Reply, StepNumber};

use super::Entry;
use crate::outcome::{Failure, Finding, Moment};
use crate::run::reply_text;
use crate::text::{Document, describe};

/// How many steps a timeline has at most: the last ones.
const ENTRIES_MAX: usize = 40;

/// Returns the steps that have to do with the failure, and how many others there were.
pub(super) fn timeline(failure: &Failure, document: &Document) -> (Vec<Entry>, usize) {
    let steps = &document.scenario.steps;
    let done = failure.replies.len().min(steps.len());
    let mut relevant = Relevant::of(failure, document);
    let mut chosen = Vec::new();
    for index in (0..done).rev() {
        let number = StepNumber(u32::try_from(index + 1).unwrap_or(u32::MAX));
        let action = &steps[index].action;
        let fired = failure.firings.iter().any(|(step, _)| *step == number);
        let failed = failure.replies[index] != Reply::Done;
        let last = index + 1 == done;
        if relevant.take(action) || fired || failed || last {
            chosen.push(index);
        }
        if chosen.len() == ENTRIES_MAX {
            break;
        }
    }
    chosen.reverse();
    let left_out = done - chosen.len();
    let entries = chosen
        .into_iter()
        .map(|index| entry(index, failure, document));
    (entries.collect(), left_out)
}

/// How many faults are told of one step.
const FIRINGS_TOLD: usize = 12;

fn entry(index: usize, failure: &Failure, document: &Document) -> Entry {
    let number = StepNumber(u32::try_from(index + 1).unwrap_or(u32::MAX));
    Entry {
        step: number.0,
        line: document.line_of(number),
        what: describe(&document.scenario.steps[index]),
        reply: reply_text(failure.replies[index]),
        faults: firings(failure, number),
    }
}

/// Returns the faults that fired during a step, a line each; of many, the first.
pub(crate) fn firings(failure: &Failure, number: StepNumber) -> Vec<String> {
    let mut firings = failure.firings.iter().filter(|(step, _)| *step == number);
    let told = firings.by_ref().take(FIRINGS_TOLD);
    let mut lines: Vec<String> = told.map(|(_, firing)| firing_text(firing)).collect();
    let rest = firings.count();
    if rest > 0 {
        let plus = if failure.firings.len() < Failure::FIRINGS_MAX {
            ""
        } else {
            " at least"
        };
        lines.push(format!("and{plus} {rest} more"));
    }
    lines
}

fn firing_text(firing: &Firing) -> String {
    let errno = firing
        .errno
        .map_or_else(|| "a fault".to_owned(), |errno| errno.to_string());
    format!(
        "{errno} on {} {} at {} ({})",
        firing.kind, firing.range, firing.place, firing.verdict
    )
}

/// The names and ranges that a failure is about. Names that lead to them are added on the way back.
struct Relevant {
    names: BTreeSet<String>,
    /// Where contents are wrong; empty where that is not what is wrong.
    ranges: Vec<ByteRange>,
}

impl Relevant {
    fn of(failure: &Failure, document: &Document) -> Self {
        let mut names = BTreeSet::new();
        let mut ranges = Vec::new();
        for finding in &failure.findings {
            match finding {
                Finding::Violation(violation) => {
                    add_about(&violation.about, &mut names);
                    ranges.extend(violation.mismatches.iter().map(|mismatch| mismatch.range));
                }
                Finding::Unsound { image, .. } => {
                    names.insert(image.to_string());
                }
                _ => {}
            }
        }
        let action = match &failure.moment {
            Moment::Step(number) => usize::try_from(number.0)
                .ok()
                .and_then(|number| document.scenario.steps.get(number.checked_sub(1)?))
                .map(|step| &step.action),
            Moment::Cleanup(action) => Some(&**action),
            _ => None,
        };
        if let Some(action) = action {
            mentioned(action, &mut |name| {
                names.insert(name.to_owned());
            });
        }
        Self { names, ranges }
    }

    /// Tells whether a step has to do with the failure; what it leads to does so too then.
    fn take(&mut self, action: &Action) -> bool {
        let mut found = false;
        mentioned(action, &mut |name| found |= self.names.contains(name));
        if let (Action::Guest { op, .. } | Action::Start { op, .. }, false) =
            (action, self.ranges.is_empty())
        {
            found &= self.ranges.iter().any(|range| range.overlaps(op.range()));
        }
        if found && leads_on(action) {
            mentioned(action, &mut |name| {
                self.names.insert(name.to_owned());
            });
        }
        found
    }
}

/// Tells whether a step ties names together.
fn leads_on(action: &Action) -> bool {
    matches!(
        action,
        Action::Create(_)
            | Action::Rebase { .. }
            | Action::Backup { .. }
            | Action::Transaction { .. }
    )
}

fn add_about(about: &About, names: &mut BTreeSet<String>) {
    match about {
        About::Disk(name) | About::Image(name) => names.insert(name.to_string()),
        About::Bitmap { disk, name } => {
            names.insert(disk.to_string());
            names.insert(name.to_string())
        }
        About::Job(job) => names.insert(job.to_string()),
        About::Request(request) => names.insert(request.to_string()),
        About::Fault(firing) => names.insert(firing.place.image.to_string()),
        _ => false,
    };
}

/// Calls `each` with every name that a step mentions.
fn mentioned(action: &Action, each: &mut dyn FnMut(&str)) {
    match action {
        Action::Guest { at, .. } | Action::Resize { at, .. } => each(at.name().as_str()),
        Action::Start { request, at, .. } => {
            each(request.as_str());
            each(at.name().as_str());
        }
        Action::Settle { request } => each(request.as_str()),
        Action::Bitmap(step) => {
            each(step.at.name().as_str());
            each(step.name.as_str());
        }
        Action::Create(create) => {
            each(create.image.as_str());
            create
                .backing
                .iter()
                .for_each(|backing| each(backing.as_str()));
        }
        Action::Rebase { image, backing } => {
            each(image.as_str());
            backing.iter().for_each(|backing| each(backing.as_str()));
        }
        Action::Remove { image } => each(image.as_str()),
        Action::Backup { backup, .. } => in_backup(backup, each),
        Action::Job { job, .. } | Action::Finish { job } => each(job.as_str()),
        Action::Advance { work, .. } => match work {
            Work::Job(job) => each(job.as_str()),
            Work::Request(request) => each(request.as_str()),
        },
        Action::Transaction { actions, .. } => {
            for action in actions {
                match action {
                    TransactionAction::Abort => {}
                    TransactionAction::Bitmap(step) => {
                        each(step.at.name().as_str());
                        each(step.name.as_str());
                    }
                    TransactionAction::Backup(backup) => in_backup(backup, each),
                }
            }
        }
        Action::Install(rule) => each(rule.place.image.as_str()),
        Action::Check(check) => in_check(check, each),
        _ => {}
    }
}

fn in_backup(backup: &Backup, each: &mut dyn FnMut(&str)) {
    each(backup.at.name().as_str());
    each(backup.target.as_str());
    backup
        .bitmap
        .iter()
        .for_each(|bitmap| each(bitmap.as_str()));
    match &backup.job {
        Some(job) => each(job.as_str()),
        None => each(backup.at.name().as_str()),
    }
}

fn in_check(check: &blkproof_spec::step::Check, each: &mut dyn FnMut(&str)) {
    use blkproof_spec::step::{Check, Reference};
    match check {
        Check::Image { image, equals } => {
            each(image.as_str());
            match equals {
                Reference::Now(name) => each(name.as_str()),
                Reference::Point { disk, job } => {
                    each(disk.as_str());
                    each(job.as_str());
                }
            }
        }
        Check::Digest { image, .. } | Check::Allocated { image, .. } => each(image.as_str()),
        Check::Bitmap { at, name, .. } | Check::NoBitmap { at, name } => {
            each(at.name().as_str());
            each(name.as_str());
        }
        Check::Job { job, .. } | Check::Event { job, .. } => each(job.as_str()),
        Check::NoJobs | Check::NoEvents => {}
    }
}
