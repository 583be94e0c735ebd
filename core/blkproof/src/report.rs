//! A failure told so that a person understands it: what does not hold, where, since when, and how
//! to see it again.
//!
//! A [`Report`] is plain data, for programs; [`Report::render`] makes the text of it.

mod contents;

mod lost;

mod render;

mod timeline;

use blkproof_spec::{Scenario, StepNumber};

use crate::outcome::{Failure, Finding, Moment};
use crate::text::{Document, describe};

pub use lost::ToldCut;
pub(crate) use render::{cuts_text, findings_text};
pub(crate) use timeline::firings;

/// A failure told.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The file of the scenario, as the caller names it.
    pub file: String,
    /// The line of the step, counted from 1.
    pub line: Option<u32>,
    /// The number of the step, counted from 1.
    pub step: Option<u32>,
    /// The step in the words of the scenario text, or what was done instead of a step.
    pub what: String,
    /// The identities of the failure, such as `restore-exact at check`.
    pub identities: Vec<String>,
    /// What does not hold.
    pub findings: Vec<Told>,
    /// The steps that have to do with it.
    pub timeline: Vec<Entry>,
    /// What the cuts of the power took.
    pub cuts: Vec<ToldCut>,
    /// How many steps the timeline leaves out.
    pub left_out: usize,
    /// The command that replays it.
    pub replay: String,
}

/// A finding told.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Told {
    /// The property's name, `expectation` or `subject`.
    pub name: &'static str,
    /// What must hold, as a sentence.
    pub sentence: &'static str,
    /// What it was seen on.
    pub about: String,
    /// Which of its aspects.
    pub aspect: String,
    /// What ought to be.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// For contents: where they are wrong.
    pub ranges: Vec<WrongRange>,
    /// Whether more ranges are wrong than are told.
    pub has_more: bool,
}

/// A range whose contents are wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct WrongRange {
    /// The first byte.
    pub start: u64,
    /// The position behind the last byte.
    pub end: u64,
    /// What it holds.
    pub holds: String,
    /// What it should hold.
    pub should_hold: String,
}

/// A step of the timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The step's number, counted from 1.
    pub step: u32,
    /// Its line, counted from 1.
    pub line: Option<u32>,
    /// The step in the words of the scenario text.
    pub what: String,
    /// The answer.
    pub reply: String,
    /// The faults that fired during it.
    pub faults: Vec<String>,
}

impl Report {
    /// Tells a failure of the scenario `document`, which is called `file`. `replay` is the command
    /// that runs it again.
    #[must_use]
    pub fn new(failure: &Failure, document: &Document, file: &str, replay: &str) -> Self {
        let number = match failure.moment {
            Moment::Step(number) => Some(number),
            _ => None,
        };
        let (timeline, left_out) = timeline::timeline(failure, document);
        let last = number.map_or(u32::MAX, |number| number.0);
        Self {
            file: file.to_owned(),
            line: number.and_then(|number| document.line_of(number)),
            step: number.map(|number| number.0),
            what: moment_text(&failure.moment, &document.scenario),
            identities: failure
                .identities()
                .iter()
                .map(ToString::to_string)
                .collect(),
            findings: failure
                .findings
                .iter()
                .map(|finding| told(finding, document, last))
                .collect(),
            timeline,
            cuts: lost::cuts(failure, &document.scenario),
            left_out,
            replay: replay.to_owned(),
        }
    }

    /// Renders the report as text, several lines, each ended.
    #[must_use]
    pub fn render(&self) -> String {
        render::report(self)
    }
}

fn moment_text(moment: &Moment, scenario: &Scenario) -> String {
    match moment {
        Moment::Preparing => "while the images were made".to_owned(),
        Moment::Opening => "while the disks were opened".to_owned(),
        Moment::End => "when everything was looked at for the last time".to_owned(),
        Moment::Step(number) => step_text(scenario, *number),
        Moment::Cleanup(action) => {
            let step = blkproof_spec::Step::new((**action).clone());
            format!("when everything was brought to an end: {}", describe(&step))
        }
    }
}

fn step_text(scenario: &Scenario, number: StepNumber) -> String {
    let index = usize::try_from(number.0)
        .ok()
        .and_then(|number| number.checked_sub(1));
    let step = index.and_then(|index| scenario.steps.get(index));
    step.map_or_else(|| "a step that the judge added".to_owned(), describe)
}

fn told(finding: &Finding, document: &Document, last: u32) -> Told {
    let name = finding.name();
    let sentence = match finding.property() {
        Some(property) => property.sentence(),
        None if name == "expectation" => "What the scenario states comes about.",
        None => "The subject can be opened, read and closed.",
    };
    let (about, aspect, expected, seen) = match finding {
        Finding::Violation(violation) => (
            violation.about.to_string(),
            violation.aspect.to_owned(),
            violation.expected.to_string(),
            violation.seen.to_string(),
        ),
        Finding::Expectation {
            aspect,
            expected,
            seen,
        } => (
            "the step".to_owned(),
            (*aspect).to_owned(),
            expected.clone(),
            seen.clone(),
        ),
        Finding::Unsound { image, complaints } => (
            format!("image {image}"),
            "structure".to_owned(),
            "a sound image".to_owned(),
            complaints.join("; "),
        ),
        Finding::Panic { message } => subject_text("answer", "an answer", message),
        Finding::Subject { doing, message } => subject_text(doing, "success", message),
    };
    let ranges = match finding {
        Finding::Violation(violation) => contents::ranges(violation, document, last),
        _ => Vec::new(),
    };
    let has_more = match finding {
        Finding::Violation(violation) => violation.has_more,
        _ => false,
    };
    Told {
        name,
        sentence,
        about,
        aspect,
        expected,
        seen,
        ranges,
        has_more,
    }
}

fn subject_text(doing: &str, expected: &str, seen: &str) -> (String, String, String, String) {
    (
        "the subject".to_owned(),
        doing.to_owned(),
        expected.to_owned(),
        seen.to_owned(),
    )
}
