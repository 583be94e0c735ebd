//! The values of flags.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::ffi::OsStr;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use blkproof::generate::Profile;
use blkproof::sweep::Strike;
use blkproof_engine::Bug;
use clap::builder::{PossibleValue, PossibleValuesParser, StyledStr, TypedValueParser};
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, ValueEnum};
use serde::{Deserialize, Serialize};

/// When to use colours.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The seed of a campaign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seed(pub(crate) u64);

impl Default for Seed {
    /// The number of QEMU's incremental-backup test, which the seed corpus is made of.
    fn default() -> Self {
        Self(124)
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Seed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.strip_prefix("0x") {
            Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16),
            _ => text.parse(),
        };
        let seed = parsed.ok().filter(|_| !text.starts_with('+'));
        seed.map(Self)
            .ok_or("expected a number below 2^64, decimal or hexadecimal after 0x")
    }
}

/// How many cases a campaign judges: at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cases(pub(crate) u64);

impl FromStr for Cases {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let cases = text.parse().ok().filter(|cases| *cases > 0);
        cases
            .map(Self)
            .ok_or("expected a number of cases, at least 1")
    }
}

/// How many candidates shrinking runs: at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Runs(pub(crate) u64);

impl Default for Runs {
    fn default() -> Self {
        Self(blkproof::shrink::CANDIDATES_MAX)
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Runs {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let runs = text.parse().ok().filter(|runs| *runs > 0);
        runs.map(Self)
            .ok_or("expected a number of runs, at least 1")
    }
}

/// How many threads judge cases: at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Jobs(pub(crate) usize);

impl Jobs {
    /// More threads than any machine has processors are a slip of the finger.
    const MAX: usize = 4096;
}

impl Default for Jobs {
    fn default() -> Self {
        Self(thread::available_parallelism().map_or(1, NonZeroUsize::get))
    }
}

impl FromStr for Jobs {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let jobs = text.parse().ok();
        jobs.filter(|jobs| (1..=Self::MAX).contains(jobs))
            .map(Self)
            .ok_or("expected a number of threads from 1 to 4096")
    }
}

/// How long a campaign runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Seconds(pub(crate) Duration);

impl Seconds {
    /// A year: whoever types more meant something else.
    const MAX: f64 = 31_536_000.0;
}

impl Default for Seconds {
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

impl FromStr for Seconds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = text.parse().ok();
        seconds
            .filter(|seconds| *seconds > 0.0 && *seconds <= Self::MAX)
            .map(|seconds| Self(Duration::from_secs_f64(seconds)))
            .ok_or(
                "expected a number of seconds, more than 0 and at most a year, such as 60 or 0.5",
            )
    }
}

/// A profile: one that comes with blkproof, or one that a file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ProfileName {
    /// As it was given.
    pub(crate) given: String,
    pub(crate) profile: Profile,
}

impl FromStr for ProfileName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let profile = match Profile::named(text) {
            Some(profile) => profile,
            None => read(Path::new(text))?,
        };
        Ok(Self {
            given: text.to_owned(),
            profile,
        })
    }
}

/// A seeded bug, by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct BugName(pub(crate) Bug);

impl fmt::Display for BugName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl TryFrom<String> for BugName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let bug = Bug::from_name(&name).map(Self);
        bug.ok_or_else(|| format!("there is no seeded bug {name}"))
    }
}

impl From<BugName> for String {
    fn from(bug: BugName) -> Self {
        bug.to_string()
    }
}

impl BugName {
    /// Takes a name; an unknown one is answered with the nearest that there is.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        BugNames.map(|name| Self(Bug::from_name(&name).expect("only names of bugs pass")))
    }
}

/// The names of the seeded bugs. They are too many to be listed where one is wrong.
#[derive(Clone, Copy, Debug)]
struct BugNames;

impl BugNames {
    fn parser(self) -> PossibleValuesParser {
        PossibleValuesParser::new(Bug::ALL.iter().map(|bug| bug.name()))
    }
}

impl TypedValueParser for BugNames {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        self.parser()
            .parse_ref(command, arg, value)
            .map_err(|mut error| {
                let none = ContextValue::Strings(Vec::new());
                error.insert(ContextKind::ValidValue, none);
                let hint = StyledStr::from("`blkproof bugs --list` names the seeded bugs");
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint]));
                error
            })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = Bug::ALL.iter().map(|bug| PossibleValue::new(bug.name()));
        Some(Box::new(values))
    }
}

/// What happens to a request that is struck, by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StrikeName(pub(crate) Strike);

impl StrikeName {
    /// Returns the one of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Strike::from_name(name).map(Self)
    }

    /// Takes a name; an unknown one is answered with those that there are.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        PossibleValuesParser::new(Strike::ALL.map(Strike::name))
            .map(|name| Self(Strike::from_name(&name).expect("only names of strikes pass")))
    }
}

/// Reads the profile that a file says; it is called as the file is.
fn read(path: &Path) -> Result<Profile, String> {
    let text = fs::read_to_string(path).map_err(|error| {
        let names = Profile::built_in()
            .iter()
            .chain([Profile::wild()])
            .map(|profile| format!("'{}'", profile.name));
        let names: Vec<_> = names.collect();
        format!("expected {}, or a file ({error})", names.join(", "))
    })?;
    let name = path.file_stem().unwrap_or(path.as_os_str());
    Profile::parse(&name.to_string_lossy(), &text).map_err(|error| error.to_string())
}

/// Reads the size of a write log's sectors.
pub(crate) fn sector_size(text: &str) -> Result<u64, String> {
    let size = text
        .parse()
        .ok()
        .filter(|size: &u64| size.is_power_of_two());
    size.filter(|size| (512..=1 << 23).contains(size))
        .ok_or_else(|| "expected a power of two from 512 to 8388608".to_owned())
}
