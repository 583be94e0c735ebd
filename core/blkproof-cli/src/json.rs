//! What `--json` prints: one object a line, each with the version of the schema and its type.
//!
//! Within one version, fields may be added; none goes away or changes its meaning.

mod corpus;

mod failure;

#[cfg(unix)]
mod judged;
mod log;

mod shrunk;

pub(crate) use corpus::{Checked, Exported, Imported, MadeUp, Minimised};
pub(crate) use failure::{Case, Failure};
#[cfg(unix)]
pub(crate) use judged::{Struck, ToolJudged};
pub(crate) use log::{LogBroken, LogExported, LogSwept};
pub(crate) use shrunk::{Explained, Part, Shrunk};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::run::Folder as CorporaFolder;

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
    /// A scenario file that was replayed.
    Scenario(Box<Scenario>),
    /// A case of a campaign, or a position of a sweep, that failed.
    Failure(Box<Case>),
    /// A scenario file that was swept.
    Sweep(Swept<'a>),
    /// A scenario file of which every loss of power was tried.
    PowerSweep(PowerSwept<'a>),
    /// A seeded bug that was hunted.
    Bug(Bug<'a>),
    /// The small scenarios with one number of guest steps.
    Tier(Tier),
    /// A scenario that was made smaller.
    Shrunk(Box<Shrunk<'a>>),
    /// A failure whose parts were weighed.
    Explained(Box<Explained>),
    /// A scenario file that `corpus check` looked at.
    Checked(Checked<'a>),
    MadeUp(MadeUp<'a>),
    /// A scenario file that `corpus minimise` weighed.
    Minimised(Minimised<'a>),
    /// An input of a fuzzer that became a scenario file.
    Imported(Imported<'a>),
    /// A scenario file that became an input for a fuzzer.
    Exported(Exported<'a>),
    /// A request of a tool that was struck.
    #[cfg(unix)]
    Struck(Struck<'a>),
    /// What judging a tool comes to.
    #[cfg(unix)]
    ToolJudged(ToolJudged),
    /// A disk that is served to other programs.
    #[cfg(unix)]
    Serving(Serving<'a>),
    /// A scenario of which a write log was made.
    LogExported(LogExported<'a>),
    /// A state that a cut in the midst of a write log left, and that is not as it must be.
    LogBroken(LogBroken<'a>),
    /// A write log of which every loss of power was tried.
    LogSwept(LogSwept<'a>),
    /// What the cases of a run reached.
    Coverage(Coverage),
    /// What a run comes to.
    Summary(Box<Summary>),
}

/// A disk that is served to other programs.
#[cfg(unix)]
#[derive(Debug, Serialize)]
pub(crate) struct Serving<'a> {
    pub(crate) name: &'a str,
    pub(crate) size: u64,
    /// Where clients reach it.
    pub(crate) uris: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) control: Option<String>,
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

/// A scenario file that was replayed.
#[derive(Debug, Serialize)]
pub(crate) struct Scenario {
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    /// How it states that it ends: `pass` or `fail PROPERTY`.
    pub(crate) stated: String,
    /// Whether it ended like that.
    pub(crate) met: bool,
    /// `held`, `failed` or `not-judged`.
    pub(crate) outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_judged: Option<String>,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
}

/// A scenario file that was swept.
#[derive(Debug, Serialize)]
pub(crate) struct Swept<'a> {
    pub(crate) path: &'a str,
    #[serde(flatten)]
    pub(crate) sweep: Sweep,
}

/// A scenario file of which every loss of power was tried.
#[derive(Debug, Serialize)]
pub(crate) struct PowerSwept<'a> {
    pub(crate) path: &'a str,
    /// The operations in whose midst power was cut.
    pub(crate) positions: u64,
    /// The same by what they were in the midst of.
    pub(crate) midst: BTreeMap<&'static str, u64>,
    /// The cuts: at each position one for each policy.
    pub(crate) cuts: u64,
    /// How many different states they left.
    pub(crate) states: u64,
    /// What second cuts come to, in the midst of the recoveries from these states.
    pub(crate) recovery: RecoveryCuts,
    /// Of all these states.
    pub(crate) held: u64,
    pub(crate) failed: u64,
    pub(crate) not_judged: u64,
    /// Whether no cut was left out.
    pub(crate) complete: bool,
}

/// What cuts in the midst of recoveries come to.
#[derive(Debug, Serialize)]
pub(crate) struct RecoveryCuts {
    /// The operations in whose midst power was cut.
    pub(crate) positions: u64,
    pub(crate) cuts: u64,
    /// How many states they left that nothing had left before.
    pub(crate) states: u64,
}

/// The small scenarios with one number of guest steps.
#[derive(Debug, Serialize)]
pub(crate) struct Tier {
    pub(crate) guest_steps: u32,
    pub(crate) scenarios: u64,
    pub(crate) held: u64,
    pub(crate) not_judged: u64,
    /// Whether no scenario was left out.
    pub(crate) complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) single_faults: Option<Sweep>,
}

/// A seeded bug that was hunted.
#[derive(Debug, Serialize)]
pub(crate) struct Bug<'a> {
    pub(crate) name: &'a str,
    /// Its number in the catalogue of historical bugs.
    pub(crate) entry: &'a str,
    /// The property that must catch it.
    pub(crate) property: &'a str,
    /// How many cases each campaign took; null where the bug got away.
    pub(crate) cases: Vec<Option<u64>>,
    pub(crate) median_cases: Option<u64>,
    pub(crate) seconds: f64,
    /// The steps of the cases that caught it, in the middle.
    pub(crate) steps: Option<usize>,
    pub(crate) steps_shrunk: Option<usize>,
    /// How many candidates the shrinking of one ran at most.
    pub(crate) candidates: Option<u64>,
    /// What the kept scenario does: `shows`, `missing` or `wrong`; absent without such a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<&'static str>,
}

/// What single faults come to.
#[derive(Debug, Serialize)]
pub(crate) struct Sweep {
    /// How many positions of each kind of request were tried.
    pub(crate) positions: BTreeMap<&'static str, u64>,
    pub(crate) held: u64,
    pub(crate) failed: u64,
    pub(crate) not_judged: u64,
    /// Whether no position was left out.
    pub(crate) complete: bool,
}

/// What was done.
#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    pub(crate) steps: u64,
    pub(crate) comparisons: u64,
    pub(crate) bytes_compared: u64,
    pub(crate) faults: Faults,
}

impl From<&blkproof::Counts> for Counts {
    fn from(counts: &blkproof::Counts) -> Self {
        Self {
            steps: counts.steps,
            comparisons: counts.demands,
            bytes_compared: counts.bytes_compared,
            faults: Faults {
                planned: counts.rules,
                matched: counts.matched,
                fired: counts.fired,
                idle: counts.idle_rules.len() as u64,
            },
        }
    }
}

/// What became of fault rules.
#[derive(Debug, Serialize)]
pub(crate) struct Faults {
    /// How many rules there were.
    pub(crate) planned: u64,
    /// How often one matched.
    pub(crate) matched: u64,
    /// How often one acted.
    pub(crate) fired: u64,
    /// How many never acted.
    pub(crate) idle: u64,
}

/// What the cases of a run reached.
#[derive(Debug, Serialize)]
pub(crate) struct Coverage {
    /// What was reached at all.
    pub(crate) cells: Vec<Cell>,
    /// What was never reached without a reason.
    pub(crate) holes: Vec<Cell>,
    /// What was reached although there is a reason why nothing can reach it.
    pub(crate) contradictions: Vec<Cell>,
    /// How often something of each property was judged.
    pub(crate) properties: Vec<Judged>,
    /// The faults that struck, by what they ask of an engine.
    pub(crate) struck: Vec<StruckFaults>,
}

/// A property, and how often something of it was judged.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    pub(crate) property: &'static str,
    pub(crate) judged: u64,
}

/// Faults that struck and ask the same.
#[derive(Debug, Serialize)]
pub(crate) struct StruckFaults {
    /// `within` the budget of what has to be got over, `by-policy`, or `beyond` it.
    pub(crate) budget: &'static str,
    pub(crate) disk: u64,
    pub(crate) image: u64,
}

/// A cell of the table of what was reached.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) step: &'static str,
    pub(crate) job: &'static str,
    pub(crate) fault: &'static str,
    pub(crate) answer: &'static str,
    pub(crate) count: u64,
}

/// What a run comes to.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) seed: u64,
    pub(crate) profiles: Vec<String>,
    /// The time that was asked for, where it was not a number of cases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds_asked: Option<f64>,
    /// The share of the campaign that was judged, where it was not the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<String>,
    /// The seeded bugs that were on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) bugs: Vec<String>,
    pub(crate) jobs: usize,
    pub(crate) corpora: Vec<Folder>,
    pub(crate) cases: u64,
    pub(crate) failed: u64,
    /// In which ways cases failed.
    pub(crate) ways: Vec<Way>,
    pub(crate) not_judged: u64,
    /// The cases in which nothing but known findings could be seen.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) masked: u64,
    /// What was looked behind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) known: Vec<Known>,
    pub(crate) twice: u64,
    pub(crate) writes: u64,
    pub(crate) backups: u64,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) digest: String,
    pub(crate) seconds: f64,
    /// Whether a signal stopped it before its end.
    pub(crate) interrupted: bool,
    /// The command that judges the same cases again, where one does.
    pub(crate) again: Option<String>,
    /// The command that goes on with a campaign that stopped before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resume: Option<String>,
    /// The exit code.
    pub(crate) exit: u8,
}

/// A known finding that a campaign looked behind.
#[derive(Debug, Serialize)]
pub(crate) struct Known {
    pub(crate) finding: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    /// How often it showed; 0 where it no longer does.
    pub(crate) seen: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "this is how it is called"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The cases that failed in one way.
#[derive(Debug, Serialize)]
pub(crate) struct Way {
    /// The property and the kind of step.
    pub(crate) identity: String,
    pub(crate) cases: u64,
    /// The files of those that were kept.
    pub(crate) kept: Vec<String>,
}

/// A folder of the corpora.
#[derive(Debug, Serialize)]
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) scenarios: u64,
    /// How many ended as they state.
    pub(crate) met: u64,
}

impl From<&CorporaFolder> for Folder {
    fn from(folder: &CorporaFolder) -> Self {
        Self {
            name: folder.name.clone(),
            scenarios: folder.all,
            met: folder.met,
        }
    }
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
