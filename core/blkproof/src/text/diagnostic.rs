//! What is wrong with a scenario text, and where.

use core::fmt;
use core::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// How many errors of one text are kept; the others are only counted.
pub(crate) const MAX_DIAGNOSTICS: usize = 20;

const EXCERPT: usize = 48;

/// One error of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1 in characters.
    pub column: u32,
    /// What stands there.
    pub found: String,
    /// What should stand there.
    pub expected: String,
    /// What helps: mostly the nearest known word.
    pub help: Option<String>,
    /// The bytes of the whole text that are meant.
    span: Range<usize>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            found,
            expected,
            ..
        } = self;
        write!(f, "{line}:{column}: found {found}, expected {expected}")?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// All errors of a text, in the order of their lines. There is at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostics {
    /// The first ones.
    pub list: Vec<Diagnostic>,
    /// How many more there are.
    pub more: usize,
}

impl Diagnostics {
    /// Renders the errors with an excerpt of `source`, the text that was parsed, under `file`'s
    /// name.
    #[must_use]
    pub fn render(&self, file: &str, source: &[u8]) -> String {
        let source = String::from_utf8_lossy(source);
        let mut out = String::new();
        for diagnostic in &self.list {
            out.push_str(&render(diagnostic, file, &source));
            out.push('\n');
        }
        if self.more > 0 {
            out.push_str(&format!("and {} more errors\n", self.more));
        }
        out
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{diagnostic}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more errors"),
        }
    }
}

impl core::error::Error for Diagnostics {}

/// Excerpts of longer lines would not fit on a screen, and of longer texts would take long to make.
const EXCERPT_LINE: usize = 200;

fn render(diagnostic: &Diagnostic, file: &str, source: &str) -> String {
    let Diagnostic {
        line,
        column,
        found,
        expected,
        help,
        span,
    } = diagnostic;
    let text = source.get(line_around(source, span.start)).unwrap_or("");
    let first = source[..source.len().min(span.start)]
        .rfind('\n')
        .map_or(0, |index| index + 1);
    let fits = text.len() <= EXCERPT_LINE && !text.chars().any(|c| c.is_control() && c != '\t');
    let marked = (span.start - first.min(span.start))..(span.end - first.min(span.end));
    if !fits || text.get(marked.clone()).is_none() {
        return format!("error: {file}:{diagnostic}\n");
    }
    let title = format!("found {found}, expected {expected}");
    let primary = Level::ERROR.primary_title(title.as_str()).element(
        Snippet::source(text)
            .path(file)
            .line_start(usize::try_from(*line).unwrap_or(1))
            .annotation(
                AnnotationKind::Primary
                    .span(marked)
                    .label(expected.as_str()),
            ),
    );
    let _ = column;
    let report = match help {
        Some(help) => vec![primary.element(Level::HELP.message(help.as_str()))],
        None => vec![primary],
    };
    format!("{}\n", Renderer::plain().render(&report))
}

fn line_around(source: &str, position: usize) -> Range<usize> {
    let position = position.min(source.len());
    let bytes = source.as_bytes();
    let start = bytes[..position]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |index| index + 1);
    let end = bytes[position..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(source.len(), |index| position + index);
    start..end
}

/// An error within one line, before it is known where the line stands.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The bytes of the line that are meant.
    pub(crate) span: Range<usize>,
    pub(crate) found: String,
    pub(crate) expected: String,
    pub(crate) help: Option<String>,
}

impl Problem {
    /// Makes the error that `text`, which stands at `start`, is not what was `expected`.
    pub(crate) fn new(text: &str, start: usize, expected: impl Into<String>) -> Self {
        let found = if text.is_empty() {
            "nothing".to_owned()
        } else {
            quoted(text)
        };
        Self {
            span: start..start + text.len(),
            found,
            expected: expected.into(),
            help: None,
        }
    }

    /// Makes the error that the line, `len` bytes long, ends too early.
    pub(crate) fn at_end(len: usize, expected: impl Into<String>) -> Self {
        Self {
            span: len..len,
            found: "the end of the line".to_owned(),
            expected: expected.into(),
            help: None,
        }
    }

    pub(crate) fn found(mut self, found: impl Into<String>) -> Self {
        self.found = found.into();
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the nearest of the `known` words to `word`, if one is near.
    pub(crate) fn nearest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let word: String = word.chars().take(EXCERPT).collect();
        let best = known
            .into_iter()
            .map(|known| (strsim::normalized_damerau_levenshtein(&word, known), known))
            .filter(|(nearness, _)| *nearness > 0.5)
            .max_by(|(one, _), (other, _)| one.total_cmp(other));
        match best {
            Some((_, known)) => self.help(format!("did you mean `{known}`?")),
            None => self,
        }
    }

    /// Places the error on line `number` (from 1), which is `text` and starts at byte `start`.
    pub(crate) fn on(self, number: u32, text: &str, start: usize) -> Diagnostic {
        let before = text
            .get(..self.span.start)
            .map_or(0, |part| part.chars().count());
        Diagnostic {
            line: number,
            column: u32::try_from(before + 1).unwrap_or(u32::MAX),
            found: self.found,
            expected: self.expected,
            help: self.help,
            span: start + self.span.start..start + self.span.end,
        }
    }
}

/// Returns the text in quotes, shortened where it is long, without control characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(EXCERPT)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(EXCERPT).is_some() {
        short.push_str("...");
    }
    format!("`{short}`")
}
