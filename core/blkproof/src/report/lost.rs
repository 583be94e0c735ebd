//! Losses of power told: what was lost, and which assumption that breaks.

use blkproof_spec::step::{Action, GuestOp};
use blkproof_spec::{SECTOR, Scenario, StepNumber};

use crate::outcome::{Cut, Failure, Finding, LostPart};

/// How many lost parts are told of a cut.
const PARTS_MAX: usize = 6;

/// A cut of the power told.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ToldCut {
    /// The number of the step that asked for it.
    pub step: u32,
    /// How many sectors were lost: so many are enough for the failure.
    pub sectors: u64,
    /// What was lost, the first of it, one phrase a part.
    pub parts: Vec<String>,
    /// How many parts are not told.
    pub untold: usize,
    /// The assumption that the loss breaks, or that it cannot be told.
    pub assumption: String,
}

/// Tells the cuts of a failure that lost something, and those that lost nothing if none did.
pub(super) fn cuts(failure: &Failure, scenario: &Scenario) -> Vec<ToldCut> {
    let cuts = &failure.counts.cuts;
    let some = cuts.iter().any(|cut| !cut.lost.is_empty());
    let told = cuts.iter().filter(|cut| !some || !cut.lost.is_empty());
    told.map(|cut| ToldCut {
        step: cut.asked.0,
        sectors: cut
            .lost
            .iter()
            .map(|(_, range)| range.len.div_ceil(SECTOR))
            .sum(),
        parts: parts(cut, scenario),
        untold: count(cut).saturating_sub(PARTS_MAX),
        assumption: assumption(cut, failure),
    })
    .collect()
}

fn count(cut: &Cut) -> usize {
    cut.parts.len().max(cut.lost.len())
}

fn parts(cut: &Cut, scenario: &Scenario) -> Vec<String> {
    if cut.parts.is_empty() {
        let lost = cut.lost.iter().take(PARTS_MAX);
        return lost
            .map(|(image, range)| {
                let (start, end) = (range.start, range.end());
                format!("bytes {start}..{end} of {image}: no table in the file leads there")
            })
            .collect();
    }
    let parts = cut.parts.iter().take(PARTS_MAX);
    parts
        .map(|part| part_text(part, cut.asked, scenario))
        .collect()
}

fn part_text(part: &LostPart, asked: StepNumber, scenario: &Scenario) -> String {
    let LostPart { image, range, .. } = part;
    let place = format!("bytes {}..{} of {image}", range.start, range.end());
    let what = match writer(part, asked, scenario) {
        Some(step) => format!("{} that step {step} wrote", part.what),
        None => part.what.to_owned(),
    };
    match &part.led_by {
        None => format!("{place}: {what}"),
        Some(by) if !by.remains => format!("{place}: {what}; nothing leads there now"),
        Some(by) if by.fresh => {
            let by = by.what;
            format!("{place}: {what}; the {by}, written and not flushed either, leads there")
        }
        Some(by) => format!(
            "{place}: {what}; the {}, durable before, leads there",
            by.what
        ),
    }
}

/// Returns the last step before the cut, or that it came in the midst of, that wrote this data.
fn writer(part: &LostPart, asked: StepNumber, scenario: &Scenario) -> Option<usize> {
    let guest = part.guest?;
    let wrote = |action: &Action| match action {
        Action::Guest { at, op } | Action::Start { at, op, .. } => {
            let is_write = matches!(op, GuestOp::Write { .. });
            let range = op.range();
            is_write && *at.name() == part.image && range.start <= guest && guest < range.end()
        }
        _ => false,
    };
    let asked = usize::try_from(asked.0).unwrap_or(usize::MAX);
    let steps = scenario.steps.iter().enumerate().take(asked);
    let mut writers = steps.filter(|(_, step)| wrote(&step.action));
    writers.next_back().map(|(index, _)| index + 1)
}

/// Names the assumption that a cut broke, from what was lost, what leads there, and what does not
/// hold since.
fn assumption(cut: &Cut, failure: &Failure) -> String {
    if cut.lost.is_empty() {
        let before = before_what(failure).unwrap_or("anything relies on it");
        let memory = "nothing has to be lost: needs what was in memory only written";
        return format!("{memory} before {before}");
    }
    let unsound = failure.breaks("image-sound");
    let ordered = cut.parts.iter().find_map(|part| match &part.led_by {
        Some(by) if by.remains && by.fresh => Some((part.what, by.what)),
        // Formats never change bitmaps in place: whatever leads there was there too early.
        Some(by) if by.remains && ["bits", "bitmap table"].contains(&part.what) => {
            Some((part.what, by.what))
        }
        _ => None,
    });
    let counts = ["refcount block", "refcount table"];
    let of = |whats: &[&str]| cut.parts.iter().find(|part| whats.contains(&part.what));
    if let Some((what, by)) = ordered {
        return format!("needs the {what} written before the {by} that leads there");
    }
    if let Some(part) = of(&counts).filter(|_| unsound) {
        let what = part.what;
        return format!("needs the {what} written before the tables that rely on it");
    }
    let Some(part) = cut.parts.first() else {
        return "which assumption that breaks cannot be told: nothing in the file leads there"
            .to_owned();
    };
    let what = part.what;
    let alike = cut.parts.iter().all(|other| other.what == what);
    let named = if alike { what } else { "parts named above" };
    match before_what(failure) {
        Some(before) => format!("needs the {named} flushed before {before}"),
        None => "which assumption that breaks cannot be told from what was lost".to_owned(),
    }
}

/// Returns what must not happen before what was lost is durable.
fn before_what(failure: &Failure) -> Option<&'static str> {
    let aspect = |wanted: &str| {
        failure.findings.iter().any(|finding| match finding {
            Finding::Violation(violation) => violation.aspect == wanted,
            _ => false,
        })
    };
    let breaks = |property: &str| failure.breaks(property);
    Some(if breaks("completed-survives") {
        "the job reports success"
    } else if breaks("bitmap-honest") {
        "anything changes that stored bitmaps are to cover"
    } else if breaks("flushed-survives") && aspect("size") {
        "the resize is reported"
    } else if breaks("flushed-survives") && aspect("backing file") {
        "the rebase is reported"
    } else if breaks("flushed-survives") {
        "it is acknowledged as durable"
    } else {
        return None;
    })
}
