//! The printer: every value in its one canonical form.

mod check;
pub(crate) mod fault;
pub(crate) mod power;
mod step;
pub(crate) mod words;

use blkproof_spec::step::{Action, Step};
use blkproof_spec::{DiscardMode, FaultRule, Geometry, Limits, StatedOutcome};

use super::document::{Document, Line, What};
use super::{VERSION, table};
use words::{Words, name, number};

/// Prints a step on one line, a transaction with its actions in braces: for reports and listings.
#[must_use]
pub fn describe(step: &Step) -> String {
    let mut out = Words::default();
    step::step(&mut out, step);
    if let Action::Transaction { actions, .. } = &step.action {
        out.word("{");
        for (index, action) in actions.iter().enumerate() {
            if index > 0 {
                out.word(";");
            }
            step::transaction_action(&mut out, action);
        }
        out.word("}");
    }
    out.into_string()
}

/// Prints a fault rule on one line, as it stands behind `fault` or `at-open`.
#[must_use]
pub fn describe_rule(rule: &FaultRule) -> String {
    let mut out = Words::default();
    fault::rule(&mut out, rule);
    out.into_string()
}

/// Prints a fault rule of the setup on one line.
pub(crate) fn at_open(rule: &FaultRule) -> String {
    format!("at-open {}", describe_rule(rule))
}

/// Returns the words that begin a step of this kind, such as `bitmap add`.
#[must_use]
pub fn keyword(action: &Action) -> &'static str {
    step::keyword(action)
}

/// Prints a document: its lines in their order, with their comments.
pub(super) fn document(document: &Document) -> String {
    let mut out = String::new();
    let mut blank = true;
    for line in &document.lines {
        let text = statement(document, line);
        let is_blank = text.is_empty() && line.comment.is_none();
        // Several blank lines are one; none stands at the top.
        if is_blank && blank {
            continue;
        }
        blank = is_blank;
        let separator = match (&line.comment, text.is_empty()) {
            (Some(_), false) => "  ",
            _ => "",
        };
        let comment = line.comment.as_deref().unwrap_or("");
        out.push_str(&format!("{text}{separator}{comment}\n"));
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

fn statement(document: &Document, line: &Line) -> String {
    let scenario = &document.scenario;
    let mut out = Words::default();
    match line.what {
        What::Nothing => {}
        What::Header => out.word(format!("blkproof {VERSION}")),
        What::Title => title(&mut out, scenario.title.as_deref().unwrap_or("")),
        What::Outcome => match &scenario.outcome {
            StatedOutcome::Pass => out.word("expect pass"),
            StatedOutcome::Fail(property) => {
                out.word("expect fail");
                out.word(name(property.as_str()));
            }
        },
        What::Cache => power::cache(&mut out, scenario.setup.cache),
        What::Limits => limits(&mut out, scenario.setup.limits),
        What::Disk(index) => disk(&mut out, &scenario.setup.disks[index]),
        What::Contents { disk, index } => {
            let disk = &scenario.setup.disks[disk];
            let (range, fill) = disk.contents[index];
            out.word("contents");
            out.word(name(disk.name.as_str()));
            out.range(range);
            out.word(format!("fill={fill:#04x}"));
        }
        What::Rule(index) => return at_open(&scenario.setup.rules[index]),
        What::Step(index) => step::step(&mut out, &scenario.steps[index]),
        What::Action { step, index } => {
            if let Action::Transaction { actions, .. } = &scenario.steps[step].action {
                out.word(" ");
                step::transaction_action(&mut out, &actions[index]);
            }
        }
        What::End => out.word("end"),
    }
    out.into_string()
}

pub(crate) fn title(out: &mut Words, title: &str) {
    let is_plain = !title.is_empty()
        && !title.starts_with(['"', ' '])
        && !title.ends_with(' ')
        && !title.chars().any(char::is_control);
    out.word("title");
    if is_plain {
        out.word(title);
    } else {
        out.word(words::quote(title));
    }
}

fn limits(out: &mut Words, limits: Limits) {
    out.word("limit");
    out.option("units-per-step", number(limits.units_per_step.0));
}

fn disk(out: &mut Words, disk: &blkproof_spec::DiskSetup) {
    let geometry = disk.geometry;
    out.word("disk");
    out.word(name(disk.name.as_str()));
    out.word(number(geometry.size.0));
    out.word(table::word(table::FORMAT, &geometry.format));
    if geometry.cluster != Geometry::DEFAULT_CLUSTER {
        out.option("cluster", number(geometry.cluster.0));
    }
    if geometry.discard != DiscardMode::Unmap {
        out.option("discard", table::word(table::DISCARD, &geometry.discard));
    }
    out.maybe(
        "backing",
        disk.backing.as_ref().map(|image| name(image.as_str())),
    );
    if disk.role != blkproof_spec::scenario::Role::default() {
        out.option("role", table::word(table::ROLE, &disk.role));
    }
}
