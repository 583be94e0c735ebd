//! Failures, as programs read them.

use blkproof::{Report, WrongRange};
use serde::Serialize;

/// A case of a campaign, or a position of a sweep, that failed.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    /// The number of the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) case: Option<u64>,
    /// The request that was struck, such as `write 3 at drive0.file, once`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<String>,
    /// The file of the whole case; the failure is that of the shrunk one, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) whole: Option<String>,
    #[serde(flatten)]
    pub(crate) failure: Failure,
}

/// A failure: what does not hold, where, and how to see it again.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// The file of the scenario.
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u32>,
    /// The step in the words of the scenario text.
    what: String,
    /// What makes two failures the same, such as `restore-exact at check`.
    identities: Vec<String>,
    findings: Vec<Finding>,
    /// The steps that have to do with it.
    timeline: Vec<Step>,
    /// What the cuts of the power took.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cuts: Vec<Cut>,
    /// The command that replays it.
    replay: String,
}

/// A cut of the power.
#[derive(Debug, Serialize)]
struct Cut {
    /// The step that asked for it.
    step: u32,
    /// How many sectors it took: so many are enough.
    sectors: u64,
    /// What these were.
    parts: Vec<String>,
    /// The assumption that this breaks.
    assumption: String,
}

/// Something that does not hold.
#[derive(Debug, Serialize)]
struct Finding {
    /// The property's name, `expectation` or `subject`.
    name: &'static str,
    about: String,
    aspect: String,
    expected: String,
    seen: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<Range>,
    /// Whether more ranges are wrong than are told.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    has_more: bool,
}

/// A range of bytes whose contents are wrong.
#[derive(Debug, Serialize)]
struct Range {
    start: u64,
    end: u64,
    holds: String,
    should_hold: String,
}

/// A step that has to do with a failure.
#[derive(Debug, Serialize)]
struct Step {
    step: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    what: String,
    reply: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        let findings = report.findings.into_iter().map(|told| Finding {
            name: told.name,
            about: told.about,
            aspect: told.aspect,
            expected: told.expected,
            seen: told.seen,
            ranges: told.ranges.into_iter().map(Range::from).collect(),
            has_more: told.has_more,
        });
        let timeline = report.timeline.into_iter().map(|entry| Step {
            step: entry.step,
            line: entry.line,
            what: entry.what,
            reply: entry.reply,
            faults: entry.faults,
        });
        let cuts = report.cuts.into_iter().map(|cut| Cut {
            step: cut.step,
            sectors: cut.sectors,
            parts: cut.parts,
            assumption: cut.assumption,
        });
        Self {
            cuts: cuts.collect(),
            file: report.file,
            line: report.line,
            step: report.step,
            what: report.what,
            identities: report.identities,
            findings: findings.collect(),
            timeline: timeline.collect(),
            replay: report.replay,
        }
    }
}

impl From<WrongRange> for Range {
    fn from(range: WrongRange) -> Self {
        Self {
            start: range.start,
            end: range.end,
            holds: range.holds,
            should_hold: range.should_hold,
        }
    }
}
