//! The table of bugs.

use indicatif::HumanCount;
use owo_colors::OwoColorize as _;

use super::hunt::Hunted;
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
    let (steps, also) = match &hunted.caught {
        Some(caught) => (
            format!("{} > {}", caught.steps, caught.shrunk.steps.len()),
            caught
                .properties
                .iter()
                .filter(|other| **other != hunted.bug.property())
                .map(|other| other.name())
                .collect::<Vec<_>>()
                .join(", "),
        ),
        None => (String::new(), String::new()),
    };
    let row = format!(
        "{:<26} {property:<20} {cases:>8} {time:>9} {steps:>9}  {also}",
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
        steps: hunted.caught.as_ref().map(|caught| caught.steps),
        steps_shrunk: hunted
            .caught
            .as_ref()
            .map(|caught| caught.shrunk.steps.len()),
        candidates: hunted.caught.as_ref().map(|caught| caught.candidates),
        kept: match &hunted.kept {
            Kept::Nowhere => None,
            Kept::Missing => Some("missing"),
            Kept::Shows => Some("shows"),
            Kept::Wrong(_) => Some("wrong"),
        },
    }))
}

/// Prints the sums; returns how many steps are left in the middle of all bugs.
pub(super) fn foot(all: &[Hunted], ui: &mut Ui) -> Result<usize, Error> {
    let caught: Vec<&Hunted> = all
        .iter()
        .filter(|hunted| hunted.median().is_some())
        .collect();
    let mut steps: Vec<usize> = caught
        .iter()
        .filter_map(|hunted| hunted.caught.as_ref())
        .map(|caught| caught.shrunk.steps.len())
        .collect();
    steps.sort_unstable();
    let mut cases: Vec<u64> = caught.iter().filter_map(|hunted| hunted.median()).collect();
    cases.sort_unstable();
    let seeds = all.first().map_or(0, |hunted| hunted.cases.len());
    let middle = steps.get(steps.len() / 2).copied().unwrap_or_default();
    ui.say(format_args!(
        "\n{} of {} bugs caught; in the middle after {} cases, shrunk to {middle} steps\n\
         cases and time are those in the middle of {seeds} seeds, steps (before > after) those of\n\
         the campaign that took the fewest cases",
        caught.len(),
        all.len(),
        cases.get(cases.len() / 2).copied().unwrap_or_default(),
    ))?;
    Ok(middle)
}
