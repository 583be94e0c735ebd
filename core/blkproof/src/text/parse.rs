//! The parser: one line at a time, going on behind errors.

mod backup;
mod check;
pub(crate) mod fault;
pub(crate) mod power;
pub(crate) mod setup;
pub(crate) mod step;

use blkproof_spec::Scenario;
use blkproof_spec::step::{Action, CompletionMode, Expect, Step, TransactionAction};

use super::args::Args;
use super::diagnostic::{Diagnostic, Diagnostics, MAX_DIAGNOSTICS, Problem};
use super::document::{Document, Line, What};
use super::lex::{Lexed, Value, lex};
use super::{MAX_GROUP, MAX_LINE, MAX_STEPS, MAX_TEXT, VERSION};

/// What parsing one line gives.
pub(crate) type Parsed<T> = Result<T, Problem>;

/// Parses a text of any bytes.
pub(super) fn parse(text: &[u8]) -> Result<Document, Diagnostics> {
    let text = checked(text)?;
    let mut parser = Parser::new();
    for place in lines(text) {
        if !parser.line(place) {
            break;
        }
    }
    parser.finish(text)
}

/// Takes any bytes for a text, if it is one and not too long.
pub(crate) fn checked(text: &[u8]) -> Result<&str, Diagnostics> {
    if text.len() > MAX_TEXT {
        let problem = Problem::at_end(0, format!("at most {MAX_TEXT} bytes"))
            .found(format!("a text of {} bytes", text.len()));
        return Err(only(problem.on(1, "", 0)));
    }
    core::str::from_utf8(text).map_err(|error| only(not_text(text, error.valid_up_to())))
}

/// Takes a text apart into lines.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Place<'_>> {
    let mut next = 0;
    let all = text.split('\n').enumerate().map(move |(index, raw)| {
        let start = next;
        next += raw.len() + 1;
        Place {
            number: u32::try_from(index + 1).unwrap_or(u32::MAX),
            text: raw.strip_suffix('\r').unwrap_or(raw),
            start,
        }
    });
    // The text behind the last newline is a line only if something stands there.
    let len = text.len();
    all.filter(move |place| place.start + place.text.len() != len || !place.text.is_empty())
}

/// Refuses a line that is too long.
pub(crate) fn check_length(line: &str) -> Parsed<()> {
    if line.len() > MAX_LINE {
        return Err(Problem::at_end(0, format!("at most {MAX_LINE} bytes"))
            .found(format!("a line of {} bytes", line.len())));
    }
    Ok(())
}

/// Parses what can be parsed: lines that are wrong are left out, a transaction that does not end
/// ends with the text, and the header may be missing.
pub(super) fn parse_leniently(text: &[u8]) -> Scenario {
    let text = &text[..text.len().min(MAX_TEXT)];
    let mut parser = Parser::new();
    parser.header = true;
    for raw in text.split(|byte| *byte == b'\n') {
        let line = raw.strip_suffix(b"\r").unwrap_or(raw);
        let Ok(line) = core::str::from_utf8(line) else {
            continue;
        };
        // What is wrong with it is of no interest here.
        let _ = parser.statement(Place {
            number: 0,
            text: line,
            start: 0,
        });
    }
    parser.close_transaction();
    parser.scenario
}

fn only(diagnostic: Diagnostic) -> Diagnostics {
    Diagnostics {
        list: vec![diagnostic],
        more: 0,
    }
}

fn not_text(bytes: &[u8], valid: usize) -> Diagnostic {
    let before = String::from_utf8_lossy(&bytes[..valid]).into_owned();
    let start = before.rfind('\n').map_or(0, |index| index + 1);
    let number = before.matches('\n').count() + 1;
    let column = valid - start;
    let found = bytes.get(valid).copied().unwrap_or_default();
    Problem {
        span: column..column,
        found: format!("the byte {found:#04x}"),
        expected: "text in UTF-8".to_owned(),
        help: None,
    }
    .on(
        u32::try_from(number).unwrap_or(u32::MAX),
        &before[start..],
        start,
    )
}

/// A line and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) number: u32,
    pub(crate) text: &'a str,
    pub(crate) start: usize,
}

/// A transaction whose end has not come yet.
#[derive(Debug)]
struct Open {
    number: u32,
    start: usize,
    mode: CompletionMode,
    expect: Expect,
    actions: Vec<TransactionAction>,
}

struct Parser {
    scenario: Scenario,
    lines: Vec<Line>,
    seen: setup::Seen,
    header: bool,
    open: Option<Open>,
    list: Vec<Diagnostic>,
    more: usize,
}

impl Parser {
    fn new() -> Self {
        Self {
            scenario: Scenario::default(),
            lines: Vec::new(),
            seen: setup::Seen::default(),
            header: false,
            open: None,
            list: Vec::new(),
            more: 0,
        }
    }

    /// Takes in a line. Returns false where it makes no sense to go on.
    fn line(&mut self, place: Place<'_>) -> bool {
        match self.statement(place) {
            Ok(line) => {
                self.lines.push(line);
                true
            }
            Err(problem) => {
                self.refuse(problem.on(place.number, place.text, place.start));
                self.header
            }
        }
    }

    fn refuse(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < MAX_DIAGNOSTICS {
            self.list.push(diagnostic);
        } else {
            self.more += 1;
        }
    }

    fn statement(&mut self, place: Place<'_>) -> Parsed<Line> {
        check_length(place.text)?;
        let title = self.header.then(|| setup::title(place.text)).flatten();
        let (what, comment) = match title {
            Some(title) => (self.title(title)?, None),
            None => {
                let Lexed { words, comment } = lex(place.text)?;
                (self.words(place, words)?, comment)
            }
        };
        Ok(Line {
            what,
            comment: comment.map(Box::from),
        })
    }

    fn words(&mut self, place: Place<'_>, words: Vec<Value<'_>>) -> Parsed<What> {
        let Some(first) = words.first().copied() else {
            return Ok(What::Nothing);
        };
        let mut args = Args::new(words, place.text.len());
        if !self.header {
            return self.header(&mut args);
        }
        if self.open.is_some() {
            return self.transaction_line(&mut args);
        }
        if setup::is_setup(first.text) {
            if !self.scenario.steps.is_empty() {
                return Err(first
                    .problem("a step")
                    .help("what is set up stands before the first step"));
            }
            return self.setup(&mut args);
        }
        self.step(place, &mut args)
    }

    fn header(&mut self, args: &mut Args<'_>) -> Parsed<What> {
        let expected = format!("`blkproof {VERSION}`, the first line of a scenario");
        let word = args.take(&expected)?;
        if word.text != "blkproof" {
            return Err(word.problem(expected));
        }
        let version = args.take("a version")?;
        let number = version.int("the version of the language")?;
        if number != VERSION {
            return Err(version
                .problem(format!("version {VERSION}"))
                .found(format!("version {number}"))
                .help(format!(
                    "the scenario is written for version {number}; \
                     this blkproof reads version {VERSION}"
                )));
        }
        args.finish()?;
        self.header = true;
        Ok(What::Header)
    }

    fn step(&mut self, place: Place<'_>, args: &mut Args<'_>) -> Parsed<What> {
        if self.scenario.steps.len() >= MAX_STEPS {
            return Err(args
                .take("a step")?
                .problem(format!("at most {MAX_STEPS} steps")));
        }
        let index = self.scenario.steps.len();
        if args.peek().is_some_and(|word| word.text == "transaction") {
            let open = open_transaction(place, args)?;
            self.open = Some(open);
            return Ok(What::Step(index));
        }
        let action = step::action(args)?;
        let is_check = matches!(action, Action::Check(_));
        let expect = args.parsed("expect", |value| match value.expect()? {
            Expect::Done | Expect::Any => value.expect(),
            _ if is_check => Err(value.problem("`done` or `any`: a check is no command")),
            other => Ok(other),
        })?;
        args.finish()?;
        self.scenario.steps.push(Step {
            action,
            expect: expect.unwrap_or(Expect::Done),
        });
        Ok(What::Step(index))
    }

    /// Takes in a line within a transaction.
    fn transaction_line(&mut self, args: &mut Args<'_>) -> Parsed<What> {
        let step = self.scenario.steps.len();
        if args.peek().is_some_and(|word| word.text == "end") {
            args.take("`end`")?;
            args.finish()?;
            self.close_transaction();
            return Ok(What::End);
        }
        let first = args.peek();
        let action = step::transaction_action(args)?;
        args.finish()?;
        let Some(open) = &mut self.open else {
            return Ok(What::Nothing);
        };
        if let Some(first) = first.filter(|_| open.actions.len() >= MAX_GROUP) {
            return Err(first.problem(format!("`end`: at most {MAX_GROUP} actions")));
        }
        open.actions.push(action);
        Ok(What::Action {
            step,
            index: open.actions.len() - 1,
        })
    }

    fn close_transaction(&mut self) {
        if let Some(open) = self.open.take() {
            self.scenario.steps.push(Step {
                action: Action::Transaction {
                    actions: open.actions,
                    mode: open.mode,
                },
                expect: open.expect,
            });
        }
    }

    fn finish(mut self, text: &str) -> Result<Document, Diagnostics> {
        if let Some(open) = self.open.take() {
            let line = text[open.start..].split('\n').next().unwrap_or("");
            let problem = Problem::new(line.trim_end(), open.start, "an `end` behind its actions");
            let problem = Problem {
                span: 0..line.trim_end().len(),
                ..problem
            };
            self.refuse(problem.on(open.number, line, open.start));
        }
        if !self.header && self.list.is_empty() {
            let expected = format!("`blkproof {VERSION}`, the first line of a scenario");
            let end = text.len();
            let number = u32::try_from(text.matches('\n').count() + 1).unwrap_or(u32::MAX);
            let problem = Problem::at_end(0, expected).found("the end of the text");
            self.refuse(problem.on(number, "", end));
        }
        if self.list.is_empty() {
            return Ok(Document {
                scenario: self.scenario,
                lines: self.lines,
            });
        }
        Err(Diagnostics {
            list: self.list,
            more: self.more,
        })
    }
}

fn open_transaction(place: Place<'_>, args: &mut Args<'_>) -> Parsed<Open> {
    args.take("`transaction`")?;
    let grouped = args.flag("grouped");
    let individual = args.flag("individual");
    let mode = if grouped && !individual {
        CompletionMode::Grouped
    } else if individual && !grouped {
        CompletionMode::Individual
    } else {
        return Err(match args.peek() {
            Some(word) => word.problem("one of `grouped` and `individual`"),
            None => args.missing("`grouped` or `individual`"),
        });
    };
    let expect = args.parsed("expect", Value::expect)?;
    args.finish()?;
    Ok(Open {
        number: place.number,
        start: place.start,
        mode,
        expect: expect.unwrap_or(Expect::Done),
        actions: Vec::new(),
    })
}
