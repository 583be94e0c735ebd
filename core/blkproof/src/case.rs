//! A case: a scenario as bytes, for whoever chooses bytes.
//!
//! The first byte says what the others are: 1 stands before a literal plan, which is the text of a
//! scenario; anything else, by custom 0, before choices for the generator. A literal plan is read
//! leniently (lines that are wrong are left out), so that any bytes are a case, and any scenario
//! whose setup is valid is the case of some bytes.

use core::fmt;

use blkproof_spec::step::{Action, Expect};
use blkproof_spec::{Scenario, StatedOutcome};

use crate::generate::{self, Choices, Profile};
use crate::text;

/// A scenario that was made up, or decoded from bytes.
///
/// ```
/// use blkproof::Case;
///
/// // Any bytes are a case: choices for the generator, ...
/// let case = Case::decode(&[0, 17, 4, 200, 3, 99]);
/// assert!(!case.scenario().steps.is_empty());
///
/// // ... or a scenario's own text, and so every scenario is the case of some bytes.
/// let bytes = Case::encode(case.scenario());
/// assert_eq!(Case::decode(&bytes), case);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Case(Scenario);

impl Case {
    /// The byte that stands before choices for the generator.
    pub const CHOICES: u8 = 0;

    /// The byte that stands before a literal plan.
    pub const PLAN: u8 = 1;

    /// Decodes any bytes. The cost is bounded by their number.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        match bytes {
            [Self::PLAN, plan @ ..] => Self(text::parse_leniently(plan)),
            bytes => Self(chosen(bytes.get(1..).unwrap_or_default())),
        }
    }

    /// Decodes what a fuzzer made: any bytes, as [`Case::decode`] does, with two differences.
    /// Choices are for `profile`, where one is given, and none of them chooses one. A literal plan
    /// keeps nothing of what it states about its steps: once a program has changed it, the model
    /// alone knows how they have to be answered.
    ///
    /// ```
    /// use blkproof::{Case, text};
    ///
    /// let plan = b"\x01disk d 1M raw\nwrite d 0 512 stamp expect=failed(EIO)\n";
    /// let fuzzed = Case::from_fuzzer(plan, None);
    /// assert!(text::print(fuzzed.scenario()).ends_with("expect=any\n"));
    /// ```
    #[must_use]
    pub fn from_fuzzer(bytes: &[u8], profile: Option<&Profile>) -> Self {
        match (bytes, profile) {
            ([Self::PLAN, plan @ ..], _) => Self(unstated(text::parse_leniently(plan))),
            (bytes, None) => Self::decode(bytes),
            (bytes, Some(profile)) => {
                let choices = bytes.get(1..).unwrap_or_default();
                Self(generate::scenario(
                    &mut Choices::from_bytes(choices),
                    profile,
                ))
            }
        }
    }

    /// Encodes a scenario as a literal plan: what stands behind its first byte is its text.
    #[must_use]
    pub fn encode(scenario: &Scenario) -> Vec<u8> {
        let mut bytes = vec![Self::PLAN];
        bytes.extend(text::print(scenario).into_bytes());
        bytes
    }

    /// Makes up case `number` of the campaign `seed`.
    #[must_use]
    pub fn of(seed: u64, number: u64, profile: &Profile) -> Self {
        Self(generate::case(seed, number, profile))
    }

    /// Returns the scenario.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.0
    }

    /// Returns the scenario.
    #[must_use]
    pub fn into_scenario(self) -> Scenario {
        self.0
    }
}

/// Makes up a scenario from chosen bytes, of which the first chooses the profile.
fn chosen(bytes: &[u8]) -> Scenario {
    let mut choices = Choices::from_bytes(bytes);
    let profiles = Profile::built_in();
    let profile = &profiles[choices.index(profiles.len())];
    generate::scenario(&mut choices, profile)
}

/// Takes out of a scenario what it states about its steps and its end.
pub(crate) fn unstated(mut scenario: Scenario) -> Scenario {
    scenario.outcome = StatedOutcome::Pass;
    scenario
        .steps
        .retain(|step| !matches!(step.action, Action::Check(_)));
    for step in &mut scenario.steps {
        step.expect = Expect::Any;
    }
    scenario
}

impl From<Scenario> for Case {
    fn from(scenario: Scenario) -> Self {
        Self(scenario)
    }
}

/// The scenario's text: what a person copies out of a failing test's output is a scenario file.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\n")?;
        f.write_str(&text::print(&self.0))
    }
}
