//! How a campaign leans: data, read from files.
//!
//! A profile is a text of lines `key = value` (a small part of TOML, so that editors know it). The
//! parser is our own: the harness is a library that others add to their crates, and lines of
//! numbers are no reason to hand them a dependency. A key that does not exist is an error that
//! names the nearest one; a key that is left out has the value of the profile `small`.

mod draw;
mod parse;

use std::sync::OnceLock;

pub use parse::ProfileError;

use super::kind::{KINDS, Kind};

/// How a campaign leans: which shapes and steps it makes up, and how often.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// Its name.
    pub name: Box<str>,
    /// The fewest and the most steps of a scenario.
    pub steps: (u64, u64),
    /// The fewest and the most disks of a scenario.
    pub disks: (u64, u64),
    /// The fewest and the most clusters of a disk.
    pub clusters: (u64, u64),
    /// How many disks in a hundred are raw.
    pub raw: u64,
    /// How many disks in a hundred are 1 to 16 TiB large.
    pub huge: u64,
    /// How many qcow2 disks in a hundred have a backing file.
    pub backed: u64,
    /// Of a hundred kinds of steps, and of faults, how many a scenario draws from.
    pub kinds: u64,
    /// How many scenarios in a hundred have rules that are armed when the disks are opened.
    pub at_open: u64,
    /// How many faults in a hundred last until they are lifted.
    pub lasting: u64,
    /// How many places in a hundred lie at an edge: of clusters, of the disk, of what was touched.
    pub edges: u64,
    /// How many faults in a hundred report nothing. A run in which one fires is of no account for
    /// an engine that does not claim to detect it.
    pub silent: u64,
    /// Of a hundred of these numbers, how many each scenario draws for itself.
    pub drawn: u64,
    pub(super) weights: [u32; KINDS],
}

/// The profiles that come with blkproof, each a file.
const FILES: [(&str, &str); 5] = [
    ("small", include_str!("../../profiles/small.toml")),
    ("faults", include_str!("../../profiles/faults.toml")),
    (
        "transactions",
        include_str!("../../profiles/transactions.toml"),
    ),
    ("large", include_str!("../../profiles/large.toml")),
    ("power", include_str!("../../profiles/power.toml")),
];

/// The one that leans nowhere. Its scenarios take longer than those of the others together, so
/// campaigns go through it where they are told to.
const WILD: (&str, &str) = ("wild", include_str!("../../profiles/wild.toml"));

impl Profile {
    /// Returns the profiles that campaigns take turns with: `small`, `faults`, `transactions`,
    /// `large`, `power`.
    #[must_use]
    pub fn built_in() -> &'static [Self] {
        static PROFILES: OnceLock<Vec<Profile>> = OnceLock::new();
        PROFILES.get_or_init(|| FILES.map(Self::parse_built_in).to_vec())
    }

    /// Returns the profile `wild`, each scenario of which leans in its own way.
    #[must_use]
    pub fn wild() -> &'static Self {
        static PROFILE: OnceLock<Profile> = OnceLock::new();
        PROFILE.get_or_init(|| Self::parse_built_in(WILD))
    }

    fn parse_built_in((name, text): (&str, &str)) -> Self {
        Self::parse(name, text).expect("the profiles that come with blkproof are right")
    }

    /// Returns the profile of this name that comes with blkproof.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let known = Self::built_in().iter().chain([Self::wild()]);
        known
            .into_iter()
            .find(|known| &*known.name == name)
            .cloned()
    }

    /// Reads a profile. What it does not say is as in `small`.
    ///
    /// # Errors
    ///
    /// Where a line says nothing that a profile can say, with the line and what was expected.
    ///
    /// ```
    /// use blkproof::generate::{Kind, Profile};
    ///
    /// let profile = Profile::parse("mine", "steps = [3, 5]\nrestart = 10\n")?;
    /// assert_eq!(profile.steps, (3, 5));
    /// assert_eq!(profile.weight(Kind::Restart), 10);
    ///
    /// let error = Profile::parse("mine", "restrat = 10").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "line 1: unknown key `restrat`; did you mean `restart`?"
    /// );
    /// # Ok::<(), blkproof::generate::ProfileError>(())
    /// ```
    pub fn parse(name: &str, text: &str) -> Result<Self, ProfileError> {
        let mut profile = Self::blank();
        parse::read(FILES[0].1, &mut profile)?;
        profile.name = name.into();
        parse::read(text, &mut profile)?;
        Ok(profile)
    }

    /// Returns how often a step is of this kind, relative to the others.
    #[must_use]
    pub fn weight(&self, kind: Kind) -> u32 {
        self.weights[kind as usize]
    }

    fn blank() -> Self {
        Self {
            name: Box::default(),
            steps: (0, 0),
            disks: (0, 0),
            clusters: (0, 0),
            raw: 0,
            huge: 0,
            backed: 0,
            kinds: 0,
            at_open: 0,
            lasting: 0,
            edges: 0,
            silent: 0,
            drawn: 0,
            weights: [0; KINDS],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FILES, Kind, Profile};

    #[test]
    fn the_first_profile_says_everything() {
        for key in super::parse::keys() {
            let said = FILES[0]
                .1
                .lines()
                .any(|line| line.starts_with(&format!("{key} = ")));
            assert!(said, "{key}");
        }
    }

    #[test]
    fn profiles_are_found_by_name() {
        assert_eq!(
            Profile::named("large"),
            Some(Profile::built_in()[3].clone())
        );
        assert_eq!(Profile::named("larger"), None);
        assert_eq!(Profile::built_in()[2].disks, (1, 3));
        assert_eq!(Profile::built_in()[2].weight(Kind::Write), 36);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, said) in [
            ("\nwrite: 3", "line 2: expected `key = value`"),
            (
                "write = x",
                "line 1: expected a number below 1000000, found `x`",
            ),
            (
                "write = -1",
                "line 1: expected a number below 1000000, found `-1`",
            ),
            (
                "steps = 3",
                "line 1: expected two numbers from 1 to 999999 such as [8, 24], found `3`",
            ),
            (
                "steps = [5, 3]",
                "line 1: expected two numbers from 1 to 999999 such as [8, 24], found `[5, 3]`",
            ),
            (
                "raw = 101",
                "line 1: expected per cent, 0 to 100, found `101`",
            ),
            ("raw = 1 # yes\nraw = 2", "line 2: `raw` is given twice"),
            (
                "disks = [0, 1]",
                "line 1: expected two numbers from 1 to 16 such as [1, 2], found `[0, 1]`",
            ),
            (
                "disks = [1, 17]",
                "line 1: expected two numbers from 1 to 16 such as [1, 2], found `[1, 17]`",
            ),
            ("zzzzzzzz = 1", "line 1: unknown key `zzzzzzzz`"),
        ] {
            let error = Profile::parse("p", text).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }

    #[test]
    fn a_profile_without_any_step_is_refused() {
        let none: String = Kind::ALL
            .iter()
            .map(|kind| format!("{} = 0\n", kind.name()))
            .collect();
        let error = Profile::parse("p", &none).unwrap_err();
        let said = format!("line {}: no kind of step is left", Kind::ALL.len());
        assert_eq!(error.to_string(), said);
    }
}
