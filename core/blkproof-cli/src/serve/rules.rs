//! Words of the scenario language, outside of scenarios: rules from a file, commands, sizes.

use std::fs;
use std::path::Path;

use blkproof::device::ini;
use blkproof::text;
use blkproof_spec::step::{Action, Expect, Step};
use blkproof_spec::{FaultRule, ImageName, Layer, Length, Place};

use crate::error::Error;
use crate::ui::Ui;

/// Reads a step that is to be done at once.
pub(crate) fn command(line: &str) -> Result<Action, String> {
    let mut steps = parsed(&format!("blkproof 1\n{line}\n"))?;
    let Some(step) = steps.pop().filter(|_| steps.is_empty()) else {
        return Err("expected a command; `help` lists them".to_owned());
    };
    if step.expect != Expect::Done {
        return Err("expected no `expect=`: the answer says how it ended".to_owned());
    }
    Ok(step.action)
}

/// Reads a size, such as `64M`.
pub(crate) fn size(word: &str) -> Result<Length, String> {
    let expected = || format!("expected a size such as 64M or 16T, found `{word}`");
    if word.contains(char::is_whitespace) || word.contains('#') {
        return Err(expected());
    }
    let steps = parsed(&format!("blkproof 1\nresize disk0 {word}\n"));
    match steps.map_err(|_| expected())?.pop().map(|step| step.action) {
        Some(Action::Resize { size, .. }) => Ok(size),
        _ => Err(expected()),
    }
}

/// Reads the name of a disk.
pub(crate) fn name(word: &str) -> Result<ImageName, String> {
    let expected = || format!("expected a name such as disk0, found `{word}`");
    if word.contains(char::is_whitespace) || word.contains('#') {
        return Err(expected());
    }
    let steps = parsed(&format!("blkproof 1\nremove {word}\n"));
    match steps.map_err(|_| expected())?.pop().map(|step| step.action) {
        Some(Action::Remove { image }) => Ok(image),
        _ => Err(expected()),
    }
}

fn parsed(text: &str) -> Result<Vec<Step>, String> {
    match text::parse(text.as_bytes()) {
        Ok(scenario) => Ok(scenario.steps),
        Err(diagnostics) => {
            let first = diagnostics.list.first();
            let told = first.map(|first| {
                let help = first.help.as_ref().map(|help| format!("; {help}"));
                let help = help.unwrap_or_default();
                let (column, found) = (first.column, &first.found);
                let expected = &first.expected;
                format!("column {column}: found {found}, expected {expected}{help}")
            });
            Err(told.unwrap_or_else(|| "expected a command".to_owned()))
        }
    }
}

/// Reads a file of rules. What is wrong with it is said; then there are none.
pub(crate) fn load(
    path: &Path,
    disk: &ImageName,
    ui: &mut Ui,
) -> Result<Option<Vec<FaultRule>>, Error> {
    let bytes = fs::read(path).map_err(Error::unreadable(path))?;
    let file = path.display().to_string();
    if is_ini(&bytes) {
        let rules = ini::parse(&bytes).map_err(|error| Error::Unusable {
            what: file,
            why: error.to_string(),
        })?;
        let rules = rules.into_iter().map(|rule| FaultRule {
            name: None,
            place: Place {
                image: disk.clone(),
                layer: Layer::File,
            },
            rule,
        });
        return Ok(Some(rules.collect()));
    }
    let document = match text::Document::parse(&bytes) {
        Ok(document) => document,
        Err(diagnostics) => {
            ui.note(diagnostics.render(&file, &bytes).trim_end());
            return Ok(None);
        }
    };
    let mut rules = document.scenario.setup.rules.clone();
    for (step, number) in document.scenario.steps.iter().zip(1..) {
        let line = document.line_of(blkproof_spec::StepNumber(number));
        let Action::Install(rule) = &step.action else {
            return Err(not_a_rule(&file, line, "expected a `fault` line"));
        };
        rules.push(rule.clone());
    }
    if let Some(rule) = rules.iter().find(|rule| rule.place.image != *disk) {
        let why = format!(
            "a rule is for {}, and the disk is called {disk}",
            rule.place
        );
        return Err(not_a_rule(&file, None, &why));
    }
    Ok(Some(rules))
}

fn not_a_rule(file: &str, line: Option<u32>, why: &str) -> Error {
    let line = line.map(|line| format!(":{line}")).unwrap_or_default();
    Error::Unusable {
        what: format!("{file}{line}"),
        why: why.to_owned(),
    }
}

/// Tells whether a file is one of `blkdebug`, be it a broken one: its first line that says
/// something begins a group, or gives a key a value as no line of a scenario does.
fn is_ini(bytes: &[u8]) -> bool {
    let lines = bytes.split(|byte| *byte == b'\n');
    let mut lines = lines.map(|line| line.trim_ascii());
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"));
    first.is_none_or(|line| line.starts_with(b"[") || is_assignment(line))
}

/// Tells whether a line's first word has a `=` in it or before the next one.
fn is_assignment(line: &[u8]) -> bool {
    let end = line.iter().position(u8::is_ascii_whitespace);
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    word.contains(&b'=') || rest.trim_ascii_start().starts_with(b"=")
}
