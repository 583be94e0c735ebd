//! What the cases of a campaign reached, as tables.

use core::fmt::{Display, Write as _};
use std::collections::BTreeMap;

use blkproof::coverage::{Answer, Cell, Coverage, Fault, Reached, Status, StepKind, impossible};
use owo_colors::OwoColorize as _;

use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::ui::Ui;

/// How many lines of holes are named; `--json` names all.
const HOLES_MAX: usize = 40;

/// Prints the tables in either form.
/// A reason that what was reached proves wrong is a failure.
pub(super) fn print(coverage: &Coverage, ui: &mut Ui) -> Result<Exit, Error> {
    ui.emit(&Record::Coverage(record(coverage)))?;
    steps(coverage, ui)?;
    rules(coverage, ui)?;
    struck(coverage, ui)?;
    refusals(coverage, ui)?;
    properties(coverage, ui)?;
    holes(coverage, ui)?;
    let wrong: Vec<_> = coverage.contradictions().collect();
    for cell in &wrong {
        let why = impossible(*cell).unwrap_or_default();
        ui.say(format_args!("reached although {why}: {}", named(*cell)).red())?;
    }
    ui.say("")?;
    Ok(if wrong.is_empty() {
        Exit::Held
    } else {
        Exit::Failed
    })
}

/// Takes holes for a failure, if the campaign was a `whole` one.
pub(super) fn forbid_holes(coverage: &Coverage, whole: bool, ui: &mut Ui) -> Result<Exit, Error> {
    let holes = coverage.holes().count();
    let properties = never_judged(coverage);
    if !whole || holes == 0 && properties.is_empty() {
        return Ok(Exit::Held);
    }
    if holes > 0 {
        ui.say(format_args!("never reached, and nobody knows why: {holes} cells").red())?;
    }
    Ok(Exit::Failed)
}

fn named(cell: Cell) -> String {
    format!(
        "{}, {}, {}, {}",
        cell.step.name(),
        cell.status.name(),
        cell.fault.name(),
        cell.answer.name()
    )
}

fn record(coverage: &Coverage) -> json::Coverage {
    let told = |cell: Cell| json::Cell {
        step: cell.step.name(),
        job: cell.status.name(),
        fault: cell.fault.name(),
        answer: cell.answer.name(),
        count: coverage.count(cell),
    };
    json::Coverage {
        cells: Cell::all()
            .map(told)
            .filter(|cell| cell.count > 0)
            .collect(),
        holes: coverage.holes().map(told).collect(),
        contradictions: coverage.contradictions().map(told).collect(),
        properties: coverage
            .judged()
            .map(|(property, judged)| json::Judged {
                property: property.name(),
                judged,
            })
            .collect(),
        struck: coverage
            .struck()
            .map(|(verdict, struck)| json::StruckFaults {
                budget: verdict.budget().name(),
                disk: struck.disk,
                image: struck.image,
            })
            .collect(),
    }
}

/// One line for each kind of step: how often in all, by status, by fault, by answer.
fn steps(coverage: &Coverage, ui: &mut Ui) -> Result<(), Error> {
    ui.say("steps reached".bold())?;
    let mut head = format!("  {:<22}", "");
    for name in Status::ALL.iter().map(|status| status.name()) {
        let _ = write!(head, "{name:>10}");
    }
    for name in Fault::ALL.iter().map(|fault| fault.name()) {
        let _ = write!(head, " {:>9}", name.trim_start_matches("error "));
    }
    for name in Answer::ALL.iter().map(|answer| answer.name()) {
        let _ = write!(head, "{name:>9}");
    }
    ui.say(&head)?;
    for step in StepKind::ALL {
        let mut line = format!("  {:<22}", step.name());
        let of =
            |like: &dyn Fn(&Cell) -> bool| coverage.sum(|cell| cell.step == *step && like(cell));
        for status in Status::ALL {
            let _ = write!(line, "{:>10}", of(&|cell| cell.status == *status));
        }
        for fault in Fault::ALL {
            let _ = write!(line, " {:>9}", of(&|cell| cell.fault == *fault));
        }
        for answer in Answer::ALL {
            let _ = write!(line, "{:>9}", of(&|cell| cell.answer == *answer));
        }
        ui.say(&line)?;
    }
    Ok(())
}

fn rules(coverage: &Coverage, ui: &mut Ui) -> Result<(), Error> {
    ui.say("\nfault rules: planned, and how often they acted".bold())?;
    for (event, reached) in coverage.events() {
        rule(event, reached, ui)?;
    }
    for (effect, reached) in coverage.effects() {
        rule(effect, reached, ui)?;
    }
    Ok(())
}

fn rule(name: impl Display, reached: Reached, ui: &mut Ui) -> Result<(), Error> {
    ui.say(format_args!(
        "  {name:<30}{:>10}{:>10}",
        reached.planned, reached.fired
    ))
}

/// How often something of each property was judged.
fn properties(coverage: &Coverage, ui: &mut Ui) -> Result<(), Error> {
    ui.say("\nproperties judged".bold())?;
    for (property, count) in coverage.judged() {
        ui.say(format_args!("  {property:<30}{count:>10}"))?;
    }
    let never = never_judged(coverage);
    if !never.is_empty() {
        ui.say(format_args!("  never judged: {}", never.join(", ")).red())?;
    }
    Ok(())
}

fn never_judged(coverage: &Coverage) -> Vec<&'static str> {
    let never = coverage.judged().filter(|(_, count)| *count == 0);
    never.map(|(property, _)| property.name()).collect()
}

/// How often faults struck within what an engine has to get over, and beyond it.
fn struck(coverage: &Coverage, ui: &mut Ui) -> Result<(), Error> {
    ui.say("\nfaults that struck, by the budget of what an engine has to get over".bold())?;
    ui.say(format_args!(
        "  {:<54}{:>10}{:>10}",
        "", "a disk", "an image"
    ))?;
    for (verdict, struck) in coverage.struck() {
        ui.say(format_args!(
            "  {verdict:<54}{:>10}{:>10}",
            struck.disk, struck.image
        ))?;
    }
    Ok(())
}

fn refusals(coverage: &Coverage, ui: &mut Ui) -> Result<(), Error> {
    ui.say("\nrefusals".bold())?;
    for (refusal, count) in coverage.refusals() {
        ui.say(format_args!("  {refusal:<30}{count:>10}"))?;
    }
    Ok(())
}

/// Names what was never reached, and why where there is a reason.
fn holes(coverage: &Coverage, ui: &mut Ui) -> Result<(), Error> {
    let mut reasons: Vec<(&str, u64)> = Vec::new();
    for why in Cell::all().filter_map(impossible) {
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, count)) => *count += 1,
            None => reasons.push((why, 1)),
        }
    }
    ui.say("\ncells that nothing can reach".bold())?;
    for (why, count) in reasons {
        ui.say(format_args!("  {count:>6}  {why}"))?;
    }
    let mut lines: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for cell in coverage.holes() {
        let line = lines
            .entry((cell.step, cell.fault, cell.answer))
            .or_default();
        line.push(cell.status.name());
    }
    let cells = Cell::all()
        .filter(|cell| impossible(*cell).is_none())
        .count();
    let empty: usize = lines.values().map(Vec::len).sum();
    ui.say(format_args!("\nholes: {empty} of {cells} cells").bold())?;
    for ((step, fault, answer), statuses) in lines.iter().take(HOLES_MAX) {
        ui.say(format_args!(
            "  {}, {}, {}: {}",
            step.name(),
            fault.name(),
            answer.name(),
            statuses.join(", ")
        ))?;
    }
    if lines.len() > HOLES_MAX {
        ui.say(format_args!("  and {} lines more", lines.len() - HOLES_MAX))?;
    }
    Ok(())
}
