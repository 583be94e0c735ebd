//! The table of bugs.

use std::collections::BTreeSet;

use indicatif::HumanCount;
use owo_colors::OwoColorize as _;

use super::hunt::{Hunted, middle};
use super::kept::Kept;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::ui::Ui;

pub(super) fn head(ui: &mut Ui) -> Result<(), Error> {
    ui.say(format_args!(
        "{:<26} {:<20} {:>8} {:>9} {:>9}  also caught by",
        "bug", "property", "cases", "time", "steps"
    ))
}

pub(super) fn row(hunted: &Hunted, ui: &mut Ui) -> Result<(), Error> {
    let property = hunted.bug.property().name();
    let cases = match hunted.median() {
        Some(cases) => HumanCount(cases).to_string(),
        None => "got away".to_owned(),
    };
    let time = format!("{:.2} s", hunted.time.as_secs_f64());
    let steps = hunted.steps();
    let shown = steps.map(|(whole, shrunk)| format!("{whole} > {shrunk}"));
    let shown = shown.unwrap_or_default();
    let also: BTreeSet<&str> = hunted
        .caught
        .iter()
        .flat_map(|caught| &caught.properties)
        .filter(|other| **other != hunted.bug.property())
        .map(|other| other.name())
        .collect();
    let also = also.into_iter().collect::<Vec<_>>().join(", ");
    let row = format!(
        "{:<26} {property:<20} {cases:>8} {time:>9} {shown:>9}  {also}",
        hunted.bug.name()
    );
    if hunted.exit(true) == Exit::Held {
        ui.say(row.trim_end())?;
    } else {
        ui.say(row.trim_end().red())?;
    }
    match &hunted.kept {
        Kept::Nowhere | Kept::Shows => {}
        Kept::Missing => ui.say("  no scenario of it is kept (--save keeps one)")?,
        Kept::Wrong(why) => ui.say(format_args!("  the scenario that is kept: {why}"))?,
    }
    ui.emit(&Record::Bug(json::Bug {
        name: hunted.bug.name(),
        entry: hunted.bug.entry(),
        property,
        cases: hunted.cases.clone(),
        median_cases: hunted.median(),
        seconds: hunted.time.as_secs_f64(),
        steps: steps.map(|(whole, _)| whole),
        steps_shrunk: steps.map(|(_, shrunk)| shrunk),
        candidates: hunted.caught.iter().map(|caught| caught.candidates).max(),
        kept: match &hunted.kept {
            Kept::Nowhere => None,
            Kept::Missing => Some("missing"),
            Kept::Shows => Some("shows"),
            Kept::Wrong(_) => Some("wrong"),
        },
    }))
}

/// Prints the sums over what was hunted of so many bugs; returns how many steps are left in the
/// middle of all cases that caught one.
pub(super) fn foot(all: &[Hunted], bugs: usize, ui: &mut Ui) -> Result<usize, Error> {
    if all.len() < bugs {
        let hunted = all.len();
        ui.note(format_args!(
            "ended early: {hunted} of {bugs} bugs were hunted"
        ));
    }
    let mut cases: Vec<u64> = all.iter().filter_map(Hunted::median).collect();
    cases.sort_unstable();
    let caught = all.iter().flat_map(|hunted| &hunted.caught);
    let steps: Vec<usize> = caught.map(|caught| caught.shrunk.steps.len()).collect();
    let shortest = middle(steps.iter().copied()).unwrap_or_default();
    ui.say(format_args!(
        "\n{} of {} bugs caught; in the middle after {} cases\n\
         all {} cases that caught one were shrunk, to {shortest} steps in the middle, {} at most",
        cases.len(),
        all.len(),
        cases.get(cases.len() / 2).copied().unwrap_or_default(),
        steps.len(),
        steps.iter().max().copied().unwrap_or_default(),
    ))?;
    let seeds = all.first().map_or(0, |hunted| hunted.cases.len());
    ui.say(format_args!(
        "cases, time and steps (before > after) are those in the middle of {seeds} seeds"
    ))?;
    Ok(shortest)
}
