//! The lines of a profile.

use core::fmt;

use super::Profile;
use crate::generate::kind::Kind;

/// What steps, clusters and weights stay below.
const BOUND: u64 = 1_000_000;

/// What the number of disks stays below.
const DISKS_BOUND: u64 = 17;

/// Why a text is no profile.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ProfileError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl core::error::Error for ProfileError {}

/// What a key stands for.
enum Field<'a> {
    /// Two numbers below a bound.
    Pair(&'a mut (u64, u64), u64),
    Percent(&'a mut u64),
    Weight(&'a mut u32),
}

const PAIRS: [&str; 3] = ["steps", "disks", "clusters"];

const PERCENTS: [&str; 9] = [
    "raw", "huge", "backed", "kinds", "at-open", "lasting", "edges", "silent", "drawn",
];

/// Returns all keys.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    let kinds = Kind::ALL.iter().map(|kind| kind.name());
    PAIRS.into_iter().chain(PERCENTS).chain(kinds)
}

/// Reads lines into a profile.
pub(super) fn read(text: &str, profile: &mut Profile) -> Result<(), ProfileError> {
    let mut seen: Vec<&str> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let refuse = |problem| ProfileError {
            line: index + 1,
            problem,
        };
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
            .ok_or_else(|| refuse("expected `key = value`".to_owned()))?;
        if seen.contains(&key) {
            return Err(refuse(format!("`{key}` is given twice")));
        }
        seen.push(key);
        let Some(field) = field(profile, key) else {
            return Err(refuse(unknown(key)));
        };
        set(field, value)
            .ok_or_else(|| refuse(format!("expected {}, found `{value}`", wanted(key))))?;
    }
    if profile.weights.iter().all(|weight| *weight == 0) {
        return Err(ProfileError {
            line: text.lines().count(),
            problem: "no kind of step is left".to_owned(),
        });
    }
    Ok(())
}

fn field<'a>(profile: &'a mut Profile, key: &str) -> Option<Field<'a>> {
    Some(match key {
        "steps" => Field::Pair(&mut profile.steps, BOUND),
        "disks" => Field::Pair(&mut profile.disks, DISKS_BOUND),
        "clusters" => Field::Pair(&mut profile.clusters, BOUND),
        "raw" => Field::Percent(&mut profile.raw),
        "huge" => Field::Percent(&mut profile.huge),
        "backed" => Field::Percent(&mut profile.backed),
        "kinds" => Field::Percent(&mut profile.kinds),
        "at-open" => Field::Percent(&mut profile.at_open),
        "lasting" => Field::Percent(&mut profile.lasting),
        "edges" => Field::Percent(&mut profile.edges),
        "silent" => Field::Percent(&mut profile.silent),
        "drawn" => Field::Percent(&mut profile.drawn),
        key => {
            let kind = Kind::ALL.iter().find(|kind| kind.name() == key)?;
            Field::Weight(&mut profile.weights[*kind as usize])
        }
    })
}

fn set(field: Field<'_>, value: &str) -> Option<()> {
    match field {
        Field::Pair(pair, bound) => {
            let inner = value.strip_prefix('[')?.strip_suffix(']')?;
            let (low, high) = inner.split_once(',')?;
            let (low, high) = (number(low, bound)?, number(high, bound)?);
            *pair = (1 <= low && low <= high).then_some((low, high))?;
        }
        Field::Percent(percent) => *percent = number(value, 101)?,
        Field::Weight(weight) => *weight = u32::try_from(number(value, BOUND)?).ok()?,
    }
    Some(())
}

/// Reads a number below `bound`.
fn number(text: &str, bound: u64) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number < bound)
}

fn wanted(key: &str) -> &'static str {
    if key == "disks" {
        "two numbers from 1 to 16 such as [1, 2]"
    } else if PAIRS.contains(&key) {
        "two numbers from 1 to 999999 such as [8, 24]"
    } else if PERCENTS.contains(&key) {
        "per cent, 0 to 100"
    } else {
        "a number below 1000000"
    }
}

fn unknown(key: &str) -> String {
    let distance = |known: &&str| strsim::osa_distance(known, key);
    let nearest = keys()
        .min_by_key(distance)
        .filter(|nearest| distance(nearest) <= 1 + key.len() / 3);
    match nearest {
        Some(nearest) => format!("unknown key `{key}`; did you mean `{nearest}`?"),
        None => format!("unknown key `{key}`"),
    }
}
