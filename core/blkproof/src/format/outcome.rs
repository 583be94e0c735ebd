//! What comes of running a scenario of the format level.

use core::fmt;

use blkproof_spec::content::{Bytes, Provenance};
use blkproof_spec::{ByteRange, FaultRule, IoType, SECTOR, StepNumber};

use super::scenario::Stated;
use super::text::STEPS;
use crate::known::{Known, KnownError, Sightings, Words};

macro_rules! properties {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $sentence:literal;)+) => {
        /// A property that an image library is held to, by its stable name.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Property { $($(#[$doc])* $variant),+ }

        impl Property {
            /// All properties.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns its stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Returns the sentence that says what must hold.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence),+ }
            }
        }
    };
}

properties! {
    /// Reads return what was written.
    ReadsExact = "reads-exact",
        "A read that succeeds returns what was written last; what a request that failed was to \
         write stands there or not.";
    /// Success is whole.
    SuccessWhole = "success-whole",
        "A request that reports success was carried out as a whole.";
    /// Errors have causes.
    ErrorsCaused = "errors-caused",
        "A request fails only where a fault strikes while it is carried out: nothing stays stuck.";
    /// What was flushed survives a kill.
    FlushedSurvives = "flushed-survives",
        "After its process was killed an image holds what was flushed.";
    /// What was synced survives a loss of power.
    SyncedSurvives = "synced-survives",
        "After its power was cut an image holds what was made durable.";
    /// Images can be opened again.
    OpensAgain = "opens-again",
        "An image that was closed, or whose process or power was lost, can be opened.";
    /// The structure is sound.
    ImageSound = "image-sound",
        "Whatever failed, the image's file is not corrupt.";
    /// Nothing leaks.
    NoLeaks = "no-leaks",
        "Where nothing failed, every cluster that is counted as used is used.";
    /// Others see the same.
    SameForOthers = "same-for-others",
        "Who reads the file of a closed image without the library sees what the library wrote.";
    /// The size is right.
    SizeExact = "size-exact",
        "The image has the size that it was given last.";
    /// Nothing panics.
    NoCrash = "no-crash",
        "The library does not panic.";
    /// Requests end.
    Ends = "ends",
        "Every request comes to an end.";
    /// Requests are aligned.
    Aligned = "aligned",
        "The library's requests have the alignment that their device asks for.";
}

impl Property {
    /// Returns the one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|property| property.name() == name).copied()
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a list of known findings of the format level; see [`known`](crate::known).
///
/// # Errors
///
/// Where a line names nothing that can be found.
///
/// ```
/// let known = blkproof::format::known("image-sound at kill: after a kill\n")?;
/// assert_eq!(known.findings().len(), 1);
/// # Ok::<(), blkproof::known::KnownError>(())
/// ```
pub fn known(text: &str) -> Result<Known, KnownError> {
    let whats: Vec<&str> = Property::ALL
        .iter()
        .map(|property| property.name())
        .collect();
    // The kinds of steps, and the moments that are none.
    let kinds = [&["opening", "end"], &STEPS[..]].concat();
    Known::parse_with(text, Words::new(&whats, &kinds))
}

/// What came of running a scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Every property held.
    Held(Counts),
    /// Something did not hold.
    Failed(Box<Failure>),
    /// The run counts for nothing, for this reason.
    NotJudged(String, Counts),
}

impl Outcome {
    /// Tells whether the run ended as the scenario states.
    #[must_use]
    pub fn meets(&self, stated: Stated) -> bool {
        match (self, stated) {
            (Self::Held(_), Stated::Pass) => true,
            (Self::Failed(failure), Stated::Fail(property)) => {
                let mut findings = failure.findings.iter();
                findings.any(|finding| finding.property == property)
            }
            _ => false,
        }
    }

    /// Returns what the run did.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        match self {
            Self::Held(counts) | Self::NotJudged(_, counts) => counts,
            Self::Failed(failure) => &failure.counts,
        }
    }

    /// Returns the failure, if it is one.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

/// What a run did.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Counts {
    /// The steps that were carried out.
    pub steps: u64,
    /// The requests that were made again.
    pub retries: u64,
    /// How often the image was opened.
    pub opens: u64,
    /// How often a rule acted.
    pub fired: u64,
    /// How often power was lost or the process killed.
    pub losses: u64,
    /// How often all of the image was read and compared.
    pub looks: u64,
    /// The rules that never acted.
    pub idle_rules: Vec<FaultRule>,
    /// The known findings that were passed over.
    pub masked: Sightings,
}

/// A failure: the first step at which something does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The step; `None` where it is what comes before or behind all steps.
    pub step: Option<StepNumber>,
    /// The kind of the step: its first word, `opening` or `end`.
    pub step_kind: &'static str,
    /// What happened last to the library before.
    pub after: Disturbance,
    /// What does not hold. There is at least one.
    pub findings: Vec<Finding>,
    /// What was answered so far: the number of the step and the answer.
    pub answers: Vec<(StepNumber, String)>,
    /// What was done until then.
    pub counts: Counts,
}

impl Failure {
    /// Returns what identifies it: its first finding.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let first = self.findings.first();
        Identity {
            property: first.map_or(Property::NoCrash, |finding| finding.property),
            step_kind: self.step_kind,
            after: self.after,
        }
    }
}

/// Something that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The property.
    pub property: Property,
    /// What was seen, what happened last before, and what struck the image since it was last found
    /// right, if something did.
    pub seen: String,
    /// The bytes that are wrong, where it is about bytes: the first ones.
    pub wrong: Vec<WrongPlace>,
}

/// Bytes that are not what they should be.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct WrongPlace {
    /// Where.
    pub range: ByteRange,
    /// What may stand there.
    pub wanted: Vec<Bytes>,
    /// What stands there.
    pub found: Found,
}

impl WrongPlace {
    /// Returns what stands there in a word or two: what one bug has in common, wherever it shows.
    pub(super) fn kind(&self) -> &'static str {
        let zeroes = |bytes: &Bytes| *bytes == Bytes::ZERO;
        match self.found {
            Found::Fill(0) => "zeroes",
            Found::Fill(UNREAD) => "what the buffer held before",
            Found::Stamp(from) if from.disk.0 > 0 && self.wanted.iter().any(zeroes) => {
                "the base where zeroes belong"
            }
            Found::Stamp(from) if from.disk.0 > 0 => "the base",
            Found::Stamp(from) if from.sector == self.range.start / SECTOR => "an older write",
            Found::Stamp(_) => "what belongs elsewhere",
            Found::Fill(_) | Found::Other => "what nobody wrote there",
        }
    }
}

/// What stands in a buffer that is to be read into: it must not look right by chance.
pub(super) const UNREAD: u8 = 0xa5;

/// What stands somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Found {
    /// Every byte is this one.
    Fill(u8),
    /// What was written somewhere at some time.
    Stamp(Provenance),
    /// Something else.
    Other,
}

/// What happened last to a library that makes a difference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Disturbance {
    /// Nothing.
    Nothing,
    /// A request of this kind to a device failed; what its bytes were to the image, where somebody
    /// can tell: `L1 table`, `data`.
    Fault(IoType, Option<&'static str>),
    /// Its process was killed.
    Kill,
    /// The power was cut.
    PowerCut,
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Fault(kind, None) => write!(f, "a failed {kind}"),
            Self::Fault(kind, Some(of)) => write!(f, "a failed {kind} of {of}"),
            Self::Kill => f.write_str("a kill"),
            Self::PowerCut => f.write_str("a power cut"),
        }
    }
}

/// What makes two failures of one library the same: never the text of a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identity {
    /// What does not hold.
    pub property: Property,
    /// The kind of the step.
    pub step_kind: &'static str,
    /// What happened last before.
    pub after: Disturbance,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (property, step, after) = (self.property, self.step_kind, self.after);
        write!(f, "{property} at {step} after {after}")
    }
}
