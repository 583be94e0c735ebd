//! What comes of running a scenario.

use core::fmt;

use blkproof_spec::fault::Firing;
use blkproof_spec::model::Violation;
use blkproof_spec::step::Action;
use blkproof_spec::{
    ByteRange, FaultRule, ImageName, Property, Reply, Scenario, StatedOutcome, StepNumber,
};

use crate::run::sha256_hex;
use crate::text::keyword;

/// What came of running a scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Every property and every expectation held.
    Held(Counts),
    /// Something did not hold.
    Failed(Box<Failure>),
    /// The run counts for nothing.
    NotJudged(NotJudged, Counts),
}

/// Why a run counts for nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NotJudged {
    /// A fault fired that the subject does not claim to detect.
    Undetectable,
    /// The subject could not open its disks, or close them for a restart, while faults fired.
    NotOpened(String),
    /// All that does not hold is known ([`known`](crate::known)).
    Known,
}

/// What a run did.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Counts {
    /// The steps that were carried out.
    pub steps: u64,
    /// The steps that the judge added to bring everything to an end.
    pub cleanup_steps: u64,
    /// The backups and transactions of the scenario that were accepted or carried out.
    pub backups: u64,
    /// The fault rules that were installed.
    pub rules: u64,
    /// How many requests or events the rules matched.
    pub matched: u64,
    /// How often a rule acted.
    pub fired: u64,
    /// The rules that never acted, in the order of their installation.
    pub idle_rules: Vec<FaultRule>,
    /// How often power was lost or the process killed.
    pub losses: u64,
    /// The cuts of the power that struck, with what they took.
    pub cuts: Vec<Cut>,
    /// The comparisons that the model demanded.
    pub demands: u64,
    /// The bytes that were compared.
    pub bytes_compared: u64,
    /// The SHA-256 of everything observable, where tracing was asked for.
    pub trace: Option<[u8; 32]>,
}

/// A cut of the power that struck.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Cut {
    /// The step that asked for it.
    pub asked: StepNumber,
    /// What was pending, in order, image by image.
    pub pending: Vec<(ImageName, ByteRange)>,
    /// What of that did not reach the medium.
    pub lost: Vec<(ImageName, ByteRange)>,
    /// What that was, where it was asked for
    /// ([`Options::tell_lost`](crate::Options::tell_lost)) and an inspector can tell.
    pub parts: Vec<LostPart>,
}

/// A part of an image that a cut of the power took.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LostPart {
    /// The image.
    pub image: ImageName,
    /// The bytes of its file.
    pub range: ByteRange,
    /// What they are, in the words of the format.
    pub what: &'static str,
    /// Which byte of the guest the first of them is, if they are data.
    pub guest: Option<u64>,
    /// What leads there.
    pub led_by: Option<LedBy>,
}

/// What leads to something that was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LedBy {
    /// What it is, in the words of the format.
    pub what: &'static str,
    /// It was not durable either, and reached the medium.
    pub fresh: bool,
    /// It leads there now, behind the cut.
    pub remains: bool,
}

/// When something did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Moment {
    /// While the images were made.
    Preparing,
    /// While the disks were opened.
    Opening,
    /// At a step of the scenario.
    Step(StepNumber),
    /// At a step that the judge added.
    Cleanup(Box<Action>),
    /// When everything was looked at for the last time.
    End,
}

/// A failure: the first divergence, with everything that does not hold there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// When.
    pub moment: Moment,
    /// The kind of the step, as the scenario text names it.
    pub step_kind: &'static str,
    /// What does not hold. There is at least one.
    pub findings: Vec<Finding>,
    /// The answers so far, one for each step carried out.
    pub replies: Vec<Reply>,
    /// The faults that fired, each with the number of its step (0: while opening); at most
    /// [`FIRINGS_MAX`](Self::FIRINGS_MAX), the first ones.
    pub firings: Vec<(StepNumber, Firing)>,
    /// What was done until then.
    pub counts: Counts,
}

/// Something that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Finding {
    /// A property does not hold, says the model.
    Violation(Box<Violation>),
    /// The scenario says otherwise.
    Expectation {
        /// What is meant, as a noun: `reply`, `count`, `event`.
        aspect: &'static str,
        /// What the scenario says.
        expected: String,
        /// What was seen.
        seen: String,
    },
    /// An image is damaged.
    Unsound {
        /// The image.
        image: ImageName,
        /// What is wrong with it.
        complaints: Vec<String>,
    },
    /// The subject panicked.
    Panic {
        /// What it said.
        message: String,
    },
    /// The subject could not do what the judge needs.
    Subject {
        /// What it was asked for.
        doing: String,
        /// What it said.
        message: String,
    },
}

impl Finding {
    /// Returns the property that does not hold; a stated expectation belongs to none.
    #[must_use]
    pub fn property(&self) -> Option<Property> {
        match self {
            Self::Violation(violation) => Some(violation.property),
            Self::Unsound { .. } => Some(Property::ImageSound),
            Self::Panic { .. } => Some(Property::NoCrash),
            Self::Expectation { .. } | Self::Subject { .. } => None,
        }
    }

    /// Returns the stable name of what does not hold: a property's, `expectation` or `subject`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Expectation { .. } => "expectation",
            Self::Subject { .. } => "subject",
            other => other.property().map_or("", Property::name),
        }
    }
}

/// What makes two failures the same: never the text of a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identity {
    /// What does not hold: a property's name, `expectation` or `subject`.
    pub what: &'static str,
    /// The kind of the step.
    pub step_kind: &'static str,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.what, self.step_kind)
    }
}

impl Failure {
    /// The most firings that are kept of one run: a job can meet millions.
    pub const FIRINGS_MAX: usize = 4096;

    /// Returns the identities of the findings, each once, in the order in which they were found.
    #[must_use]
    pub fn identities(&self) -> Vec<Identity> {
        let mut out: Vec<Identity> = Vec::new();
        for finding in &self.findings {
            let identity = Identity {
                what: finding.name(),
                step_kind: self.step_kind,
            };
            if !out.contains(&identity) {
                out.push(identity);
            }
        }
        out
    }

    /// Tells whether this property is among those that do not hold.
    #[must_use]
    pub fn breaks(&self, property: &str) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.name() == property)
    }
}

impl Moment {
    /// Returns the kind of the step, as the scenario text names it.
    #[must_use]
    pub fn step_kind(&self, scenario: &Scenario) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Opening => "opening",
            Self::Step(number) => step(scenario, *number).map_or("step", |action| keyword(action)),
            Self::Cleanup(_) => "cleanup",
            Self::End => "end",
        }
    }
}

fn step(scenario: &Scenario, number: StepNumber) -> Option<&Action> {
    let index = usize::try_from(number.0).ok()?.checked_sub(1)?;
    scenario.steps.get(index).map(|step| &step.action)
}

impl Outcome {
    /// Tells whether the run ended as the scenario states.
    #[must_use]
    pub fn meets(&self, stated: &StatedOutcome) -> bool {
        match (self, stated) {
            (Self::Held(_), StatedOutcome::Pass) => true,
            (Self::Failed(failure), StatedOutcome::Fail(property)) => {
                failure.breaks(property.as_str())
            }
            _ => false,
        }
    }

    /// Returns what came of two runs of a scenario, both with their traces: that of the first one,
    /// and that the second one went another way, if it did.
    #[must_use]
    pub fn of_two(first: Self, second: &Self, scenario: &Scenario) -> Self {
        let (one, other) = (first.counts().trace, second.counts().trace);
        if one == other {
            return first;
        }
        let mut failure = match first {
            Self::Failed(failure) => failure,
            Self::Held(counts) | Self::NotJudged(_, counts) => Box::new(Failure {
                moment: Moment::End,
                step_kind: Moment::End.step_kind(scenario),
                findings: Vec::new(),
                replies: Vec::new(),
                firings: Vec::new(),
                counts,
            }),
        };
        let trace = |digest: Option<[u8; 32]>| match digest {
            Some(digest) => format!("trace {}", &sha256_hex(&digest)[..16]),
            None => "no trace".to_owned(),
        };
        let differs = Violation::not_deterministic(&trace(one), &trace(other));
        failure.findings.push(Finding::Violation(Box::new(differs)));
        Self::Failed(failure)
    }

    /// Returns what the run did.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        match self {
            Self::Held(counts) | Self::NotJudged(_, counts) => counts,
            Self::Failed(failure) => &failure.counts,
        }
    }
}
