//! What `--json` prints: one object a line, each with the version of the schema and its type.
//!
//! Within one version, fields may be added; none goes away or changes its meaning.

use serde::Serialize;

/// The version of the schema.
pub(crate) const SCHEMA: u32 = 1;

/// A line of the output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Record<'a> {
    /// A property that engines are held to.
    Property(Property<'a>),
    /// A scenario file that is broken.
    Broken(Broken<'a>),
    /// A scenario file that `fmt` looked at.
    Formatted(Formatted<'a>),
}

/// A property that engines are held to.
#[derive(Debug, Serialize)]
pub(crate) struct Property<'a> {
    pub(crate) name: &'a str,
    pub(crate) sentence: &'a str,
    pub(crate) when: &'a str,
}

/// A scenario file that is broken.
#[derive(Debug, Serialize)]
pub(crate) struct Broken<'a> {
    pub(crate) path: &'a str,
    pub(crate) problems: Vec<Problem<'a>>,
    /// How many problems are not listed.
    pub(crate) more: usize,
}

/// What is wrong with a scenario file, and where.
#[derive(Debug, Serialize)]
pub(crate) struct Problem<'a> {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) found: &'a str,
    pub(crate) expected: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<&'a str>,
}

/// A scenario file that `fmt` looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Formatted<'a> {
    pub(crate) path: &'a str,
    pub(crate) canonical: bool,
    pub(crate) rewritten: bool,
}

impl Record<'_> {
    /// Returns the record as a line, without its end.
    pub(crate) fn line(&self) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Line<'a> {
            schema: u32,
            #[serde(flatten)]
            record: &'a Record<'a>,
        }
        serde_json::to_string(&Line {
            schema: SCHEMA,
            record: self,
        })
    }
}
