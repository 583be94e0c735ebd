//! The file of steps: its grammar and its errors.
//!
//! The grammar is told in the verb's `--help`. Parsing finds what can be known without QEMU, so
//! that a typing error in the last line is found before the first line runs.

use std::fmt;

use serde_json::{Map, Value};

use super::words;

/// A whole file, lines without a step included: the transcript repeats them.
#[derive(Debug)]
pub(crate) struct Script {
    pub(super) lines: Vec<Line>,
}

/// A step with the lines it was read from, or one line of comment.
#[derive(Debug)]
pub(super) struct Line {
    /// Where the text starts in the file, counted from 1.
    pub(super) number: usize,
    /// The text as it stands in the file, continuations included.
    pub(super) text: String,
    pub(super) step: Option<Step>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Command {
        name: String,
        arguments: Map<String, Value>,
    },
    ExpectError(String),
    Program {
        name: &'static str,
        args: Vec<String>,
    },
    Export(String),
    Unexport(String),
    Guest {
        node: String,
        commands: Vec<String>,
    },
    WaitEvent {
        name: String,
        values: Vec<Value>,
    },
    WaitJob {
        id: String,
        field: String,
        value: Value,
    },
    Bitmaps,
    Restart,
    Kill,
}

/// Why a file is refused, and where.
#[derive(Debug, PartialEq)]
pub(crate) struct ScriptError {
    line: usize,
    column: usize,
    message: String,
}

impl ScriptError {
    /// The message as a person wants it, with the file's name in front.
    pub(crate) fn in_file(&self, file: &str) -> impl fmt::Display {
        format!("{file}:{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Parses the text of a file.
pub(crate) fn parse(text: &str) -> Result<Script, ScriptError> {
    let mut lines = join(text)?;
    let mut expecting: Option<usize> = None;
    for line in &mut lines {
        let comment = line.text.trim().is_empty() || line.text.starts_with('#');
        if comment {
            continue;
        }
        let step = parse_step(&line.text).map_err(|error| error.below(line.number))?;
        match (&step, expecting) {
            (Step::ExpectError(_), Some(_)) => {
                let message = "an expect-error before this one still waits for its step";
                return Err(ScriptError::at(line.number, 1, message));
            }
            (Step::ExpectError(_), None) => expecting = Some(line.number),
            (step, Some(_)) if !step.can_fail() => {
                let message = "after expect-error: expected a QMP command, guest, qemu-img or \
                               qemu-io";
                return Err(ScriptError::at(line.number, 1, message));
            }
            _ => expecting = None,
        }
        line.step = Some(step);
    }
    match expecting {
        Some(number) => Err(ScriptError::at(
            number,
            1,
            "expect-error without a step after it",
        )),
        None => Ok(Script { lines }),
    }
}

/// Puts continued lines together; comments and empty lines stay by themselves.
fn join(text: &str) -> Result<Vec<Line>, ScriptError> {
    let mut lines: Vec<Line> = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let number = index + 1;
        let continues = text.starts_with([' ', '\t']) && !text.trim().is_empty();
        if !continues {
            lines.push(Line {
                number,
                text: text.trim_end().to_owned(),
                step: None,
            });
            continue;
        }
        let above = lines.last_mut().filter(|line| {
            let comment = line.text.starts_with('#');
            !comment && !line.text.is_empty()
        });
        let Some(above) = above else {
            return Err(ScriptError::at(
                number,
                1,
                "nothing above for this line to continue",
            ));
        };
        above.text.push('\n');
        above.text.push_str(text.trim_end());
    }
    Ok(lines)
}

/// Parses one step; positions in its errors count from the step's own first line.
fn parse_step(text: &str) -> Result<Step, ScriptError> {
    let (word, rest) = text.split_once([' ', '\n', '\t']).unwrap_or((text, ""));
    let rest_column = word.chars().count() + 2;
    let no_more = |step| match rest.trim() {
        "" => Ok(step),
        _ => Err(ScriptError::at(
            1,
            rest_column,
            format!("{word} takes nothing after it"),
        )),
    };
    match word {
        "expect-error" => Ok(Step::ExpectError(rest.trim().to_owned())),
        "qemu-img" => program("qemu-img", rest, rest_column),
        "qemu-io" => program("qemu-io", rest, rest_column),
        "bitmaps" => no_more(Step::Bitmaps),
        "restart" => no_more(Step::Restart),
        "kill" => no_more(Step::Kill),
        "export" | "unexport" | "guest" | "wait-event" | "wait-job" => {
            directive(word, split(rest, rest_column)?)
                .map_err(|usage| ScriptError::at(1, 1, format!("expected {usage}")))
        }
        _ if text.starts_with('{') => json_command(text),
        _ => short_command(word, text),
    }
}

fn program(name: &'static str, rest: &str, column: usize) -> Result<Step, ScriptError> {
    Ok(Step::Program {
        name,
        args: split(rest, column)?,
    })
}

fn split(rest: &str, first_column: usize) -> Result<Vec<String>, ScriptError> {
    words::split(rest)
        .map_err(|column| ScriptError::at(1, first_column + column - 1, "this quote is not closed"))
}

/// The directives whose words have fixed places; the error is how to write it.
fn directive(word: &str, words: Vec<String>) -> Result<Step, &'static str> {
    let mut words = words.into_iter();
    let step = match word {
        "export" => words.next().map(Step::Export).ok_or("export NODE")?,
        "unexport" => words.next().map(Step::Unexport).ok_or("unexport NODE")?,
        "guest" => {
            let node = words.next();
            let commands: Vec<String> = words.by_ref().collect();
            let node = node.filter(|_| !commands.is_empty());
            Step::Guest {
                node: node.ok_or("guest NODE COMMAND...")?,
                commands,
            }
        }
        "wait-event" => {
            let name = words.next().ok_or("wait-event NAME [VALUE...]")?;
            Step::WaitEvent {
                name,
                values: words.by_ref().map(value).collect(),
            }
        }
        _ => match (words.next(), words.next(), words.next()) {
            (Some(id), Some(field), Some(text)) => Step::WaitJob {
                id,
                field,
                value: value(text),
            },
            _ => return Err("wait-job ID FIELD VALUE"),
        },
    };
    match words.next() {
        None => Ok(step),
        Some(_) => Err("fewer words; see qmp --help"),
    }
}

/// A bare word as JSON: a number or a truth value where it reads as one, else a string.
fn value(word: String) -> Value {
    match serde_json::from_str(&word) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::String(word),
    }
}

/// `{"execute": NAME, "arguments": {...}}`
fn json_command(text: &str) -> Result<Step, ScriptError> {
    let mut object = arguments(text)?;
    let name = object.remove("execute");
    let arguments = object.remove("arguments");
    if let Some(member) = object.keys().next() {
        let message = format!("a command has execute and arguments, found {member:?}");
        return Err(ScriptError::at(1, 1, message));
    }
    match (name, arguments) {
        (Some(Value::String(name)), None) => Ok(Step::Command {
            name,
            arguments: Map::new(),
        }),
        (Some(Value::String(name)), Some(Value::Object(arguments))) => {
            Ok(Step::Command { name, arguments })
        }
        (Some(Value::String(_)), Some(_)) => Err(ScriptError::at(
            1,
            1,
            "the member arguments must be an object",
        )),
        _ => Err(ScriptError::at(
            1,
            1,
            "a command needs a member execute with its name",
        )),
    }
}

/// `NAME {...}`
fn short_command(word: &str, text: &str) -> Result<Step, ScriptError> {
    let named = word
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    if !named {
        let message = format!("expected a QMP command, a directive or #, found {word:?}");
        return Err(ScriptError::at(1, 1, message));
    }
    let rest = text[word.len()..].trim_start();
    let name = word.to_owned();
    if rest.is_empty() {
        return Ok(Step::Command {
            name,
            arguments: Map::new(),
        });
    }
    if !rest.starts_with('{') {
        let column = text[..text.len() - rest.len()].chars().count() + 1;
        let message = format!("expected {{ with the arguments of {word}, found {rest:?}");
        return Err(ScriptError::at(1, column, message));
    }
    // Blanks in place of the name keep the columns of the JSON parser's errors true.
    let padded = format!("{}{}", " ".repeat(word.len()), &text[word.len()..]);
    Ok(Step::Command {
        name,
        arguments: arguments(&padded)?,
    })
}

fn arguments(text: &str) -> Result<Map<String, Value>, ScriptError> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let what = message.split(" at line ").next().unwrap_or(&message);
        ScriptError::at(error.line().max(1), error.column().max(1), what)
    })
}

impl Step {
    /// Whether the step has an outcome that `expect-error` can speak of.
    fn can_fail(&self) -> bool {
        matches!(
            self,
            Self::Command { .. } | Self::Program { .. } | Self::Guest { .. }
        )
    }
}

impl ScriptError {
    fn at(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            column,
            message: message.into(),
        }
    }

    /// The same error, its line counted from a step that starts at `line` of the file.
    fn below(self, line: usize) -> Self {
        Self {
            line: self.line + line - 1,
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
